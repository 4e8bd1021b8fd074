"""One merge pass of a spare: the portions that the failover machine asks for, and what became of each."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import NamedTuple

from fovideo.errors import FovideoError
from fovideo.failover import PassOutcome, Portion
from fovideo.merge import (
    WINDOW_NS,
    MergeControl,
    MergeIncomplete,
    Order,
    Pace,
    Progress,
    StreamReport,
    merge,
)
from fovideo.store import Store
from fovideo.timeline.endpoint import Timeline
from fovideo.timeline.values import Gop

_log = logging.getLogger(__name__)


class Mended:
    """What a pass did. error: of the first stream that failed, "" if none did."""

    def __init__(self) -> None:
        self.outcomes: dict[str, PassOutcome] = {}
        self.reports: list[StreamReport] = []
        self.error = ""


class Manner(NamedTuple):
    """In which order and how fast, a hand on it, and who looks on."""

    order: Order = Order.OLDEST
    pace: Pace = Pace()
    control: MergeControl | None = None
    progress: Callable[[Progress], None] | None = None


ANYHOW = Manner()


def mend(
    source: Store,
    target: Timeline,
    portions: Sequence[Portion],
    *,
    lease: int,
    manner: Manner = ANYHOW,
) -> Mended:
    """Merge each portion; one that fails does not stop the others, unless the target no longer answers."""
    mended = Mended()
    for portion in portions:
        if manner.control is not None and manner.control.cancelled:
            mended.error = mended.error or "it was ended before all was merged"
            break
        try:
            report = _merge(source, target, portion, lease, manner)
        except FovideoError as error:
            _log.info("%s: the merge will be tried again: %s", portion.stream, error)
            mended.error = mended.error or f"{portion.stream}: {error}"
            if isinstance(error, ConnectionError):
                break
            if not isinstance(error, MergeIncomplete) or not error.report.streams:
                continue
            (report,) = error.report.streams
        if report is not None:
            mended.reports.append(report)
        mended.outcomes[portion.stream] = _outcome(source, portion, report)
    return mended


def _merge(
    source: Store,
    target: Timeline,
    portion: Portion,
    lease: int,
    manner: Manner,
) -> StreamReport | None:
    """The report, or None when there is nothing to merge."""
    waiting = source.unsettled(portion.stream)
    if not waiting:
        return None
    from_ns = min(row.start_ns for row in waiting) - WINDOW_NS
    report = merge(
        source,
        target,
        streams=[portion.stream],
        from_ns=from_ns,
        to_ns=_bound(portion, waiting),
        lease=lease,
        waiting=True,
        order=manner.order,
        pace=manner.pace,
        control=manner.control,
        progress=manner.progress,
    )
    return report.streams[0] if report.streams else None


def _bound(portion: Portion, waiting: list[Gop]) -> int | None:
    if portion.lag_ns:
        return max(row.end_ns for row in waiting) - portion.lag_ns
    return portion.until_ns


def _outcome(source: Store, portion: Portion, report: StreamReport | None) -> PassOutcome:
    left = source.unsettled(portion.stream)
    if report is None:
        return PassOutcome(0, sum(row.frames for row in left))
    bound_ns = _bound(portion, left) if left else None
    frames = deferred = 0
    for row in left:
        frames += row.frames
        if bound_ns is not None and row.end_ns > bound_ns - abs(report.clock_offset_ns):
            deferred += row.frames
    return PassOutcome(report.inserted_frames, frames, max(deferred, min(report.deferred_frames, frames)))
