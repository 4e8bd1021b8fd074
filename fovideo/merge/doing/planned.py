"""Carry a saved plan out, and go on with one that was cut off.

Each insertion is named by its contents, and by the instant of the plan in its provenance. So the target's
index says what of a plan is in; whatever else has happened since to the rows that the plan takes, or to those
around where it inserts, makes the plan stale.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np

from fovideo.errors import FovideoError, NothingThere, PeerError, PlanStale, StoreDamaged, StoreError
from fovideo.merge.doing.control import MergeControl
from fovideo.merge.doing.damage import Damaged, blamed
from fovideo.merge.doing.ending import ended_early, report_done, report_unfinished
from fovideo.merge.doing.inserting import Done, Inserter, Progress, Stopped
from fovideo.merge.doing.leftout import without_rows
from fovideo.merge.doing.order import Order, name_of, parts_of
from fovideo.merge.doing.pace import Pace, retry_after_ns
from fovideo.merge.doing.remaining import explained
from fovideo.merge.doing.report import MergeIncomplete, MergeReport, StreamReport
from fovideo.merge.doing.saved import around, fingerprint, reach
from fovideo.merge.doing.verify import Frames, verify
from fovideo.merge.manifest import Manifest, load_manifest
from fovideo.merge.values import Plan, PlannedStretch
from fovideo.timeline.endpoint import Timeline
from fovideo.timeline.values import Provenance

_log = logging.getLogger(__name__)


def carry_out(
    source: Timeline,
    target: Timeline,
    plan: Plan,
    *,
    order: Order = Order.OLDEST,
    pace: Pace | None = None,
    control: MergeControl | None = None,
    patience_ns: int = 0,
    progress: Callable[[Progress], None] | None = None,
    on_insert: Callable[[str, Provenance, int, int], None] | None = None,
    on_failure: Callable[[StreamReport], None] | None = None,
    clock: Callable[[], int] = time.monotonic_ns,
) -> StreamReport:
    """Do what a plan says, verify it, and settle. What an earlier attempt inserted is not inserted again; it
    counts as duplicate.

    Raises PlanStale if either timeline is not the one that was planned with, or has changed since otherwise:
    then nothing is inserted. Should one change while it is carried out, what was inserted before that stays.
    Rows of the source that are damaged are left out; then MergeIncomplete names them, with the report.
    patience_ns: for how long to try again without progress while a side does not answer. on_failure: told
    what is in, before an error is raised that ends it while it is carried out.
    """
    _require_sides(source, target, plan)
    inserter = Inserter(
        source=source,
        target=target,
        pace=pace or Pace(),
        order=order,
        control=control or MergeControl(),
        progress=progress,
        on_insert=on_insert,
        clock=clock,
    )
    before: Left | None = None
    damaged: list[Damaged] = []
    tries, trying_ns, last = 0, clock(), -1
    todo = None
    while True:
        try:
            manifest, held, left = _look(source, target, plan)
            done, before = Done(), before or left
            if left.frames != last:
                tries, trying_ns, last = 0, clock(), left.frames
            lost = {each.row.serial for each in damaged}
            todo = without_rows(left.plan, manifest, held, lost)
            try:
                inserter.insert(manifest, held, todo, done)
            except Stopped:
                _log.info("%s: stopped", plan.stream)
            except (StoreError, NothingThere) as error:
                found = blamed(error, source, target, manifest, done.left)
                verify(target, manifest, [*left.there, *done.steps])
                if not found:
                    raise _no_longer(plan) from None
                damaged += found
                continue
            verify(target, manifest, [*left.there, *done.steps])
            break
        except FovideoError as error:
            pause_ns = retry_after_ns(tries)
            waits = error.passing and trying_ns + patience_ns - clock() >= pause_ns
            if not waits or not inserter.control.wait(pause_ns):
                if on_failure is not None and todo is not None and before is not None:
                    mine = without_rows(before.plan, manifest, held, lost)
                    steps = _done_since(mine, manifest, done)
                    on_failure(report_unfinished(source, target, manifest, todo, steps, done.left, damaged))
                raise
            tries += 1
            _log.warning("%s: %s; going on", plan.stream, error)
    # Of this run is what earlier attempts have left and this one has not.
    done.steps = _done_since(without_rows(before.plan, manifest, held, lost), manifest, done)
    earlier = sum(stretch.frames for stretch in before.there if stretch.kind.is_shown)
    known = msgspec.structs.replace(
        plan,
        duplicate_frames=plan.duplicate_frames + earlier,
        settled=todo.settled,
        missing=todo.missing,
        held=todo.held,
    )
    whole = manifest.only(np.array([row.serial not in lost for row in manifest.rows], bool))
    report = explained(report_done(source, whole, known, done), source, target, whole, known, damaged)
    if damaged:
        alone = MergeReport(
            source=source.location,
            target=target.location,
            dry_run=False,
            streams=(report,),
            stopped=report.left_frames > 0,
        )
        raise MergeIncomplete.without({plan.stream: damaged}, alone)
    return report


def _done_since(plan: Plan, manifest: Manifest, done: Done) -> list[PlannedStretch]:
    """What is in of what was left of a plan when this run began."""
    rows = {row.serial: row for row in manifest.rows}
    missing = {name_of(piece) for step in done.left for piece in step.pieces}
    return [step for stretch in plan.stretches for step in parts_of(stretch, rows, missing, inside=False)]


def carry_out_all(
    source: Timeline,
    target: Timeline,
    plans: Sequence[Plan],
    control: MergeControl,
    *,
    on_failure: Callable[[MergeReport], None] | None = None,
    **settings: Any,
) -> MergeReport:
    """`carry_out` of the plans of several streams, one after the other; nothing is inserted if one of them is
    stale. Damage keeps back nothing else: MergeIncomplete comes at the end. on_failure: as `merge`.
    """
    for plan in plans:
        with contextlib.suppress(PeerError):  # it is asked again, with patience
            _require_sides(source, target, plan)
            _look(source, target, plan)
    reports: list[StreamReport] = []
    left_out: dict[str, Sequence[Damaged]] = {}
    failed: dict[str, StoreDamaged] = {}
    for plan in plans:
        if control.cancelled:
            break
        unfinished: list[StreamReport] = []
        try:
            settings["on_failure"] = unfinished.append
            reports.append(carry_out(source, target, plan, control=control, **settings))
        except MergeIncomplete as error:
            reports += error.report.streams
            left_out |= error.left_out
        except StoreDamaged as error:
            failed[plan.stream] = error
        except FovideoError:
            if on_failure is not None:
                names = [each.stream for each in plans]
                on_failure(ended_early(source, target, names, [*reports, *unfinished]))
            raise
    report = MergeReport(
        source=source.location,
        target=target.location,
        dry_run=False,
        streams=tuple(reports),
        stopped=len(reports) + len(failed) < len(plans) or any(each.left_frames for each in reports),
        not_begun=tuple(plan.stream for plan in plans[len(reports) + len(failed) :]),
    )
    if failed:
        raise MergeIncomplete.of(failed, report)
    if left_out:
        raise MergeIncomplete.without(left_out, report)
    return report


class Left(NamedTuple):
    """What of a plan is still to be done, and which parts of it are there."""

    plan: Plan
    there: tuple[PlannedStretch, ...]

    @property
    def frames(self) -> int:
        return sum(stretch.frames for stretch in self.plan.stretches)


def left_of(plan: Plan, source: Manifest, held: Manifest) -> Left:
    """Pure. held: of the target now, of all that the plan reaches. Raises PlanStale if the target has changed
    in another way than by this plan.
    """
    if held.generation == plan.generation:
        return Left(plan, ())
    instants = {(each.provenance.inserted_from, each.provenance.inserted_ns) for each in plan.stretches}
    by_plan = {
        number
        for number, each in held.provenances.items()
        if (each.inserted_from, each.inserted_ns) in instants
    }
    others = [row for row in around(plan, held) if row.provenance not in by_plan]
    planned_ns = max((inserted_ns for _, inserted_ns in instants), default=0)
    foreign = any(held.provenances[row.provenance].inserted_ns > planned_ns for row in others)
    # Frees and merges elsewhere change nothing for this plan, nor does what is recorded since.
    then = fingerprint(row for row in others if plan.seen and row.serial <= plan.seen.newest)
    if plan.seen is None or foreign or then != plan.seen.target:
        raise PlanStale(f"{plan.stream} has changed since the plan was made", hint="plan again")
    rows = {row.serial: row for row in source.rows}
    frames = Frames(source, held)
    left: list[PlannedStretch] = []
    there: list[PlannedStretch] = []
    for stretch in plan.stretches:
        lacking = {name_of(piece) for piece in stretch.pieces if len(frames.lacking(stretch, [piece]))}
        left += parts_of(stretch, rows, lacking, inside=True)
        there += parts_of(stretch, rows, lacking, inside=False)
    rest = msgspec.structs.replace(plan, stretches=tuple(left), generation=held.generation)
    return Left(rest, tuple(there))


def _look(source: Timeline, target: Timeline, plan: Plan) -> tuple[Manifest, Manifest, Left]:
    manifest = load_manifest(source, plan.stream)
    _require_rows(manifest, plan)
    span = reach(plan)
    held = load_manifest(target, plan.stream, span.from_ns, span.to_ns)
    try:
        return manifest, held, left_of(plan, manifest, held)
    except PlanStale as error:
        raise PlanStale(error.what, where=target.location, hint=error.hint) from None


def _require_sides(source: Timeline, target: Timeline, made: Plan) -> None:
    for side, planned, role in ((source, made.source, "source"), (target, made.target, "target")):
        if side.identity != planned:
            raise PlanStale(
                f"is not the {role} that was planned with", where=side.location, hint="plan again"
            )


def _require_rows(manifest: Manifest, made: Plan) -> None:
    """Raise PlanStale if the source lacks rows of the plan, or holds others under their serials."""
    rows = {row.serial: place for place, row in enumerate(manifest.rows)}
    taken = {piece.serial for stretch in made.stretches for piece in stretch.pieces}
    for stretch in made.stretches:
        for piece in stretch.pieces:
            place = rows.get(piece.serial)
            if place is None:
                raise _no_longer(made)
            size = manifest.rows[place].size_bytes
            if size != piece.size_bytes if not piece.rows else piece.rows[-1] >= len(manifest.stored(place)):
                raise PlanStale("the source has changed since the plan", where=made.stream, hint="plan again")
    now = fingerprint(row for row in manifest.rows if row.serial in taken)
    if made.seen is not None and now != made.seen.source:
        raise PlanStale(
            "the source has corrected its times since the plan", where=made.stream, hint="plan again"
        )


def _no_longer(made: Plan) -> PlanStale:
    return PlanStale("the source no longer holds what was planned", where=made.stream, hint="plan again")
