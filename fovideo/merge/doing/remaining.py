"""What is still missing after a merge, with what both sides know of the reasons."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeAlias

import msgspec

from fovideo.custody import still_missing
from fovideo.errors import NoSuchStream
from fovideo.merge.doing.damage import Damaged
from fovideo.merge.doing.report import StreamReport
from fovideo.merge.manifest import Manifest
from fovideo.merge.values import Plan
from fovideo.timeline.endpoint import Timeline
from fovideo.timeline.values import Loss

_Ask: TypeAlias = Callable[[str, int | None, int | None], list[Loss]]


def explained(
    report: StreamReport,
    source: Timeline,
    target: Timeline,
    manifest: Manifest,
    plan: Plan,
    damaged: Iterable[Damaged] = (),
) -> StreamReport:
    """The report with reasons for what is missing. manifest: of the source, without its damaged rows. plan:
    what was done.
    """
    if not report.missing:
        return report
    offset_ns = plan.clock_offset_ns
    from_ns, to_ns = report.missing[0].from_ns, report.missing[-1].to_ns
    lost = _losses(source.losses, plan.stream, from_ns - offset_ns, to_ns - offset_ns)
    settled = set(plan.settled)
    waiting = (row for row in manifest.rows if row.serial not in settled)
    found = still_missing(
        [(span.from_ns, span.to_ns) for span in report.missing],
        _losses(target.losses, plan.stream, from_ns, to_ns),
        [
            Loss(loss.start_ns + offset_ns, loss.end_ns + offset_ns, loss.frames, loss.reason)
            for loss in (*lost, *(each.loss for each in damaged))
        ],
        refused=[(span.from_ns, span.to_ns) for span in plan.held],
        deferred=[(row.start_ns + offset_ns, row.end_ns + offset_ns) for row in waiting],
    )
    return msgspec.structs.replace(report, still_missing=found)


def _losses(ask: _Ask, stream: str, from_ns: int, to_ns: int) -> list[Loss]:
    try:
        return ask(stream, from_ns, to_ns)
    except NoSuchStream:
        return []
