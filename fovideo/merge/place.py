"""Place the source's runs on the target's clock, and tell which of their frames the target holds. Pure.

A run with enough matching frames is placed by them. One without (all of it lies in the gap, or it is a static
scene) takes the clock of the nearest run of the source whose times come from the same kind of clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from fovideo.merge.align import align, overall_offset, pinned_offset
from fovideo.merge.clock import Clock
from fovideo.merge.footage import Footage, reported_sessions, rows_to_compare, unpack
from fovideo.merge.line import Times, line_of, repeated_in
from fovideo.merge.manifest import Manifest, Run
from fovideo.merge.offset import NEAR_NS, Offset, Prior
from fovideo.merge.receipts import Receipts
from fovideo.merge.splice import CLASH, KEPT, NEW, THERE, States
from fovideo.times import NS_PER_MS

_CLOSE_NS = 15 * NS_PER_MS  # a good guess is this good: nearer than two frames that may be alike
_ENOUGH = 8  # matched frames that make a run's own offset better than its neighbours'


@dataclass
class Placed:
    """A run of the source with its clock. states: of each frame of the rows that were compared;
    the target can't hold any frame of the others. dts_ns: of the same rows, effective decode times of the
    target's identical frames where the state is THERE. matched: frames that gave the clock. kin: frames
    of the same encoder that the target has and the run has not.
    """

    run: Run
    clock: Clock = field(default_factory=Clock)
    states: dict[int, States] = field(default_factory=dict)
    dts_ns: dict[int, Times] = field(default_factory=dict)
    matched: int = 0
    kin: list[Footage] = field(default_factory=list)


@dataclass(frozen=True)
class Placement:
    """The source's runs by time, and all footage that the target will hold, as far as it was compared."""

    runs: list[Placed]
    union: list[Footage]


@dataclass(frozen=True)
class _Sketch:
    """A run before it is placed. kind: what its times come from (media.frames.Clock)."""

    run: Run
    footage: list[Footage]
    kind: int
    start_ns: int
    end_ns: int
    offset: Offset | None
    pinned_ns: int | None

    @property
    def matched(self) -> int:
        return self.offset.matched if self.offset is not None else 0

    def distance_ns(self, other: _Sketch) -> int:
        return max(self.start_ns - other.end_ns, other.start_ns - self.end_ns, 0)


def place_runs(source: Manifest, target: Manifest, window_ns: int, expected_ns: int = 0) -> Placement:
    """Every run of the source, placed. window_ns: how far from expected_ns the clocks may be apart."""
    reported = reported_sessions(source) | reported_sessions(target)
    places = rows_to_compare(target, source, window_ns)
    there = [footage for run in target.runs() for footage in unpack(target, run, places, reported)]
    places = rows_to_compare(source, target, window_ns)
    runs = [(run, unpack(source, run, places, reported)) for run in source.runs()]
    repeated = [
        repeated_in(line_of(each.frames, source.primary) for each in side if not each.conflict)
        for side in (there, [each for _, footage in runs for each in footage])
    ]
    prior = Prior(expected_ns=expected_ns, window_ns=window_ns, repeated=np.union1d(*repeated))
    sketches = [_sketch(source, run, footage, there, prior) for run, footage in runs]
    receipts: Receipts = {}
    done: list[tuple[_Sketch, Placed]] = []
    for sketch in sorted(sketches, key=lambda each: (each.pinned_ns is None, -each.matched, each.start_ns)):
        borrowed = _borrow(sketch, done, expected_ns)
        placed = _place(sketch, there, borrowed, source.primary, prior, receipts)
        there.extend(_planned(sketch, placed))
        done.append((sketch, placed))
    return Placement([placed for _, placed in sorted(done, key=lambda each: each[0].start_ns)], there)


def _sketch(
    source: Manifest, run: Run, footage: list[Footage], there: Sequence[Footage], prior: Prior
) -> _Sketch:
    first = source.stored(run.places[0])
    shown = next((each for each in footage if not each.conflict), None)
    pinned_ns = None if shown is None else pinned_offset(shown, there)
    offset = None
    if shown is not None:
        guess = prior if pinned_ns is None else replace(prior, expected_ns=pinned_ns)
        offset = overall_offset(shown, there, source.primary, guess)
    return _Sketch(
        run=run,
        footage=footage,
        kind=int(np.bincount(first["clock"]).argmax()) if len(first) else 0,
        start_ns=source.rows[run.places[0]].start_ns,
        end_ns=max(source.rows[place].end_ns for place in run.places),
        offset=offset,
        pinned_ns=pinned_ns,
    )


def _borrow(sketch: _Sketch, done: Sequence[tuple[_Sketch, Placed]], expected_ns: int) -> Clock:
    """The clock of the nearest run that has one of its own: of the same session, else of the same kind of
    clock; else what was expected.
    """
    known = [
        (other.run.session != sketch.run.session, sketch.distance_ns(other), number)
        for number, (other, placed) in enumerate(done)
        if placed.matched and (other.kind == sketch.kind or other.run.session == sketch.run.session)
    ]
    if known:
        return done[min(known)[2]][1].clock
    return Clock.of([(sketch.start_ns, expected_ns)]) if expected_ns else Clock()


def _place(
    sketch: _Sketch,
    there: Sequence[Footage],
    borrowed: Clock,
    primary: int,
    prior: Prior,
    receipts: Receipts,
) -> Placed:
    prior = _informed(sketch, borrowed, prior)
    placed = Placed(sketch.run, borrowed)
    for footage in sketch.footage:  # what is shown comes first
        aligned = align(footage, there, primary, prior, receipts)
        if not footage.conflict and aligned.anchors:
            placed.clock = Clock.of(aligned.anchors)
            placed.matched = aligned.matched
        placed.kin.extend([] if footage.conflict else aligned.kin)
        states = np.full(len(footage.frames), CLASH if footage.conflict else NEW, np.uint8)
        states[aligned.clash] = CLASH
        states[aligned.kept] = KEPT
        states[aligned.held] = THERE
        cuts = np.flatnonzero(np.diff(footage.row)) + 1
        rows = footage.row[np.concatenate(([0], cuts))].tolist()
        placed.states.update(zip(rows, np.split(states, cuts), strict=True))
        placed.dts_ns.update(zip(rows, np.split(aligned.dts_ns, cuts), strict=True))
    return placed


def _informed(sketch: _Sketch, borrowed: Clock, prior: Prior) -> Prior:
    """What is known of the run's offset now, best knowledge first. Where content repeats, a good guess is
    kept to.
    """
    near_ns = NEAR_NS if sketch.offset is not None and not len(prior.repeated) else _CLOSE_NS
    if sketch.offset is not None and sketch.matched >= _ENOUGH:
        expected_ns = sketch.offset.offset_ns
    elif sketch.pinned_ns is not None:
        expected_ns = sketch.pinned_ns
    elif borrowed.anchors:
        expected_ns = borrowed.offset_at((sketch.start_ns + sketch.end_ns) // 2)
    elif sketch.offset is not None:
        expected_ns = sketch.offset.offset_ns
    else:
        return prior
    return replace(prior, expected_ns=expected_ns, near_ns=near_ns)


def _planned(sketch: _Sketch, placed: Placed) -> list[Footage]:
    """What this run will add to the target: later runs are compared with that too."""
    result = []
    for footage in sketch.footage:
        rows = list(dict.fromkeys(footage.row.tolist()))
        states = np.concatenate([placed.states[row] for row in rows])
        shift_ns = _shifts(footage, placed.clock)
        for state in (NEW, CLASH):
            mask = states == state
            if mask.any():
                result.append(footage.pick(mask, shift_ns, conflict=state == CLASH))
    return result


def _shifts(footage: Footage, clock: Clock) -> Times:
    """For each frame the clock's offset where its row begins."""
    first = np.concatenate(([0], np.flatnonzero(np.diff(footage.row)) + 1))
    counts = np.diff(np.append(first, len(footage.row)))
    starts = footage.frames["time_ns"][first].tolist()
    shifts: Times = np.repeat(np.array([clock.offset_at(at) for at in starts], np.int64), counts)
    return shifts
