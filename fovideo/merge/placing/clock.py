"""How a source's times are corrected before insertion: an offset that follows the anchors found by matching.
Pure.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from operator import itemgetter

import numpy as np

from fovideo.merge.line import Times
from fovideo.merge.placing.match import STEP_PPM
from fovideo.timeline.values import Correction
from fovideo.times import NS_PER_MS

_SLACK_NS = 5 * NS_PER_MS  # what two anchors may differ by without any drift


@dataclass(frozen=True)
class Clock:
    """Offset of the target's clock against a source run's.

    Between two anchors the offset grows evenly, if drift can explain the difference; if not, the clock
    stepped, and each time takes the offset of the nearer anchor. Before the first and after the last anchor
    it stays.

    anchors: (source time_ns, offset_ns), by time. stepped: per pair of neighbours.
    """

    anchors: tuple[tuple[int, int], ...] = ()
    stepped: tuple[bool, ...] = ()

    @classmethod
    def of(cls, anchors: Iterable[tuple[int, int]]) -> Clock:
        ordered = tuple(sorted(dict(sorted(anchors)).items()))
        stepped = tuple(
            abs(after[1] - before[1]) > _SLACK_NS + (after[0] - before[0]) * STEP_PPM // 1_000_000
            for before, after in pairwise(ordered)
        )
        return cls(ordered, stepped)

    @property
    def offset_ns(self) -> int:
        """Median offset of the anchors; 0 without any."""
        return int(np.median([offset for _, offset in self.anchors])) if self.anchors else 0

    def piece(self, at_ns: int) -> tuple[int, int, int, int]:
        """The straight piece that a source time lies on: (number, offset_ns, drift_ppb, reference_ns)."""
        if not self.anchors:
            return 0, 0, 0, 0
        after = bisect_right(self.anchors, at_ns, key=itemgetter(0))
        if after == 0:
            return 0, self.anchors[0][1], 0, self.anchors[0][0]
        if after == len(self.anchors):
            return 2 * after, self.anchors[-1][1], 0, self.anchors[-1][0]
        (start_ns, first), (stop_ns, second) = self.anchors[after - 1 : after + 1]
        if not self.stepped[after - 1]:
            drift_ppb = (second - first) * 1_000_000_000 // (stop_ns - start_ns)
            return 2 * after, first, drift_ppb if abs(drift_ppb) <= STEP_PPM * 1000 else 0, start_ns
        if at_ns - start_ns <= stop_ns - at_ns:
            return 2 * after, first, 0, start_ns
        return 2 * after + 1, second, 0, stop_ns

    def offset_at(self, at_ns: int) -> int:
        _, offset_ns, drift_ppb, reference_ns = self.piece(at_ns)
        return Correction(offset_ns, drift_ppb, reference_ns).shift_ns(at_ns)

    def offsets_at(self, at_ns: Times) -> Times:
        """The same for many times."""
        if len({offset_ns for _, offset_ns in self.anchors}) <= 1:
            return np.full(len(at_ns), self.anchors[0][1] if self.anchors else 0, np.int64)
        result = np.empty(len(at_ns), np.int64)
        after = np.searchsorted(np.array([time_ns for time_ns, _ in self.anchors], np.int64), at_ns, "right")
        for number in np.unique(after).tolist():
            mine = np.flatnonzero(after == number)
            times = at_ns[mine]
            _, offset_ns, drift_ppb, reference_ns = self.piece(int(times[0]))
            since = times - reference_ns
            stepped = 0 < number < len(self.anchors) and self.stepped[number - 1]
            if stepped or abs(drift_ppb) * int(np.abs(since).max()) >= 1 << 62:
                result[mine] = [self.offset_at(each) for each in times.tolist()]
            else:
                result[mine] = offset_ns + drift_ppb * since // 1_000_000_000
        return result


def uncorrected_ns(time_ns: int, correction: Correction) -> int:
    """The time from which the correction made time_ns."""
    before_ns = time_ns - correction.offset_ns
    for _ in range(4):  # drift is small: each round gains more than three digits
        before_ns = time_ns - correction.shift_ns(before_ns)
    return before_ns


def combined(before: Correction, after: Correction) -> Correction:
    """The correction that does what `before` does and then, on its results, what `after` does."""
    drift_ppb = before.drift_ppb + after.drift_ppb
    if not drift_ppb and not after.drift_ppb:
        return Correction(before.offset_ns + after.offset_ns)
    reference_ns = uncorrected_ns(after.reference_ns, before)
    return Correction(after.reference_ns - reference_ns + after.offset_ns, drift_ppb, reference_ns)
