"""Decode times of inserted frames: where a session lost frames that its neighbours need, its decode times
differ.

Decode times are derived from the presentation times that a recorder received (docs/design/architecture.md).
Where frames are reordered and some are missing on one side, the two sides derive different ones, and frames
put in between would come in the wrong order. Their decode times are moved between those of the frames that
they lie between in the source. Presentation times are never touched. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import TypeAlias

import numpy as np

from fovideo.merge.line import Mask, Times
from fovideo.merge.manifest import Manifest
from fovideo.merge.place import Placed
from fovideo.merge.splice import NEW, THERE, States
from fovideo.times import NS_PER_MS

_STEP_NS = NS_PER_MS
"""Distance kept of what has to move, if there is room."""


Moved: TypeAlias = dict[int, Times]
"""By place of a source row, stored decode times for all of its frames: only rows of which some had to
move.
"""


def moved_frames(source: Manifest, runs: Iterable[Placed], states: Mapping[int, States | None]) -> Moved:
    """Decode times for the new frames of the primary track, where those they have do not fit the target's."""
    result: Moved = {}
    for placed in runs:
        places = [place for place in placed.run.places if place in placed.dts_ns]
        if not places:
            continue
        sizes = [len(source.stored(place)) for place in places]
        shifts = [
            source.rows[place].shift_ns + placed.clock.offset_at(source.rows[place].start_ns)
            for place in places
        ]
        frames = np.concatenate([source.stored(place) for place in places])
        state = np.concatenate(
            [states_of(states[place], size) for place, size in zip(places, sizes, strict=True)]
        )
        there = state == THERE
        own = frames["dts_ns"] + np.repeat(np.array(shifts, np.int64), sizes)
        partner = np.concatenate([placed.dts_ns[place] for place in places])
        chosen = np.flatnonzero((frames["track"] == source.primary) & (there | (state == NEW)))
        wanted = np.where(there, partner, own)[chosen]
        change = np.zeros(len(frames), np.int64)
        change[chosen] = np.where(there[chosen], 0, fitted(wanted, there[chosen]) - wanted)
        stops = np.cumsum(sizes).tolist()
        for place, stop, size in zip(places, stops, sizes, strict=True):
            mine = change[stop - size : stop]
            if mine.any():
                result[place] = source.stored(place)["dts_ns"] + mine
    return result


def states_of(states: States | None, count: int) -> States:
    """States of a row's frames, also where all are new."""
    return np.full(count, NEW, np.uint8) if states is None else states


def fitted(dts_ns: Times, fixed: Mask) -> Times:
    """Decode times in decode order that rise strictly around the fixed ones, with as little change as
    possible.

    Frames between two fixed ones that leave no room (in the wrong order themselves) stay as they are.
    """
    result = dts_ns.copy()
    anchors = np.flatnonzero(fixed).tolist()
    edges = [-1, *anchors, len(dts_ns)]
    for before, after in pairwise(edges):
        if after - before > 1:
            low = int(dts_ns[before]) if before >= 0 else None
            high = int(dts_ns[after]) if after < len(dts_ns) else None
            _fit(result[before + 1 : after], low, high)
    return result


def _fit(part: Times, low: int | None, high: int | None) -> None:
    """Move a run of decode times into (low, high), in place."""
    fits_low = low is None or int(part[0]) > low
    fits_high = high is None or int(part[-1]) < high
    if fits_low and fits_high:
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
    part[:] = values
