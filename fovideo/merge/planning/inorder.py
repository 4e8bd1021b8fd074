"""Corrections that keep a recording in its order. Pure.

Where the target's own clock was wrong for a while (it had heard no sender report yet), the source's offset
against it falls from one anchor to the next. Corrected by the one and by the other, neighbouring rows of the
source would overlap; so the rows between the anchors give way, each by part of a frame interval.
"""

from __future__ import annotations

from collections.abc import Container, Iterable

import numpy as np

from fovideo.merge import _rows
from fovideo.merge.line import Times
from fovideo.merge.manifest import Manifest, Run
from fovideo.merge.placing.clock import Clock
from fovideo.timeline.cover import DEFAULT_INTERVAL_NS
from fovideo.times import NS_PER_MS, NS_PER_S

_CLOSEST = (3, 10)  # of an interval: what stays between the last frame of a row and the first of the next
_LEAST_NS = NS_PER_MS  # falls below this come of drift and measuring
_MOST_NS = NS_PER_S  # beyond it no row could give way enough


def in_order(
    source: Manifest, runs: Iterable[tuple[Run, Clock]], anchored: Container[int] = ()
) -> dict[int, Clock]:
    """The clock for each row (by place): that of its run, or one that keeps it between the rows before and
    behind it in the same session. anchored: rows that the target holds in part, which stay where they are.
    """
    clocks: dict[int, Clock] = {}
    sessions: dict[str, list[int]] = {}
    offsets = np.zeros(len(source.rows), np.int64)
    for run, clock in runs:
        clocks.update(dict.fromkeys(run.places, clock))
        sessions.setdefault(run.session, []).extend(run.places)
        mine = np.array(run.places, np.int64)
        offsets[mine] = clock.offsets_at(source.columns[mine, _rows.START])
    for places in sessions.values():
        if not _any_overlap(source, offsets, np.sort(np.array(places, np.int64))):
            continue
        pairs = _neighbours(source, sorted(places))
        for place, following in reversed(pairs):
            if place not in anchored:
                overlap_ns = _overlap_ns(source, clocks, place, following)
                _move(source, clocks, place, -overlap_ns)
        for place, following in pairs:
            if following not in anchored:
                _move(source, clocks, following, _overlap_ns(source, clocks, place, following))
    return clocks


def _any_overlap(source: Manifest, offsets: Times, places: Times) -> bool:
    """Whether any two neighbours among rows of one session are too close, each corrected by its offset."""
    table = source.columns[places]
    starts, interval = table[:, _rows.START], table[:, _rows.INTERVAL]
    interval = np.where(interval != 0, interval, DEFAULT_INTERVAL_NS)
    last = table[:, _rows.END] - interval
    following = np.maximum(np.searchsorted(starts, last, side="right"), np.arange(1, len(places) + 1))
    mine = np.flatnonzero(following < len(places))
    following = following[mine]
    free = starts[following] - last[mine] - interval[mine] * _CLOSEST[0] // _CLOSEST[1]
    over = offsets[places][mine] - offsets[places][following] - np.maximum(free, 0)
    return bool(((over > _LEAST_NS) & (over <= _MOST_NS)).any()) or bool((np.diff(starts) < 0).any())


def _neighbours(source: Manifest, places: list[int]) -> list[tuple[int, int]]:
    """Each row with the next one that begins behind its last frame."""
    pairs = []
    for number, place in enumerate(places):
        row = source.rows[place]
        last_ns = row.end_ns - (row.interval_ns or DEFAULT_INTERVAL_NS)
        later = (
            places[at] for at in range(number + 1, len(places)) if source.rows[places[at]].start_ns > last_ns
        )
        following = next(later, None)
        if following is not None:
            pairs.append((place, following))
    return pairs


def _overlap_ns(source: Manifest, clocks: dict[int, Clock], place: int, following: int) -> int:
    """By how much two rows are too close when each is corrected by its clock; 0 if it is not the clocks."""
    row, later = source.rows[place], source.rows[following]
    interval_ns = row.interval_ns or DEFAULT_INTERVAL_NS
    apart_ns = later.start_ns - (row.end_ns - interval_ns)
    free_ns = max(apart_ns - interval_ns * _CLOSEST[0] // _CLOSEST[1], 0)
    fall_ns = clocks[place].offset_at(row.start_ns) - clocks[following].offset_at(later.start_ns)
    return fall_ns - free_ns if _LEAST_NS < fall_ns - free_ns <= _MOST_NS else 0


def _move(source: Manifest, clocks: dict[int, Clock], place: int, by_ns: int) -> None:
    if by_ns:
        start_ns = source.rows[place].start_ns
        clocks[place] = Clock.of([(start_ns, clocks[place].offset_at(start_ns) + by_ns)])
