"""Corrections that keep a recording in its order. Pure.

Where the target's own clock was wrong for a while (it had heard no sender report yet), the source's offset
against it falls from one anchor to the next. Corrected by the one and by the other, neighbouring rows of the
source would overlap; so the rows before the fall give way, each by part of a frame interval.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

from fovideo.merge.clock import Clock
from fovideo.merge.manifest import Manifest, Run
from fovideo.timeline.cover import DEFAULT_INTERVAL_NS
from fovideo.times import NS_PER_MS, NS_PER_S

_CLOSEST = (3, 10)  # of an interval: what stays between the last frame of a row and the first of the next
_LEAST_NS = NS_PER_MS  # falls below this come of drift and measuring
_MOST_NS = NS_PER_S  # beyond it no row could give way enough


def in_order(source: Manifest, runs: Iterable[tuple[Run, Clock]]) -> dict[int, Clock]:
    """The clock for each row (by place): that of its run, or one that keeps it before the row that
    follows in the same session.
    """
    clocks: dict[int, Clock] = {}
    sessions: dict[str, list[int]] = {}
    for run, clock in runs:
        clocks.update(dict.fromkeys(run.places, clock))
        sessions.setdefault(run.session, []).extend(run.places)
    for places in sessions.values():
        _keep_order(source, sorted(places), clocks)
    return clocks


def _keep_order(source: Manifest, places: Sequence[int], clocks: dict[int, Clock]) -> None:
    for place, following in reversed(list(pairwise(places))):
        row, later = source.rows[place], source.rows[following]
        interval_ns = row.interval_ns or DEFAULT_INTERVAL_NS
        apart_ns = later.start_ns - (row.end_ns - interval_ns)
        if apart_ns <= 0:
            continue  # they overlap at the source already
        free_ns = max(apart_ns - interval_ns * _CLOSEST[0] // _CLOSEST[1], 0)
        limit_ns = clocks[following].offset_at(later.start_ns) + free_ns
        if _LEAST_NS < clocks[place].offset_at(row.start_ns) - limit_ns <= _MOST_NS:
            clocks[place] = Clock.of([(row.start_ns, limit_ns)])
