"""Carry a merge out between two timelines: plan, insert, verify, settle."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

import msgspec
import numpy as np

from fovideo.errors import (
    FovideoError,
    MergeError,
    NoSuchStream,
    NothingThere,
    PlanStale,
    StoreDamaged,
    StoreError,
)
from fovideo.merge.doing.control import MergeControl
from fovideo.merge.doing.damage import Damaged, blamed
from fovideo.merge.doing.ending import ended_early, report_done, report_unfinished, without_own
from fovideo.merge.doing.inserting import Done, Inserter, Progress, Stopped
from fovideo.merge.doing.order import Order, turns
from fovideo.merge.doing.pace import Pace, retry_after_ns
from fovideo.merge.doing.remaining import explained
from fovideo.merge.doing.report import MergeIncomplete, MergeReport, StreamReport, report_of
from fovideo.merge.doing.saved import seen
from fovideo.merge.doing.verify import verify
from fovideo.merge.manifest import Manifest, load_manifest
from fovideo.merge.planning.plan import WINDOW_NS, plan
from fovideo.merge.values import Plan, Span
from fovideo.timeline.endpoint import Timeline
from fovideo.timeline.values import Provenance

_log = logging.getLogger(__name__)

_ATTEMPTS = 8


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
    waiting: bool = False,
    order: Order = Order.OLDEST,
    first: Sequence[Span] = (),
    pace: Pace | None = None,
    control: MergeControl | None = None,
    patience_ns: int = 0,
    progress: Callable[[Progress], None] | None = None,
    on_insert: Callable[[str, Provenance, int, int], None] | None = None,
    on_failure: Callable[[MergeReport], None] | None = None,
    wall_clock: Callable[[], int] = time.time_ns,
    clock: Callable[[], int] = time.monotonic_ns,
) -> MergeReport:
    """Add to the target every frame that the source holds and it lacks; never removes or changes any.

    streams: names (None = all of the source). from_ns, to_ns: only footage of this window, in target time.
    lease: fencing number to note in the provenance. expected_ns: by how much the target's clock is ahead of
    the source's, if that is known; window_ns: how far it may be from that.
    waiting: the target holds all of the source but the rows that wait to be merged (GopFlag.PENDING): a
    spare's passes plan only these, and what lies around them.
    order: of the footage; newest goes over all streams hour by hour.
    first: spans that are merged before everything else, of all streams.
    pace: rate and brake (None = no rate, but yield to live recording). control: to pause and end it.
    patience_ns: for how long to try again without progress while a side does not answer.
    on_insert: called before each insertion with its stream, and its provenance and span in the target
    (CustodyRecord.inserted). on_failure: told what is in, before an error that ends the merge is raised.
    wall_clock, clock: ns since the epoch, and monotonic.
    A second run inserts nothing. If it raises, what was inserted so far stays, and running it again goes on
    from there. Rows of the source that are damaged are left out, and everything else is merged; then
    MergeIncomplete names them, with the report. Raises NoSuchStream for a name the source lacks, MergeError
    if the target does not settle down or lost a frame, and the errors of both timelines.
    """
    infos = source.streams()
    known = [info.name for info in infos]
    for name in streams or ():
        if name not in known:
            hint = f"streams there: {', '.join(known) or 'none'}"
            raise NoSuchStream(f"no stream {name!r}", where=source.location, hint=hint)
    names = known if streams is None else streams
    job = Job(source, target, from_ns, to_ns, lease, window_ns, expected_ns, wall_clock, waiting)
    hand = control or MergeControl()
    done = {name: Done() for name in names}
    failed: dict[str, StoreDamaged] = {}
    inserter = Inserter(
        source=source,
        target=target,
        pace=pace or Pace(),
        order=order,
        control=hand,
        progress=progress,
        on_insert=on_insert,
        clock=clock,
    )
    if dry_run:
        reports, whole = {name: job.dry(name) for name in names}, len(names)
    else:
        reports = {}
        spans = [*first, *turns([info for info in infos if info.name in names], order)]
        for window in (*(job.within(span) for span in spans), job):
            whole = 0
            for name in names:
                if hand.cancelled or name in failed:
                    continue
                inserter.more = window is not job or name != names[-1]
                try:
                    reports[name] = window.run(name, inserter, done[name], patience_ns)
                except StoreDamaged as error:
                    _log.info("%s: %s", name, error)
                    failed[name] = error
                except FovideoError:
                    if on_failure is not None:
                        reports |= window.unfinished(name, done[name])
                        told = [reports[each] for each in names if each in reports and each not in failed]
                        on_failure(ended_early(source, target, names, told))
                    raise
                else:
                    whole += 1
    report = MergeReport(
        source=source.location,
        target=target.location,
        dry_run=dry_run,
        streams=tuple(reports[name] for name in names if name in reports and name not in failed),
        stopped=whole + len(failed) < len(names) or any(each.left_frames for each in reports.values()),
        not_begun=tuple(name for name in names if name not in reports and name not in failed),
    )
    if failed and len(names) == 1:
        raise failed[names[0]]
    if failed:
        raise MergeIncomplete.of(failed, report)
    left_out = {name: each.damaged for name, each in done.items() if each.damaged}
    if left_out:
        raise MergeIncomplete.without(left_out, report)
    return report


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
    """What `merge` would do with one stream, to be looked at, saved (save_plans) and carried out later. As
    `merge`.
    """
    job = Job(source, target, from_ns, to_ns, lease, window_ns, expected_ns, wall_clock)
    manifest, held, made = job.plan(stream)
    return msgspec.structs.replace(made, seen=seen(made, manifest, held))


class LeftOut(Exception):
    """Rows of the source are damaged: plan again without them. Never leaves this module."""


class Job(msgspec.Struct, frozen=True):
    """What is to be merged; one stream after the other."""

    source: Timeline
    target: Timeline
    from_ns: int | None
    to_ns: int | None
    lease: int
    window_ns: int
    expected_ns: int
    wall_clock: Callable[[], int]
    waiting: bool = False

    def within(self, span: Span) -> Job:
        """Only the footage of a span."""
        from_ns = span.from_ns if self.from_ns is None else max(self.from_ns, span.from_ns)
        to_ns = span.to_ns if self.to_ns is None else min(self.to_ns, span.to_ns)
        return msgspec.structs.replace(self, from_ns=from_ns, to_ns=to_ns)

    def dry(self, stream: str) -> StreamReport:
        manifest, _, made = self.plan(stream)
        report = report_of(made, made.stretches, verified=False, settled_rows=0)
        return explained(report, self.source, self.target, manifest, made)

    def run(self, stream: str, inserter: Inserter, done: Done, patience_ns: int) -> StreamReport:
        """done: what earlier windows of this merge inserted."""
        stale = tries = 0
        trying_ns = inserter.clock()
        while stale < _ATTEMPTS:
            before = len(done.steps)
            try:
                manifest, held, made = self.plan(stream, done.damaged)
                done.planned = manifest, made, len(done.steps)
                self._clear_up(manifest, done)
                report = self._carry_out(manifest, held, made, inserter, done)
            except LeftOut as left:
                _log.info("%s: left out: %s", stream, left)
            except PlanStale:
                stale = 1 if len(done.steps) > before else stale + 1
                _log.info("%s: %s changed meanwhile: planning again", stream, self.target.location)
                if stale > 2:  # another merge is faster: let it come to its end
                    inserter.control.wait(retry_after_ns(stale - 3))
            except FovideoError as error:
                if len(done.steps) > before:
                    tries, trying_ns = 0, inserter.clock()
                pause_ns = retry_after_ns(tries)
                left_ns = trying_ns + patience_ns - inserter.clock()
                if not error.passing or left_ns < pause_ns or not inserter.control.wait(pause_ns):
                    raise
                tries += 1
                _log.warning("%s: %s; going on", stream, error)
            else:
                return report
        raise MergeError(
            f"{stream} kept changing during {_ATTEMPTS} attempts to merge into it, one after the other",
            where=self.target.location,
            hint="run the merge again when no other merge into it is running",
        )

    def unfinished(self, stream: str, done: Done) -> dict[str, StreamReport]:
        """By its name what is in of a stream whose merge has failed; nothing if it was never planned."""
        if done.planned is None:
            return {}
        manifest, made, earlier = done.planned
        report = report_unfinished(
            self.source, self.target, manifest, made, done.steps, done.left, done.damaged
        )
        return {stream: without_own(report, done.steps[:earlier])}

    def _carry_out(
        self, manifest: Manifest, held: Manifest, made: Plan, inserter: Inserter, done: Done
    ) -> StreamReport:
        before = len(done.steps)
        try:
            inserter.insert(manifest, held, made, done)
        except Stopped:
            _log.info("%s: stopped", made.stream)
        except PlanStale:
            verify(self.target, manifest, done.steps[before:])
            raise
        except (StoreError, NothingThere) as error:
            damaged = blamed(error, self.source, self.target, manifest, done.left)
            verify(self.target, manifest, done.steps[before:])
            done.damaged += damaged
            if damaged:
                raise LeftOut(damaged[0].error) from None
            raise PlanStale("the source's footage has expired meanwhile", where=error.where) from None
        verify(self.target, manifest, done.steps[before:])
        report = without_own(report_done(self.source, manifest, made, done), done.steps[:before])
        return explained(report, self.source, self.target, manifest, made, done.damaged)

    def _clear_up(self, manifest: Manifest, done: Done) -> None:
        """A step that was sent without an answer: is it in? Then the plan made since does not have it."""
        step, done.unsure = done.unsure, None
        if step is None:
            return
        try:
            verify(self.target, manifest, [step])
        except (MergeError, KeyError):
            return
        done.steps.append(step)

    def plan(self, stream: str, damaged: Sequence[Damaged] = ()) -> tuple[Manifest, Manifest, Plan]:
        """Manifests of source and target, and the plan. damaged: rows that the source has no longer."""
        from_ns = None if self.from_ns is None else self.from_ns - self.window_ns
        to_ns = None if self.to_ns is None else self.to_ns + self.window_ns
        manifest = load_manifest(self.source, stream, from_ns, to_ns)
        if damaged:
            gone = {each.row.serial for each in damaged}
            manifest = manifest.only(np.array([row.serial not in gone for row in manifest.rows], bool))
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
            waiting=self.waiting,
        )
        return manifest, held, made
