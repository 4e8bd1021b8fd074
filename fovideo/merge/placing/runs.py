"""Place the source's runs on the target's clock, and tell which of their frames the target holds. Pure.

A run with enough matching frames is placed by them. One without (all of it lies in the gap, or it is a static
scene) takes the clock of the nearest run of the source whose times come from the same kind of clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import islice, pairwise

import numpy as np

from fovideo.merge.footage import Footage, reported_sessions, rows_to_compare, unpack
from fovideo.merge.line import Index, Mask, Times, again_after_ns, line_of, repeated_in
from fovideo.merge.manifest import SAME_CLOCK_NS, Manifest, Run
from fovideo.merge.placing.align import align, overall_offset, pinned_offset
from fovideo.merge.placing.anchors import Stretch, anchors_of
from fovideo.merge.placing.apart import interleaved
from fovideo.merge.placing.certain import certain, is_refuted, most_once
from fovideo.merge.placing.clock import Clock
from fovideo.merge.placing.home import at_home
from fovideo.merge.placing.laps import is_for_its_clock
from fovideo.merge.placing.machines import SLACK_NS, Machines
from fovideo.merge.placing.offset import NEAR_NS, Offset, Prior, lap_after_ns
from fovideo.merge.placing.told import told_of_all_ns, told_of_nearest_ns
from fovideo.merge.states import CLASH, DOUBT, KEPT, NEW, THERE, States
from fovideo.times import NS_PER_MS

_CLOSE_NS = 15 * NS_PER_MS  # a good guess is this good: nearer than two frames that may be alike
_CLEAR = 0.95  # share of what lies in the overlap that an offset explains if it is the right one
_ENOUGH = 8  # matched frames that make a run's own offset better than its neighbours'


@dataclass
class Placed:
    """A run of the source with its clock. states: of each frame of the rows that were compared;
    the target can't hold any frame of the others. dts_ns: of the same rows, effective decode times of the
    target's identical frames where the state is THERE. matched: frames that gave the clock. kin: frames
    of the same encoder that the target has and the run has not; beside: those of sessions that share frames
    with it. ahead_ns: by how much the clock of the target's machine is ahead, where that is known.
    guessed: that may be otherwise. late_ns: of the same rows, as of Footage.
    """

    run: Run
    clock: Clock = field(default_factory=Clock)
    states: dict[int, States] = field(default_factory=dict)
    dts_ns: dict[int, Times] = field(default_factory=dict)
    matched: int = 0
    kin: list[Footage] = field(default_factory=list)
    beside: list[Footage] = field(default_factory=list)
    ahead_ns: int | None = None
    guessed: bool = False
    late_ns: dict[int, Times] = field(default_factory=dict)


@dataclass(frozen=True)
class Placement:
    """The source's runs by time, and all footage that the target will hold, as far as it was compared."""

    runs: list[Placed]
    union: list[Footage]

    def states(self) -> dict[int, States]:
        """Of all rows that were compared."""
        return {place: states for placed in self.runs for place, states in placed.states.items()}


@dataclass(frozen=True)
class _Sketch:
    """A run before it is placed. kind: what its times come from (media.frames.Clock).

    by_laps: only its clock tells which lap of what repeats it is on. nominal_ns: offset that the machines'
    clocks tell. offset: what content says beyond that, where they are
    not known. pinned_ns: offset of what an earlier merge took of it, where that knew no more.
    """

    run: Run
    footage: list[Footage]
    kind: int
    start_ns: int
    end_ns: int
    offset: Offset | None
    pinned_ns: int | None
    nominal_ns: int
    by_laps: bool = False

    @property
    def matched(self) -> int:
        return self.offset.matched if self.offset is not None else 0

    def distance_ns(self, other: _Sketch) -> int:
        return max(self.start_ns - other.end_ns, other.start_ns - self.end_ns, 0)


def place_runs(source: Manifest, target: Manifest, window_ns: int, expected_ns: int = 0) -> Placement:
    """Every run of the source, placed. window_ns: how far from expected_ns the clocks may be apart."""
    reported = reported_sessions(source) | reported_sessions(target)
    there = [footage for _, each in _unpacked(target, source, window_ns, reported) for footage in each]
    runs = _unpacked(source, target, window_ns, reported)
    everything = [each for _, footage in runs for each in footage]
    sides = [[each for each in side if not each.conflict] for side in (there, everything)]
    lines = [line_of(each.frames, source.primary) for side in sides for each in side]
    repeated = np.union1d(*(repeated_in(each.frames["digest"] for each in side) for side in sides))
    prior = Prior(
        window_ns=window_ns,
        repeated=repeated,
        repeats=any(np.isin(line.digest, repeated).any() for line in lines),
        again_ns=again_after_ns(lines),
        lap_ns=lap_after_ns(lines),
    )
    possible = Machines.possible(everything, there, source.primary, window_ns, expected_ns)
    if len(possible) == 1 or not prior.repeats:
        return _placed_all(source, runs, there, prior, possible[0])
    placements = [_placed_all(source, runs, there, prior, each) for each in possible]
    again = {place: np.isin(source.stored(place)["digest"], repeated) for place in placements[0].states()}
    best = most_once([each.states() for each in placements], again)
    placement = placements[best]
    believed = placement.states()
    others = [
        (each, machines.likely)
        for each, machines in zip(placements, possible, strict=True)
        if each is not placement and not is_refuted(each.states(), believed, again)
    ]
    states = certain(believed, [(each.states(), likely) for each, likely in others], again)
    for number, placed in enumerate(placement.runs):
        placed.states = {place: states[place] for place in placed.states}
        dates = [each.runs[number].ahead_ns or 0 for each, _ in others]
        placed.guessed = any(abs(each - (placed.ahead_ns or 0)) > SLACK_NS for each in dates)
    return placement


def _placed_all(
    source: Manifest,
    runs: Sequence[tuple[Run, list[Footage]]],
    targets: Sequence[Footage],
    prior: Prior,
    machines: Machines,
) -> Placement:
    """All runs, if the machines' clocks are so."""
    there = list(targets)
    sketches = [_sketch(source, run, footage, there, prior, machines) for run, footage in runs]
    if not machines.told and (told_ns := _told_by_content(sketches)) is not None:
        machines = replace(machines, expected_ns=machines.expected_ns + told_ns, told=True)
        sketches = [_retold(each, there, prior, machines, told_ns) for each in sketches]
    done: list[tuple[_Sketch, Placed]] = []
    for sketch in sorted(sketches, key=lambda each: (each.pinned_ns is None, -each.matched, each.start_ns)):
        borrowed, is_told = _borrow(sketch, done, there, machines, prior)
        informed = _informed(sketch, borrowed, prior, is_told=is_told)
        placed = _place(sketch, there, borrowed, source.primary, informed, machines)
        there.extend(_planned(sketch, placed))
        done.append((sketch, placed))
    return Placement([placed for _, placed in sorted(done, key=lambda each: each[0].start_ns)], there)


def _unpacked(
    manifest: Manifest, other: Manifest, window_ns: int, reported: frozenset[str]
) -> list[tuple[Run, list[Footage]]]:
    """Runs with the footage that may also be on the other side."""
    places = rows_to_compare(manifest, other, window_ns)
    runs = [(run, unpack(manifest, run, places, reported)) for run in manifest.runs()]
    homed = iter(at_home(manifest.identity, [each for _, footage in runs for each in footage]))
    return [(run, list(islice(homed, len(footage)))) for run, footage in runs]


def _sketch(
    source: Manifest,
    run: Run,
    footage: list[Footage],
    there: Sequence[Footage],
    prior: Prior,
    machines: Machines,
) -> _Sketch:
    first = source.stored(run.places[0])
    shown = next((each for each in footage if not each.conflict), None)
    pinned_ns = None if shown is None or machines.told else pinned_offset(shown, there)
    nominal_ns, offset = 0, None
    if shown is not None:
        nominal_ns = told_of_all_ns(shown, there, machines, prior)
        guess = prior if pinned_ns is None else replace(prior, expected_ns=pinned_ns - nominal_ns)
        offset = overall_offset(shown, there, source.primary, guess, machines)
    return _Sketch(
        run=run,
        footage=footage,
        kind=int(np.bincount(first["clock"]).argmax()) if len(first) else 0,
        start_ns=source.rows[run.places[0]].start_ns,
        end_ns=max(source.rows[place].end_ns for place in run.places),
        offset=offset,
        pinned_ns=pinned_ns,
        nominal_ns=nominal_ns,
        by_laps=shown is not None and is_for_its_clock(shown, there, source.primary, prior),
    )


def _told_by_content(sketches: Sequence[_Sketch]) -> int | None:
    """By how much more than expected the machines' clocks are apart, where the runs that have many frames in
    common with the target all say the same.
    """
    found = [
        each.offset.offset_ns
        for each in sketches
        if each.offset is not None
        and each.matched >= _ENOUGH
        and each.offset.quality >= _CLEAR
        and not each.by_laps
    ]
    if not found or max(found) - min(found) > _CLOSE_NS:
        return None
    return int(np.median(found))


def _retold(
    sketch: _Sketch, there: Sequence[Footage], prior: Prior, machines: Machines, told_ns: int
) -> _Sketch:
    """A sketch with what is expected now. told_ns: by how much more than before."""
    shown = next((each for each in sketch.footage if not each.conflict), None)
    nominal_ns = sketch.nominal_ns if shown is None else told_of_all_ns(shown, there, machines, prior)
    offset = sketch.offset
    if offset is not None:
        offset = replace(offset, offset_ns=offset.offset_ns - told_ns)
    return replace(sketch, offset=offset, nominal_ns=nominal_ns)


def _borrow(
    sketch: _Sketch,
    done: Sequence[tuple[_Sketch, Placed]],
    there: Sequence[Footage],
    machines: Machines,
    prior: Prior,
) -> tuple[Clock, bool]:
    """The clock for a run without frames to match: of the same session; else what the machines' clocks say of
    the target's nearest footage; else that of the nearest run of the same kind; else what was expected.
    And whether it is what the machines' clocks say.
    """
    known = [
        (other.distance_ns(sketch), number)
        for number, (other, placed) in enumerate(done)
        if placed.matched and other.run.session == sketch.run.session
    ]
    if known:
        return done[min(known)[1]][1].clock, False
    shown = next((each for each in sketch.footage if not each.conflict), None)
    told = None if shown is None else told_of_nearest_ns(shown, there, machines, prior)
    if told is not None:
        return Clock.of([(sketch.start_ns, told)]), True
    known = [
        (other.distance_ns(sketch), number)
        for number, (other, placed) in enumerate(done)
        if placed.matched and other.kind == sketch.kind
    ]
    if known:
        return done[min(known)[1]][1].clock, False
    return Clock.of([(sketch.start_ns, sketch.nominal_ns)]) if sketch.nominal_ns else Clock(), True


def _place(
    sketch: _Sketch,
    there: Sequence[Footage],
    borrowed: Clock,
    primary: int,
    prior: Prior,
    machines: Machines,
) -> Placed:
    placed = Placed(sketch.run, borrowed, ahead_ns=_ahead_ns(sketch, there, machines))
    stretches: list[Stretch] = []
    alignments = [align(footage, there, primary, prior, machines) for footage in sketch.footage]
    for footage, aligned in zip(sketch.footage, alignments, strict=True):  # what is shown comes first
        if not footage.conflict and aligned.stretches:
            stretches += aligned.stretches
            placed.clock = Clock.of(anchors_of(stretches))
            placed.matched += aligned.matched
        if not footage.conflict:
            placed.kin.extend(aligned.kin)
            placed.beside.extend(aligned.beside)
        states = np.full(len(footage.frames), CLASH if footage.conflict else NEW, np.uint8)
        states[aligned.clash] = CLASH
        states[aligned.kept] = KEPT
        states[aligned.held] = THERE
        states[aligned.doubtful] = DOUBT
        within = interleaved(footage, aligned, _shifts(footage, placed.clock))
        states[(states == NEW) & within] = CLASH
        edges = [*_firsts(footage).tolist(), len(states)]
        for row, (start, stop) in zip(footage.row[edges[:-1]].tolist(), pairwise(edges), strict=True):
            placed.states[row], placed.dts_ns[row] = states[start:stop], aligned.dts_ns[start:stop]
            placed.late_ns[row] = footage.late_ns[start:stop]
    return placed


def _ahead_ns(sketch: _Sketch, there: Sequence[Footage], machines: Machines) -> int | None:
    """By how much the clock of the target's machine is ahead of that by which a run arrived."""
    stores = [each.store for each in sketch.footage if each.lag_ns is not None]
    homes = [each.home for each in there[:1]]
    return machines.told_ns(stores[0], homes[0]) if stores and homes else None


def _informed(sketch: _Sketch, borrowed: Clock, prior: Prior, *, is_told: bool) -> Prior:
    """What is known of the run's offset now, beyond what the machines' clocks tell; best knowledge first.
    Where content repeats, a good guess is kept to. is_told: what is borrowed is only what they tell.
    """
    near_ns = (
        NEAR_NS
        if sketch.offset is not None and not prior.repeats
        else max(_CLOSE_NS, min(prior.again_ns * 2 // 5, NEAR_NS))
    )
    if sketch.offset is not None and sketch.matched >= _ENOUGH and not sketch.by_laps:
        expected_ns = sketch.offset.offset_ns
    elif sketch.pinned_ns is not None and not sketch.by_laps:
        expected_ns = sketch.pinned_ns - sketch.nominal_ns
    elif is_told and borrowed.anchors:
        expected_ns = 0  # of each of the target's runs they tell another offset: none is added to another
    elif borrowed.anchors:
        middle_ns = (sketch.start_ns + sketch.end_ns) // 2
        expected_ns = borrowed.offset_at(middle_ns) - sketch.nominal_ns
    elif sketch.offset is not None and not sketch.by_laps:
        expected_ns = sketch.offset.offset_ns
    else:
        return prior
    return replace(prior, expected_ns=expected_ns, near_ns=near_ns)


def _planned(sketch: _Sketch, placed: Placed) -> list[Footage]:
    """What this run will add to the target: later runs are compared with that too."""
    result = []
    for footage in sketch.footage:
        states = np.concatenate([placed.states[row] for row in footage.row[_firsts(footage)].tolist()])
        shift_ns = _shifts(footage, placed.clock)
        for state in (NEW, CLASH, DOUBT):
            mask = states == state
            for piece in _pieces(shift_ns, mask):
                doubtful = state == DOUBT
                result.append(footage.pick(piece, shift_ns, conflict=state != NEW, doubtful=doubtful))
    return result


def _pieces(shift_ns: Times, mask: Mask) -> list[Mask]:
    """The mask's frames by how far they are moved: as the target will hold them."""
    values = np.unique(shift_ns[mask])
    steps = values[1:][np.diff(values) > SAME_CLOCK_NS]
    number = np.searchsorted(steps, shift_ns, side="right")
    return [mask & (number == each) for each in range(len(steps) + 1)] if mask.any() else []


def _shifts(footage: Footage, clock: Clock) -> Times:
    """For each frame the clock's offset where its row begins."""
    first = _firsts(footage)
    counts = np.diff(np.append(first, len(footage.row)))
    shifts: Times = np.repeat(clock.offsets_at(footage.frames["time_ns"][first]), counts)
    return shifts


def _firsts(footage: Footage) -> Index:
    """Where each row begins."""
    return np.concatenate(([0], np.flatnonzero(np.diff(footage.row)) + 1))
