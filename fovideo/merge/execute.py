"""Carry a merge out between two timelines: plan, insert, verify, settle."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

import msgspec

from fovideo.errors import FovideoError, MergeError, NoSuchStream, PlanStale
from fovideo.merge.manifest import Manifest, load_manifest
from fovideo.merge.plan import WINDOW_NS, plan
from fovideo.merge.remaining import explained
from fovideo.merge.report import MergeReport, StreamReport, report_of
from fovideo.merge.supply import Supply
from fovideo.merge.values import Kind, Plan, PlannedStretch
from fovideo.merge.verify import verify
from fovideo.timeline.endpoint import Timeline
from fovideo.timeline.values import GopFlag, Provenance

_log = logging.getLogger(__name__)

_ATTEMPTS = 8


class Progress(msgspec.Struct, frozen=True):
    """How far the merge of a stream is. frames, size_bytes: done so far; of_frames, of_bytes: as planned."""

    stream: str
    frames: int
    of_frames: int
    size_bytes: int
    of_bytes: int


def merge(
    source: Timeline,
    target: Timeline,
    *,
    streams: Sequence[str] | None = None,
    from_ns: int | None = None,
    to_ns: int | None = None,
    dry_run: bool = False,
    lease: int = 0,
    window_ns: int = WINDOW_NS,
    expected_ns: int = 0,
    progress: Callable[[Progress], None] | None = None,
    on_insert: Callable[[str, Provenance, int, int], None] | None = None,
    wall_clock: Callable[[], int] = time.time_ns,
) -> MergeReport:
    """Add to the target every frame that the source holds and it lacks; never removes or changes any.

    streams: names (None = all of the source). from_ns, to_ns: only footage of this window, in target time.
    lease: fencing number to note in the provenance. expected_ns: by how much the target's clock is ahead of
    the source's, if that is known; window_ns: how far it may be from that. on_insert: called before each
    stretch with its stream, and its provenance and span in the target (CustodyRecord.inserted). A second run
    inserts nothing. If it raises, what was inserted so far stays, and running it again goes on from there.
    Raises NoSuchStream for a name the source lacks, MergeError if the target does not settle down or lost a
    frame, and the errors of both timelines.
    """
    known = [info.name for info in source.streams()]
    for name in streams or ():
        if name not in known:
            raise NoSuchStream(f"no stream {name!r}", where=source.location)
    job = _Job(source, target, from_ns, to_ns, lease, window_ns, expected_ns, progress, on_insert, wall_clock)
    return MergeReport(
        source=source.location,
        target=target.location,
        dry_run=dry_run,
        streams=tuple(
            job.dry(name) if dry_run else job.run(name) for name in (known if streams is None else streams)
        ),
    )


def make_plan(
    source: Timeline,
    target: Timeline,
    stream: str,
    *,
    from_ns: int | None = None,
    to_ns: int | None = None,
    lease: int = 0,
    window_ns: int = WINDOW_NS,
    expected_ns: int = 0,
    wall_clock: Callable[[], int] = time.time_ns,
) -> Plan:
    """What `merge` would do with one stream, to be looked at, saved (msgspec) and carried out later. As
    `merge`.
    """
    return _Job(source, target, from_ns, to_ns, lease, window_ns, expected_ns, None, None, wall_clock).plan(
        stream
    )[2]


def carry_out(
    source: Timeline,
    target: Timeline,
    plan: Plan,
    *,
    progress: Callable[[Progress], None] | None = None,
    on_insert: Callable[[str, Provenance, int, int], None] | None = None,
) -> StreamReport:
    """Do what a plan says, verify it, and settle. Raises PlanStale if either timeline is not the one that was
    planned with, or has changed since; what was inserted before that was found stays.
    """
    job = _Job(source, target, None, None, 0, 0, 0, progress, on_insert, time.time_ns)
    return job.carry_out(plan)


class _Job(msgspec.Struct, frozen=True):
    """A merge with its settings; one stream after the other."""

    source: Timeline
    target: Timeline
    from_ns: int | None
    to_ns: int | None
    lease: int
    window_ns: int
    expected_ns: int
    progress: Callable[[Progress], None] | None
    on_insert: Callable[[str, Provenance, int, int], None] | None
    wall_clock: Callable[[], int]

    def dry(self, stream: str) -> StreamReport:
        manifest, _, made = self.plan(stream)
        report = report_of(made, made.stretches, verified=False, settled_rows=0)
        return explained(report, self.source, self.target, manifest, made)

    def run(self, stream: str) -> StreamReport:
        done: list[PlannedStretch] = []
        for _ in range(_ATTEMPTS):
            manifest, held, made = self.plan(stream)
            before, stale = len(done), False
            try:
                self._insert(manifest, held, made, done)
            except PlanStale:
                _log.info(
                    "%s changed while %s was merged into it: planning again", self.target.location, stream
                )
                stale = True
            verify(self.target, manifest, done[before:])
            if stale:
                continue
            settled = self._settle(manifest, made)
            report = _without_own(report_of(made, done, verified=True, settled_rows=settled), done[:before])
            return explained(report, self.source, self.target, manifest, made)
        raise MergeError(
            f"{stream} kept changing during {_ATTEMPTS} attempts to merge into it",
            where=self.target.location,
            hint="run the merge again when no other merge into it is running",
        )

    def carry_out(self, made: Plan) -> StreamReport:
        if (made.source, made.target) != (self.source.identity, self.target.identity):
            raise PlanStale("the plan is for other timelines", where=made.stream, hint="plan again")
        manifest = load_manifest(self.source, made.stream)
        _require_rows(manifest, made)
        start_ns = min((stretch.span.from_ns for stretch in made.stretches), default=0)
        end_ns = max((stretch.span.to_ns for stretch in made.stretches), default=0)
        held = load_manifest(self.target, made.stream, start_ns, end_ns)
        done: list[PlannedStretch] = []
        self._insert(manifest, held, made, done)
        verify(self.target, manifest, done)
        settled = self._settle(manifest, made)
        return report_of(made, done, verified=True, settled_rows=settled)

    def plan(self, stream: str) -> tuple[Manifest, Manifest, Plan]:
        """Manifests of source and target, and the plan."""
        from_ns = None if self.from_ns is None else self.from_ns - self.window_ns
        to_ns = None if self.to_ns is None else self.to_ns + self.window_ns
        manifest = load_manifest(self.source, stream, from_ns, to_ns)
        if manifest.rows:  # of the target, only what the source's footage can have to do with
            reach_ns = abs(self.expected_ns) + 2 * self.window_ns
            start_ns = manifest.rows[0].start_ns - reach_ns
            end_ns = max(row.end_ns for row in manifest.rows) + reach_ns
            from_ns = start_ns if from_ns is None else max(from_ns, start_ns)
            to_ns = end_ns if to_ns is None else min(to_ns, end_ns)
        held = load_manifest(self.target, stream, from_ns, to_ns, neighbours=True)
        losses = self.target.losses(stream, self.from_ns, self.to_ns) if held.rows else []
        made = plan(
            manifest,
            held,
            from_ns=self.from_ns,
            to_ns=self.to_ns,
            window_ns=self.window_ns,
            expected_ns=self.expected_ns,
            losses=losses,
            now_ns=self.wall_clock(),
            lease=self.lease,
        )
        return manifest, held, made

    def _insert(self, manifest: Manifest, held: Manifest, made: Plan, done: list[PlannedStretch]) -> None:
        """Insert all stretches; those that are in are added to `done`."""
        generation = made.generation
        last_ns = max((row.end_ns for row in held.rows), default=0)
        frames = size_bytes = 0
        of_frames = sum(stretch.frames for stretch in made.stretches)
        of_bytes = sum(stretch.size_bytes for stretch in made.stretches)
        rows = {row.serial: row for row in manifest.rows}
        begun: PlannedStretch | None = None
        with Supply(self.source, self.target, manifest.stream, rows) as supply:
            for batch in supply.batches(made.stretches):
                planned = batch.planned
                if planned is not begun:
                    begun = planned
                    if not held.live_edge_ns and planned.span.to_ns > last_ns:
                        self._require_quiet(made.stream)
                    if self.on_insert is not None:
                        span = planned.span
                        self.on_insert(made.stream, planned.provenance, span.from_ns, span.to_ns)
                inserted = self.target.insert(batch.stretch(manifest.stream, generation))
                generation = inserted.generation
                size_bytes += inserted.size_bytes
                if batch.last:
                    frames += planned.frames
                    done.append(planned)
                    if self.progress is not None:
                        self.progress(Progress(made.stream, frames, of_frames, size_bytes, of_bytes))

    def _require_quiet(self, stream: str) -> None:
        """Raise PlanStale if the target began to record: it may hold by now what the plan says it lacks."""
        if any(info.name == stream and info.live_edge_ns for info in self.target.streams()):
            raise PlanStale("the stream is being recorded since the merge was planned", where=stream)

    def _settle(self, manifest: Manifest, made: Plan) -> int:
        """Tell the source what the target holds; returns how many rows were waiting for that."""
        held = set(made.settled)
        waiting = [row.serial for row in manifest.rows if row.flags & GopFlag.PENDING and row.serial in held]
        if not waiting:
            return 0
        try:
            self.source.settle(made.stream, waiting)
        except FovideoError as error:
            # The target is whole; the source merely keeps its copy longer.
            _log.warning("%s could not note what was merged: %s", self.source.location, error)
            return 0
        return len(waiting)


def _require_rows(manifest: Manifest, made: Plan) -> None:
    """Raise PlanStale if the source lacks rows of the plan, or holds others under their serials."""
    rows = {row.serial: place for place, row in enumerate(manifest.rows)}
    for stretch in made.stretches:
        for piece in stretch.pieces:
            place = rows.get(piece.serial)
            if place is None:
                raise PlanStale(
                    "the source no longer holds what was planned", where=made.stream, hint="plan again"
                )
            size = manifest.rows[place].size_bytes
            if size != piece.size_bytes if not piece.rows else piece.rows[-1] >= len(manifest.stored(place)):
                raise PlanStale("the source has changed since the plan", where=made.stream, hint="plan again")


def _without_own(report: StreamReport, earlier: Sequence[PlannedStretch]) -> StreamReport:
    """What earlier attempts of this merge inserted was no duplicate."""
    own = sum(stretch.frames for stretch in earlier if stretch.kind is not Kind.CONFLICT)
    return msgspec.structs.replace(report, duplicate_frames=max(report.duplicate_frames - own, 0))
