"""What a merge tells at its end: of what is in, whether all went well or an error ended it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from fovideo.errors import FovideoError
from fovideo.merge.doing.damage import Damaged
from fovideo.merge.doing.inserting import Done, settle
from fovideo.merge.doing.remaining import explained
from fovideo.merge.doing.report import MergeReport, StreamReport, report_of
from fovideo.merge.doing.verify import verify
from fovideo.merge.manifest import Manifest
from fovideo.merge.values import Plan, PlannedStretch, joined
from fovideo.timeline.endpoint import Timeline


def report_done(source: Timeline, manifest: Manifest, made: Plan, done: Done) -> StreamReport:
    """Settles what is in, and says what was done."""
    settled = settle(source, manifest, made, done.left)
    return _with_left(report_of(made, done.steps, verified=True, settled_rows=settled), done.left)


def report_unfinished(
    source: Timeline,
    target: Timeline,
    manifest: Manifest,
    made: Plan,
    steps: Sequence[PlannedStretch],
    left: Sequence[PlannedStretch],
    damaged: Sequence[Damaged] = (),
) -> StreamReport:
    """What is in of a stream whose merge an error has ended. The sides are asked once more, and what they do
    not tell any more is left out. Nothing is settled: the next run does.
    """
    try:
        verify(target, manifest, steps)
        verified = True
    except FovideoError:
        verified = False
    report = _with_left(report_of(made, steps, verified=verified, settled_rows=0), left)
    try:
        return explained(report, source, target, manifest, made, damaged)
    except FovideoError:
        return report


def without_own(report: StreamReport, earlier: Sequence[PlannedStretch]) -> StreamReport:
    """What earlier attempts of this merge inserted was no duplicate."""
    own = sum(stretch.frames for stretch in earlier if stretch.kind.is_shown)
    return msgspec.structs.replace(report, duplicate_frames=max(report.duplicate_frames - own, 0))


def ended_early(
    source: Timeline, target: Timeline, names: Sequence[str], streams: Sequence[StreamReport]
) -> MergeReport:
    """Of a merge that an error has ended. names: of all that was to be merged."""
    begun = {each.name for each in streams}
    return MergeReport(
        source=source.location,
        target=target.location,
        dry_run=False,
        streams=tuple(streams),
        stopped=True,
        not_begun=tuple(name for name in names if name not in begun),
    )


def _with_left(report: StreamReport, left: Sequence[PlannedStretch]) -> StreamReport:
    return msgspec.structs.replace(
        report,
        left_frames=sum(step.frames for step in left),
        left=joined(step.span for step in left),
    )
