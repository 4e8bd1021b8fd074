"""The offset between two recorders' clocks, from the frames that both of them hold. Pure.

Frames with equal digests vote with the difference of their times. Where content repeats (a static scene, a
looped source) several offsets explain it; each is judged by what it leaves unexplained, and among those that
explain the most, the one nearest to what was expected is taken.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np

from fovideo.merge import _lines
from fovideo.merge.line import Digests, Line, Mask, Times, covered, nominal_ns, tolerance_of
from fovideo.times import NS_PER_MS, NS_PER_S

NEAR_NS = 2 * NS_PER_S
"""How far clocks are apart that are kept in step; offsets beyond need stronger evidence."""

_AROUND_NS = 30 * NS_PER_S
_SAMPLES = 768
_PARTNERS = 16  # occurrences of a digest to look at, on either side of where it is expected
_CANDIDATES = 24
_STRONG = 8  # matched frames that make an offset believable
_GOOD = 0.998
_LIVELY_KEYS = 3  # content that does not repeat for so many GOPs is no static scene
_ONCE = 0.9  # share of content that comes but once from which on content tells the time
_OFF_NS = 500 * NS_PER_MS  # laps that are further off than clocks of one site are not told from each other
_CONVINCING = 3  # matched frames that are no accident where content never repeats


@dataclass(frozen=True)
class Prior:
    """What is known of an offset before frames are compared.

    expected_ns: best guess. near_ns: how far the clocks are from it if they are what they claim to be;
    window_ns: how far they may be at all. trusted: offsets beyond near_ns need the near ones to be refuted.
    repeated: digests, sorted, that are known to come more than once in the stream, on any track; repeats:
    whether some are of the primary one;
    again_ns: after how long they come again, at the least; lap_ns: after how long all of them have come
    again; 0 = not known.
    """

    expected_ns: int = 0
    window_ns: int = NEAR_NS
    near_ns: int = NEAR_NS
    trusted: bool = False
    repeated: Digests = field(default_factory=lambda: np.zeros(0, np.uint64))
    repeats: bool = False
    again_ns: int = 0
    lap_ns: int = 0

    def around(self, expected_ns: int, window_ns: int) -> Prior:
        """The same, with another guess that is good to window_ns."""
        return replace(self, expected_ns=expected_ns, window_ns=window_ns, near_ns=window_ns)


@dataclass(frozen=True)
class Offset:
    """target time = source time + offset_ns.

    matched: source frames with a partner. refuted: frames of either side that lie where the other has
    footage, but not this frame.
    """

    offset_ns: int
    matched: int
    refuted: int

    @property
    def quality(self) -> float:
        """Share of what lies in the overlap that is explained, 0 to 1."""
        return self.matched / (self.matched + self.refuted) if self.matched else 0.0


def find_offset(source: Line, target: Line, prior: Prior) -> Offset | None:
    """The offset that explains the frames of both lines, or None where no frame of one is on the other."""
    if not len(source) or not len(target):
        return None
    tolerance_ns = tolerance_of(source, target)
    here, residuals = judge(source, target, prior.expected_ns, tolerance_ns)
    if here.matched >= _STRONG and here.quality >= _GOOD:
        return _refined(here, residuals)
    found = [
        judge(source, target, offset_ns, tolerance_ns) for offset_ns in _candidates(source, target, prior)
    ]
    found = [(offset, residuals) for offset, residuals in found if offset.matched]
    near = [each for each in found if abs(each[0].offset_ns - prior.expected_ns) <= prior.near_ns]
    far = [each for each in found if each[0].matched >= _CONVINCING and each[0].quality >= 0.5]
    repeating = repeats(source, target, prior.repeated)
    if repeating:
        far = []
    elif here.matched or prior.trusted or not _is_lively(source, target):
        # Something speaks for the expected offset: only what refutes it may overrule it.
        far = [each for each in far if min(each[0].matched, here.refuted) >= _STRONG]
    if repeating and not (here.matched or here.refuted):
        near = []
    elif repeating and (reach_ns := _lap_reach_ns(source, target, prior, here)):
        near = [each for each in near if abs(each[0].offset_ns - prior.expected_ns) <= reach_ns]
    choice = _choose(far + near, prior.expected_ns)
    return None if choice is None else _refined(*choice)


def judge(source: Line, target: Line, offset_ns: int, tolerance_ns: int) -> tuple[Offset, Times]:
    """How well an offset explains two lines, and by how much each matched frame still differs.

    Where clocks drift, one offset holds for a while only: long lines are judged by what lies around the
    matches.
    """
    source, target = _overlap(source.moved(offset_ns), target, tolerance_ns)
    if not len(source) or not len(target):
        return Offset(offset_ns, 0, 0), np.zeros(0, np.int64)
    partner = partners(source, target, tolerance_ns)
    hit = partner >= 0
    matched = int(np.count_nonzero(hit))
    residuals = target.time_ns[partner[hit]] - source.time_ns[hit]
    if matched and int(source.time_ns[-1] - source.time_ns[0]) > 4 * _AROUND_NS:
        middle_ns = int(np.median(source.time_ns[hit]))
        near = source.between(middle_ns - _AROUND_NS, middle_ns + _AROUND_NS)
        near, there = _overlap(near, target, tolerance_ns)
        partner = partners(near, there, tolerance_ns) if len(near) and len(there) else partner[:0]
        share = int(np.count_nonzero(partner >= 0))
        refuted = _refuted(near, there, partner, tolerance_ns) if len(partner) else matched
        return Offset(offset_ns, matched, refuted * matched // max(share, 1)), residuals
    return Offset(offset_ns, matched, _refuted(source, target, partner, tolerance_ns)), residuals


def _overlap(source: Line, target: Line, tolerance_ns: int) -> tuple[Line, Line]:
    """Of two lines on one clock, what lies where both are."""
    if not len(source) or not len(target):
        return source, target
    low = max(int(source.time_ns[0]), int(target.time_ns[0])) - tolerance_ns
    high = min(int(source.time_ns[-1]), int(target.time_ns[-1])) + tolerance_ns
    return source.between(low, high), target.between(low, high)


def _refuted(source: Line, target: Line, partner: Times, tolerance_ns: int) -> int:
    """Frames of two lines on one clock that the other has not, though it has footage there."""
    interval_ns = nominal_ns(source, target)
    hit = partner >= 0
    lone: Mask = np.ones(len(target), bool)
    lone[partner[hit]] = False
    return int(
        np.count_nonzero(covered(source.time_ns, target, tolerance_ns, interval_ns) & ~hit)
        + np.count_nonzero(covered(target.time_ns, source, tolerance_ns, interval_ns) & lone)
    )


def partners(source: Line, target: Line, tolerance_ns: int) -> Times:
    """For each source frame the neighbouring target frame of equal digest within the tolerance, or -1."""
    found = np.empty(len(source), np.int64)
    _lines.partners(source.time_ns, source.digest, target.time_ns, target.digest, tolerance_ns, found)
    return found


def _lap_reach_ns(source: Line, target: Line, prior: Prior, here: Offset) -> int:
    """How far from the expected offset content that repeats may tell one, so that no lap passes for another;
    0 = as far as clocks allow.

    The edges of neighbours say too little to believe in another lap; and where nothing comes but once, all
    laps explain the same.
    """
    least_ns = nominal_ns(source, target)
    if here.refuted < _STRONG and prior.again_ns:
        return max(prior.again_ns * 2 // 5, least_ns)
    if prior.lap_ns and _once(source, target, prior.repeated) < 1 - _ONCE:
        return max(min(prior.lap_ns * 2 // 5, _OFF_NS), least_ns)
    return 0


def _refined(offset: Offset, residuals: Times) -> Offset:
    return Offset(offset.offset_ns + int(np.median(residuals)), offset.matched, offset.refuted)


def _choose(found: list[tuple[Offset, Times]], expected_ns: int) -> tuple[Offset, Times] | None:
    """The nearest of those that explain as much as the best, but for a little: repeating content explains
    itself.
    """
    if not found:
        return None
    best = max(offset.quality for offset, _ in found)
    enough = best - max(1 - _GOOD, (1 - best) / 4)
    good = [each for each in found if each[0].quality >= enough]
    return min(good, key=lambda each: (abs(each[0].offset_ns - expected_ns), -each[0].matched))


def _is_lively(source: Line, target: Line) -> bool:
    """Whether one of two lines without repetitions lasts for several GOPs."""
    return max(int(np.count_nonzero(line.key)) for line in (source, target)) >= _LIVELY_KEYS


def _candidates(source: Line, target: Line, prior: Prior) -> list[int]:
    """Offsets worth a closer look: the most voted, and those nearest to the expected one."""
    expected_ns, tolerance_ns = prior.expected_ns, tolerance_of(source, target)
    votes = np.sort(_votes(source, target, expected_ns, prior.window_ns))
    if not len(votes):
        return []
    ends = np.searchsorted(votes, votes + tolerance_ns, side="right")
    counts = ends - np.arange(len(votes))
    chosen: list[int] = []
    for order in (np.argsort(-counts, kind="stable"), np.argsort(np.abs(votes - expected_ns), kind="stable")):
        wanted = len(chosen) + _CANDIDATES // 2
        for place in order.tolist():
            middle = int(votes[(place + int(ends[place])) // 2])
            if all(abs(middle - other) > tolerance_ns // 2 for other in chosen):
                chosen.append(middle)
                if len(chosen) == wanted:
                    break
    return chosen


def _votes(source: Line, target: Line, expected_ns: int, window_ns: int) -> Times:
    """Differences of time of frames with equal digests, at most window_ns from the expected one."""
    by_digest = np.lexsort((target.time_ns, target.digest))
    digests, times = target.digest[by_digest], target.time_ns[by_digest]
    starts = np.searchsorted(digests, source.digest, side="left")
    stops = np.searchsorted(digests, source.digest, side="right")
    common = np.flatnonzero(stops > starts)
    if len(common) > _SAMPLES:
        common = common[np.linspace(0, len(common) - 1, _SAMPLES).astype(np.int64)]
    count = stops[common] - starts[common]
    few = count <= _PARTNERS  # all of them are looked at, and of all frames at once
    at, count = common[few], count[few]
    inner = np.arange(int(count.sum())) - np.repeat(np.cumsum(count) - count, count)
    late = times[np.repeat(starts[at], count) + inner] - np.repeat(source.time_ns[at], count)
    votes: list[Times] = [late[np.abs(late - expected_ns) <= window_ns]]
    for at in common[~few].tolist():
        same = times[starts[at] : stops[at]]
        expected = int(source.time_ns[at]) + expected_ns
        middle = int(np.searchsorted(same, expected))
        same = same[max(middle - _PARTNERS, 0) : middle + _PARTNERS]
        votes.append(same[np.abs(same - expected) <= window_ns] - source.time_ns[at])
    return np.concatenate(votes)


def repeats(source: Line, target: Line, repeated: Digests) -> bool:
    """Whether most of what both sides hold is content that comes more than once; also if they share
    nothing.
    """
    return _once(source, target, repeated) < _ONCE


def _once(source: Line, target: Line, repeated: Digests) -> float:
    """Which share of the content that both sides hold comes but once; 0 if they share nothing."""
    values, counts = np.unique(source.digest, return_counts=True)
    others, other_counts = np.unique(target.digest, return_counts=True)
    both, mine, theirs = np.intersect1d(values, others, assume_unique=True, return_indices=True)
    if not len(both):
        return 0.0
    once = (counts[mine] == 1) & (other_counts[theirs] == 1)
    if len(repeated):
        once &= repeated[np.minimum(np.searchsorted(repeated, both), len(repeated) - 1)] != both
    return float(once.mean())


def lap_after_ns(lines: Iterable[Line]) -> int:
    """After how long all content of a line that comes again has come again; 0 if none does."""
    return max((int(after.max()) for after in map(returns_ns, lines) if len(after)), default=0)


def returns_ns(line: Line) -> Times:
    """Of each content that comes again: after how long, at the least."""
    order = np.argsort(line.digest, kind="stable")
    digests, times = line.digest[order], line.time_ns[order]
    same = np.flatnonzero(digests[1:] == digests[:-1])
    if not len(same):
        return np.zeros(0, np.int64)
    first = np.flatnonzero(np.diff(digests[same], prepend=~digests[same[:1]]))
    after: Times = np.minimum.reduceat(times[same + 1] - times[same], first)
    return after
