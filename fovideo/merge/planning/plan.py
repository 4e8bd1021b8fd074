"""The plan of a merge: a pure function of what source and target hold of one stream.

What the target lacks is inserted, what both have is left alone, and nothing is removed: the target's frames
afterwards are the union. See docs/design/merge.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import compress

import numpy as np

from fovideo.errors import UsageError
from fovideo.merge import _rows
from fovideo.merge.line import Mask, Times
from fovideo.merge.manifest import Columns, Manifest
from fovideo.merge.placing.clock import Clock
from fovideo.merge.placing.runs import Placed, place_runs
from fovideo.merge.planning.common import without_common
from fovideo.merge.planning.inorder import in_order
from fovideo.merge.planning.lone import Between, without_lone
from fovideo.merge.planning.near import is_confirmed, near_waiting
from fovideo.merge.planning.outlook import outlook
from fovideo.merge.planning.parts import divided
from fovideo.merge.planning.seams import name_seams
from fovideo.merge.planning.sequence import find_links, moved_frames, order_of, states_of
from fovideo.merge.planning.splice import Splicer
from fovideo.merge.planning.stretch import build_stretches
from fovideo.merge.states import CLASH, DOUBT, KEPT, LATER, MAYBE, NEW, THERE, States
from fovideo.merge.values import Plan
from fovideo.timeline.cover import DEFAULT_INTERVAL_NS
from fovideo.timeline.values import Gop, GopFlag, Loss
from fovideo.times import NS_PER_MS, NS_PER_S

WINDOW_NS = 600 * NS_PER_S
"""How far the clocks of source and target may be apart."""

_EDGE_FRAMES = 8  # a live target may still be writing frames this close to its durable edge
_EDGE_NS = 500 * NS_PER_MS
_LONGEST_ROW_NS = 60 * NS_PER_S
_STATES = max(NEW, THERE, CLASH, KEPT, LATER, DOUBT, MAYBE) + 1


def plan(
    source: Manifest,
    target: Manifest,
    *,
    from_ns: int | None = None,
    to_ns: int | None = None,
    window_ns: int = WINDOW_NS,
    expected_ns: int = 0,
    losses: Sequence[Loss] = (),
    now_ns: int = 0,
    lease: int = 0,
    waiting: bool = False,
) -> Plan:
    """What to insert so that the target holds every frame that the source holds in [from_ns, to_ns), target
    time.

    Rows that reach into the window are taken whole. Both manifests should reach window_ns further than the
    window, so that the clocks can be compared. losses: the target's, for the reasons of what stays missing.
    now_ns, lease: for the provenance of what is inserted. waiting: the target holds all rows of the source
    but those that wait to be merged (GopFlag.PENDING), so only these and what lies around them need work.
    """
    if source.identity == target.identity:
        raise UsageError("source and target are the same store", where=source.identity)
    if target.rows:
        source = source.counted_by(target.primary)
    whole_source, whole_target = source, target
    sides = [(source, target)]
    if waiting and (near := near_waiting(source, target)):
        sides.insert(0, near)
    for number, (source, target) in enumerate(sides, 1):
        source, target, common = without_common(source, target, from_ns, to_ns, expected_ns)
        between: Between = {}
        if from_ns is None and to_ns is None:
            until_ns = _surely_durable_ns(target, window_ns, expected_ns)
            source, target, between = without_lone(source, target, window_ns, until_ns)
        placement = place_runs(source, target, window_ns, expected_ns)
        source, between, parts = divided(source, placement, between)
        if parts.whole:
            placement = place_runs(source, target, window_ns, expected_ns)
        if number == len(sides) or is_confirmed(placement):
            break
    runs = placement.runs
    anchored = {place for placed in runs for place in _any_there(placed.states)}
    clocks = in_order(source, ((placed.run, placed.clock) for placed in runs), anchored)
    inside = set(clocks)
    if from_ns is not None or to_ns is not None:
        inside = {place for place in clocks if _is_inside(source.rows[place], clocks[place], from_ns, to_ns)}
    states, cut = _states(source, target, runs, inside, to_ns)
    order = order_of(source, placement)
    splicer = Splicer(source, states, find_links(source, placement, order))
    cuts = splicer.run()
    name_seams(splicer)
    moved = moved_frames(source, placement, states, order.pattern)
    arrived = {
        place: (placed.ahead_ns, placed.guessed, placed.late_ns.get(place))
        for placed in runs
        if placed.ahead_ns is not None
        for place in placed.run.places
    }
    stretches = build_stretches(source, cuts, clocks, moved, now_ns, lease, between, arrived)
    stretches = [parts.put_back(stretch) for stretch in stretches]
    after = outlook(whole_source, whole_target, stretches, losses, from_ns, to_ns)
    leader = max(runs, key=lambda placed: placed.matched, default=None)
    counts = _counts(source, states, inside)
    return Plan(
        stream=source.stream,
        source=source.identity,
        target=target.identity,
        generation=target.generation,
        stretches=tuple(stretches),
        duplicate_frames=counts[THERE][0] + common.frames,
        duplicate_others=counts[THERE][1] + common.others,
        conflicting_frames=counts[CLASH][0] + counts[KEPT][0],
        deferred_frames=_counts(source, states, inside - cut)[LATER][0],
        settled=_in_row_order(
            whole_source,
            parts.rows_of({source.rows[place].serial for place in inside if _is_settled(states[place])}),
            (*common.serials, *(row.serial for rows in between.values() for row in rows)),
        ),
        missing=after.missing,
        held=after.held,
        conflicts=after.conflicts,
        clock_offset_ns=leader.clock.offset_ns if leader is not None else 0,
    )


def _surely_durable_ns(target: Manifest, window_ns: int, expected_ns: int) -> int | None:
    """Until when the target is durable by any clock that the source can have; None if it is not recorded."""
    if not target.live_edge_ns:
        return None
    return target.live_edge_ns - abs(expected_ns) - 2 * window_ns - _LONGEST_ROW_NS


def _in_row_order(source: Manifest, settled: set[int], left_out: Iterable[int]) -> tuple[int, ...]:
    settled.update(left_out)
    if len(settled) == len(source.rows):
        return tuple([row.serial for row in source.rows])
    return tuple(row.serial for row in source.rows if row.serial in settled)


def _is_inside(row: Gop, clock: Clock, from_ns: int | None, to_ns: int | None) -> bool:
    shift_ns = clock.offset_at(row.start_ns)
    return (from_ns is None or row.end_ns + shift_ns > from_ns) and (
        to_ns is None or row.start_ns + shift_ns < to_ns
    )


def _states(
    source: Manifest, target: Manifest, runs: Iterable[Placed], inside: set[int], to_ns: int | None
) -> tuple[dict[int, States | None], set[int]]:
    """State of every frame of every row; None for rows that are new as a whole. And the rows of which only
    what lies behind the window's end is LATER.
    """
    result: dict[int, States | None] = {}
    beyond: set[int] = set()
    for placed in runs:
        places = placed.run.places
        result.update((place, placed.states.get(place)) for place in places)
        rows = source.columns[list(places)]
        shifts_ns = placed.clock.offsets_at(rows[:, _rows.START])
        ends_ns = rows[:, _rows.END] + shifts_ns
        waits = _waits(rows, ends_ns, source, target)
        if len(inside) < len(source.rows):
            waits |= np.array([place not in inside for place in places], bool)
        cut = waits if to_ns is None else waits | (ends_ns > to_ns)
        for at in np.flatnonzero(cut).tolist():
            place = places[at]
            stored = source.stored(place)
            waiting: Mask | bool = True
            if not waits[at]:
                beyond.add(place)
                waiting = stored["time_ns"] + source.rows[place].shift_ns + int(shifts_ns[at]) >= to_ns
            if np.any(waiting):
                states = states_of(result[place], len(stored)).copy()
                states[waiting & np.isin(states, (NEW, CLASH, DOUBT, MAYBE))] = LATER
                result[place] = states
    return result, beyond


def _waits(rows: Columns, ends_ns: Times, source: Manifest, target: Manifest) -> Mask:
    """Which rows are not for now: the source still writes them, or the target may still write what they hold.

    ends_ns: of each row, by the target's clock.
    """
    waits = np.zeros(len(rows), bool)
    if source.live_edge_ns:
        waits |= rows[:, _rows.FLAGS] & GopFlag.COMPLETE == 0
    if target.live_edge_ns:
        interval_ns = np.where(rows[:, _rows.INTERVAL], rows[:, _rows.INTERVAL], DEFAULT_INTERVAL_NS)
        waits |= ends_ns > target.live_edge_ns - np.maximum(interval_ns * _EDGE_FRAMES, _EDGE_NS)
    return waits


def _is_settled(states: States | None) -> bool:
    return states is None or not bool((states == LATER).any())


def _any_there(states: Mapping[int, States]) -> set[int]:
    """Rows of which the target has some frame."""
    known = {place: mine for place, mine in states.items() if len(mine)}
    if not known:
        return set()
    starts = np.cumsum([0, *map(len, known.values())])[:-1]
    found = np.logical_or.reduceat(np.concatenate(list(known.values())) == THERE, starts)
    return set(compress(known, found.tolist()))


def _counts(
    source: Manifest, states: Mapping[int, States | None], inside: Iterable[int]
) -> list[tuple[int, int]]:
    """By state, frames in it: of the primary track, and of the others. Rows that are new as a whole do not
    count.
    """
    known = {place: mine for place in inside if (mine := states[place]) is not None}
    counts = np.zeros(2 * _STATES, np.int64)
    if known:
        other = source.joined(list(known))["track"] != source.primary
        counts = np.bincount(np.concatenate(list(known.values())) * 2 + other, minlength=2 * _STATES)
    return [(int(mine), int(others)) for mine, others in counts.reshape(-1, 2)]
