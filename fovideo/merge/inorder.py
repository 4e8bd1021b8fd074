"""Corrections that keep a recording in its order. Pure.

Where the target's own clock was wrong for a while (it had heard no sender report yet), the source's offset
against it falls from one anchor to the next. Corrected by the one and by the other, neighbouring rows of the
source would overlap; so the rows before the fall give way, each by part of a frame interval.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from fovideo.merge.clock import Clock
from fovideo.merge.manifest import Manifest, Run
from fovideo.timeline.cover import DEFAULT_INTERVAL_NS
from fovideo.times import NS_PER_MS, NS_PER_S

_CLOSEST = (3, 10)  # of an interval: what stays between the last frame of a row and the first of the next
_LEAST_NS = NS_PER_MS  # falls below this come of drift and measuring
_MOST_NS = NS_PER_S  # beyond it no row could give way enough


def in_order(source: Manifest, runs: Iterable[tuple[Run, Clock]]) -> dict[int, Clock]:
    """The clock for each row (by place): that of its run, or one that keeps it before the row that
    follows.
    """
    clocks: dict[int, Clock] = {}
    for run, clock in runs:
        clocks.update(_run_in_order(source, run, clock))
    return clocks


def _run_in_order(source: Manifest, run: Run, clock: Clock) -> Mapping[int, Clock]:
    clocks = dict.fromkeys(run.places, clock)
    later_ns = later_shift_ns = None
    for place in reversed(run.places):
        row = source.rows[place]
        shift_ns = clock.offset_at(row.start_ns)
        if later_ns is not None and later_shift_ns is not None and shift_ns > later_shift_ns:
            interval_ns = row.interval_ns or DEFAULT_INTERVAL_NS
            apart_ns = later_ns - (row.end_ns - interval_ns) - interval_ns * _CLOSEST[0] // _CLOSEST[1]
            limit_ns = later_shift_ns + max(apart_ns, 0)
            if _LEAST_NS < shift_ns - limit_ns <= _MOST_NS:
                shift_ns = limit_ns
                clocks[place] = Clock.of([(row.start_ns, shift_ns)])
        later_ns, later_shift_ns = row.start_ns, shift_ns
    return clocks
