"""The order in which inserted frames are decoded among those that are there. Pure.

Decode times are derived from the presentation times that a recorder received (docs/design/architecture.md).
Where frames are reordered and some are missing on one side, the two sides derive different ones, and frames
put in between would come in the wrong order. Their decode times are moved to where they belong: between the
frames that they lie between in the source, and among others of the target by the pattern of the stream.
Presentation times are never touched.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from fovideo.media.frames import FrameFlag, FrameTable, joined, picked
from fovideo.merge.footage import Footage
from fovideo.merge.line import Index, Mask, Times, interval_of
from fovideo.merge.manifest import Manifest
from fovideo.merge.placing.runs import Placed, Placement
from fovideo.merge.planning.reorder import UNKNOWN, Pattern, Sequence, find_pattern
from fovideo.merge.planning.splice import ADJACENT, BRIDGED, BROKEN, Links
from fovideo.merge.states import DOUBT, NEW, THERE, States
from fovideo.timeline.cover import DEFAULT_INTERVAL_NS, holes, longest_step_ns
from fovideo.times import NS_PER_MS, NS_PER_S

Moved: TypeAlias = dict[int, Times]
"""By place of a source row, stored decode times for all of its frames: only rows of which some had to
move.
"""

_NEVER_NS = -(1 << 62)
_NOBODY = -1
_FAR_NS = NS_PER_S
_STEP_NS = NS_PER_MS
"""Distance kept of what has to move, if there is room."""


@dataclass(frozen=True)
class _Joined:
    """Frames of the primary track of a run's compared rows, in decode order, on the target's clock.

    place, row: of each, the place of its row in the manifest, and its row in that table.
    """

    time_ns: Times
    dts_ns: Times
    flags: npt.NDArray[np.uint8]
    there: Mask
    new: Mask
    interval_ns: int
    place: Index
    row: Index

    def by_place(self) -> Iterator[tuple[int, slice, Index]]:
        """Place, its frames here, and their rows in its table."""
        cuts = [0, *(np.flatnonzero(np.diff(self.place)) + 1).tolist(), len(self.place)]
        for start, stop in pairwise(cuts):
            yield int(self.place[start]), slice(start, stop), self.row[start:stop]


@dataclass(frozen=True)
class Order:
    """How the frames of a stream are reordered. pattern: None = not, or not regularly."""

    reorders: bool = False
    pattern: Pattern | None = None


def order_of(source: Manifest, placement: Placement) -> Order:
    """How the stream's frames are reordered, from all that was compared."""
    sequences = []
    tables = [picked(each.frames, each.frames["track"] == source.primary) for each in placement.union]
    if not any((frames["dts_ns"] != frames["time_ns"]).any() for frames in tables):
        return Order()
    for frames in tables:
        sequences.append(Sequence(frames["time_ns"], frames["flags"] & FrameFlag.KEY != 0))
    return Order(True, find_pattern(sequences))


def find_links(source: Manifest, placement: Placement, order: Order) -> dict[int, Links]:
    """How the frames of the primary track hang together, for the rows that were compared.

    The first frame of a row counts with the row before, if that was compared too.
    """
    result: dict[int, Links] = {}
    for placed in placement.runs:
        for place, states in placed.states.items():
            result[place] = Links.broken(len(states))
        joined = _join(source, placed, {})
        if joined is None:
            continue
        links = _link(joined, _primary(placed.beside, source.primary), order)
        for place, mine, rows in joined.by_place():
            result[place].take(rows, links, mine)
    return result


def _link(joined: _Joined, others: FrameTable, order: Order) -> Links:
    """others: frames of the target's that the run has not, by decode time."""
    dts, limit_ns = joined.dts_ns, longest_step_ns(joined.interval_ns or DEFAULT_INTERVAL_NS)
    lost = np.concatenate(([True], holes(dts, joined.flags, joined.interval_ns or DEFAULT_INTERVAL_NS)))
    preceding, following = np.full((2, len(dts)), _NOBODY, np.int64)
    if order.pattern is not None:
        places, theirs = order.pattern.places(joined.time_ns), order.pattern.places(others["time_ns"])
        known = places != UNKNOWN
        both = known[1:] & known[:-1]
        told = joined.flags[1:] & FrameFlag.LOST_BEFORE != 0
        lost[1:] = np.where(both, (np.diff(places) != 1) | told, lost[1:])
        preceding[known] = _at(theirs, places[known] - 1)
        following[known] = _at(theirs, places[known] + 1)
    elif not order.reorders and len(others):  # else decode times do not tell what is right before
        edges = np.concatenate(([_NEVER_NS], others["dts_ns"], [-_NEVER_NS]))
        right = np.searchsorted(others["dts_ns"], dts) + 1
        own = np.concatenate(([_NEVER_NS], dts, [-_NEVER_NS]))
        before = (edges[right - 1] > own[:-2]) & (dts - edges[right - 1] <= limit_ns)
        after = (edges[right] < own[2:]) & (edges[right] - dts <= limit_ns)
        preceding[before], following[after] = right[before] - 2, right[after] - 1
    following[:-1][~lost[1:]] = _NOBODY
    digests = np.append(others["digest"], np.uint64(0))  # of nobody
    links = np.where(lost, np.where(preceding >= 0, BRIDGED, BROKEN), ADJACENT).astype(np.uint8)
    return Links(links, following >= 0, digests[preceding], digests[following])


def _at(places: Times, wanted: Times) -> Times:
    """For each place that is wanted, the number of the entry that has it; _NOBODY where none has."""
    if not len(places):
        return np.full(len(wanted), _NOBODY, np.int64)
    order = np.argsort(places, kind="stable")
    found = order[np.minimum(np.searchsorted(places[order], wanted), len(order) - 1)]
    return np.where((places[found] == wanted) & (wanted > UNKNOWN), found, _NOBODY)


def moved_frames(
    source: Manifest,
    placement: Placement,
    states: Mapping[int, States | None],
    pattern: Pattern | None,
) -> Moved:
    """Decode times for the new frames of the primary track, where those they have do not fit the target's."""
    result: Moved = {}
    for placed in placement.runs:
        joined = _join(source, placed, states)
        if joined is None or not joined.new.any():
            continue
        chosen = np.flatnonzero(joined.there | joined.new)
        dts = joined.dts_ns[chosen]
        kin = _primary(placed.kin, source.primary)
        others = kin["dts_ns"], kin["time_ns"]
        change = np.zeros(len(joined.dts_ns), np.int64)
        change[chosen] = fit(dts, joined.time_ns[chosen], joined.there[chosen], others, pattern) - dts
        if not change.any():
            continue
        for place, mine, rows in joined.by_place():
            if change[mine].any():
                result[place] = source.stored(place)["dts_ns"].copy()
                result[place][rows] += change[mine]
    return result


def states_of(states: States | None, count: int) -> States:
    """States of a row's frames, also where all are new."""
    return np.full(count, NEW, np.uint8) if states is None else states


def _join(source: Manifest, placed: Placed, states: Mapping[int, States | None]) -> _Joined | None:
    """The frames of a run; decode times are those of the identical frames where the target has them."""
    places = [place for place in placed.run.places if place in placed.states]
    if not places:
        return None
    starts = np.array([source.rows[place].start_ns for place in places], np.int64)
    table, sizes = source.effective(places), [len(placed.dts_ns[place]) for place in places]
    state = np.concatenate(
        [
            states_of(states.get(place, placed.states[place]), size)
            for place, size in zip(places, sizes, strict=True)
        ]
    )
    mine = np.flatnonzero(table["track"] == source.primary)
    if not len(mine):
        return None
    first = np.repeat(np.cumsum([0, *sizes[:-1]]), sizes)[mine]
    shift_ns = np.repeat(placed.clock.offsets_at(starts), sizes)[mine]
    there = np.concatenate([placed.dts_ns[place] for place in places])[mine]
    time, state = table["time_ns"][mine] + shift_ns, state[mine]
    known = (state == THERE) | (state == DOUBT)
    return _Joined(
        time_ns=time,
        dts_ns=np.where(known, there, table["dts_ns"][mine] + shift_ns),
        flags=table["flags"][mine],
        there=known,
        new=state == NEW,
        interval_ns=interval_of(np.sort(time)),
        place=np.repeat(np.array(places, np.int64), sizes)[mine],
        row=mine - first,
    )


def _primary(kin: Iterable[Footage], primary: int) -> FrameTable:
    """The frames of the primary track, by decode time."""
    frames = joined(picked(each.frames, each.frames["track"] == primary) for each in kin)
    return picked(frames, np.argsort(frames["dts_ns"], kind="stable"))


def fit(
    dts_ns: Times, time_ns: Times, fixed: Mask, others: tuple[Times, Times], pattern: Pattern | None
) -> Times:
    """Decode times that rise strictly in the order given, around the fixed ones, with as little change as
    possible.

    others: decode and presentation times of frames to go around, too; where they belong only a pattern can
    tell. Frames between two fixed ones that leave no room (are in the wrong order themselves) stay as they
    are. Where the target's clock was set back, nothing goes on.
    """
    backs = np.flatnonzero(np.diff(dts_ns) < -_FAR_NS) + 1
    if not len(backs):
        return _fit(dts_ns, time_ns, fixed, others, pattern)
    parts = [
        _fit(dts_ns[mine], time_ns[mine], fixed[mine], others, pattern)
        for mine in map(slice, [0, *backs.tolist()], [*backs.tolist(), len(dts_ns)])
    ]
    return np.concatenate(parts)


def _fit(
    dts_ns: Times, time_ns: Times, fixed: Mask, others: tuple[Times, Times], pattern: Pattern | None
) -> Times:
    """The same, on one clock."""
    result = dts_ns.copy()
    edges = [-1, *np.flatnonzero(fixed).tolist(), len(dts_ns)]
    for before, after in pairwise(edges):
        if after - before < 2:
            continue
        low = int(dts_ns[before]) if before >= 0 else None
        high = int(dts_ns[after]) if after < len(dts_ns) else None
        part, times = result[before + 1 : after], time_ns[before + 1 : after]
        start = int(part[0]) if low is None else low + 1
        stop = int(part[-1]) + 1 if high is None else high
        first, behind = np.searchsorted(others[0], [start, stop])
        between = others[0][first:behind]
        if pattern is None or not len(between):
            _squeeze(part, low, high)
            continue
        ahead = _ahead(pattern, part, times, between, others[1][first:behind])
        bounds = [low, *between.tolist(), high]
        for number in np.unique(ahead).tolist():
            mine = np.flatnonzero(ahead == number)
            _squeeze(part[mine[0] : mine[-1] + 1], bounds[number], bounds[number + 1])
    return result


def _ahead(pattern: Pattern, dts_ns: Times, time_ns: Times, others_dts: Times, others_time: Times) -> Times:
    """How many of the other frames are decoded before each frame: by the pattern, where it does not know by
    the decode times as they are.
    """
    mine, theirs = pattern.places(time_ns), pattern.places(others_time)
    known, unknown = np.flatnonzero(theirs != UNKNOWN), np.flatnonzero(theirs == UNKNOWN)
    by_place = _behind(known, np.searchsorted(np.maximum.accumulate(theirs[known]), mine))
    by_time = _behind(unknown, np.searchsorted(others_dts[unknown], dts_ns))
    ahead = np.where(mine == UNKNOWN, np.searchsorted(others_dts, dts_ns), np.maximum(by_place, by_time))
    return np.asarray(np.maximum.accumulate(ahead), np.int64)


def _behind(places: Times, counts: Times) -> Times:
    """Number of entries up to and with the last of the first `count` places."""
    return np.asarray(np.concatenate(([0], places + 1))[counts], np.int64)


def _squeeze(part: Times, low: int | None, high: int | None) -> None:
    """Move a run of decode times into (low, high), in place; but none far, since then something else is
    wrong.
    """
    if (low is None or int(part[0]) > low) and (high is None or int(part[-1]) < high):
        return
    step_ns = _STEP_NS
    if low is not None and high is not None:
        step_ns = min(step_ns, (high - low) // (len(part) + 1))
        if step_ns < 1:
            return
    values = part.tolist()
    if low is not None:
        floor = low
        for number, value in enumerate(values):
            floor = values[number] = max(value, floor + step_ns)
    if high is not None:
        ceiling = high
        for number in range(len(values) - 1, -1, -1):
            ceiling = values[number] = min(values[number], ceiling - step_ns)
    moved = np.array(values, np.int64)
    if int(np.abs(moved - part).max()) <= _FAR_NS:
        part[:] = moved
