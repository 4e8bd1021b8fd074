"""Which frames of two recordings of one camera are the same: equal digest, a time window, the same order.
Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from fovideo.media.codec import METADATA_TRACK
from fovideo.media.frames import FrameTable
from fovideo.merge.line import Index, Line, Times, line_of, tolerance_of
from fovideo.merge.placing.offset import Prior, find_offset, judge, partners
from fovideo.times import NS_PER_MS, NS_PER_S

SECTION_NS = 30 * NS_PER_S
"""The offset is taken anew for each section, so that drift within one stays below the tolerance."""

STEP_PPM = 1000
"""Clocks drift less than this; what differs more has stepped."""

_LEFT_OVER = 3  # so many unmatched frames in a row may be on another offset
_TRIES = 8  # how often the clock may have been put right within a section
_JUMP_NS = NS_PER_S  # a clock that is put right within an epoch moves less than this
_OTHER_TRACK_NS = 250 * NS_PER_MS  # how far another track's clock may be from its video's
_EVENT_NS = 20 * NS_PER_MS  # metadata comes in bursts: its own intervals say nothing


@dataclass(frozen=True)
class Matching:
    """Frames that are the same. Rows of the two frame tables, pairwise, by track and then by presentation.

    anchors: (source time_ns, offset_ns) by time, where offset_ns is to be added to source times there.
    offset_ns: median offset; 0 when nothing matched. drift_ppb: how it grows, in parts per billion of source
    time.
    """

    source: Index
    target: Index
    anchors: tuple[tuple[int, int], ...] = ()
    offset_ns: int = 0
    drift_ppb: int = 0

    def __len__(self) -> int:
        return len(self.source)


def match(source: FrameTable, target: FrameTable, prior: Prior) -> Matching:
    """Match two frame tables, each of one session and epoch (the target may also be several on one clock).

    prior: what is known of the offset. Video leads; audio and metadata are looked for near their video's
    offset, each on its own.
    """
    tracks = sorted(set(np.unique(source["track"]).tolist()) & set(np.unique(target["track"]).tolist()))
    pairs: list[tuple[Index, Index]] = []
    anchors: list[tuple[int, int]] = []
    for track in tracks:
        ours, theirs = line_of(source, track), line_of(target, track)
        if anchors:
            least_ns = _EVENT_NS if track == METADATA_TRACK else 0
            pairs.append(
                _match_beside(ours.moved(offsets_at(anchors, ours.time_ns)), theirs, prior, least_ns)
            )
            continue
        start = find_offset(ours, theirs, prior)
        if start is not None:
            along = _Along(ours, theirs, prior, tolerance_of(ours, theirs))
            along.run(start.offset_ns)
            pairs.append(along.pairs())
            anchors = sorted(along.anchors)
    if not pairs:
        return Matching(np.zeros(0, np.int64), np.zeros(0, np.int64))
    left, right = (np.concatenate(side) for side in zip(*pairs, strict=True))
    offset_ns, drift_ppb = _fit(anchors)
    return Matching(left, right, tuple(anchors), offset_ns, drift_ppb)


def pair_up(source: Line, target: Line, tolerance_ns: int) -> tuple[Index, Index]:
    """Places of equal frames of two lines on one clock, in order, each used once."""
    if not len(source) or not len(target):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    if _spread(source.time_ns, 2 * tolerance_ns) and _spread(target.time_ns, 2 * tolerance_ns):
        found = partners(source, target, tolerance_ns)  # at most one frame in reach: no walk needed
        places = np.flatnonzero(found >= 0)
        return places, found[places]
    left, right = walk(
        source.time_ns.tolist(),
        source.digest.tolist(),
        target.time_ns.tolist(),
        target.digest.tolist(),
        tolerance_ns,
    )
    return np.array(left, np.int64), np.array(right, np.int64)


def walk(
    source_ns: list[int], source: list[int], target_ns: list[int], target: list[int], tolerance_ns: int
) -> tuple[list[int], list[int]]:
    """Places of equal digests within the tolerance, found by walking both lists once, both in order of
    time.
    """
    left: list[int] = []
    right: list[int] = []
    i = j = 0
    source_count, target_count = len(source), len(target)
    while i < source_count and j < target_count:
        late_ns = source_ns[i] - target_ns[j]
        if late_ns > tolerance_ns:
            j += 1
        elif late_ns < -tolerance_ns:
            i += 1
        elif source[i] == target[j]:
            left.append(i)
            right.append(j)
            i += 1
            j += 1
        else:
            skip_target = _ahead(source_ns[i], source[i], target_ns, target, j + 1, tolerance_ns)
            skip_source = _ahead(target_ns[j], target[j], source_ns, source, i + 1, tolerance_ns)
            if skip_target == skip_source:
                skip_target = late_ns > 0
            i, j = (i, j + 1) if skip_target else (i + 1, j)
    return left, right


def _ahead(
    at_ns: int, digest: int, times_ns: list[int], digests: list[int], start: int, reach_ns: int
) -> bool:
    while start < len(times_ns) and times_ns[start] - at_ns <= reach_ns:
        if digests[start] == digest:
            return True
        start += 1
    return False


def offsets_at(anchors: Sequence[tuple[int, int]], at_ns: Times) -> Times:
    """Offset at each source time: between anchors in proportion, beyond them that of the nearest."""
    times, offsets = np.array(anchors, np.int64).T
    base, first = int(times[0]), int(offsets[0])
    grown = np.interp(
        (at_ns - base).astype(float), (times - base).astype(float), (offsets - first).astype(float)
    )
    return np.asarray(first + np.rint(grown).astype(np.int64), np.int64)


@dataclass
class _Along:
    """Matches two lines section by section, outwards from the one that fits best, following the offset as it
    drifts.
    """

    source: Line
    target: Line
    prior: Prior
    tolerance_ns: int
    anchors: list[tuple[int, int]] = field(default_factory=list)
    _left: list[Index] = field(default_factory=list)
    _right: list[Index] = field(default_factory=list)

    def run(self, offset_ns: int) -> None:
        sections = list(_sections(self.source))
        hits = [
            judge(self.source.part(*section), self.target, offset_ns, self.tolerance_ns)[0].matched
            for section in sections
        ]
        best = int(np.argmax(hits))
        self._section(*sections[best], 0, len(self.target), (None, offset_ns))
        behind = max(self.anchors, default=(None, offset_ns))
        before = min(self.anchors, default=(None, offset_ns))
        for section in sections[best + 1 :]:
            floor = max((int(right[-1]) + 1 for right in self._right if len(right)), default=0)
            self._section(*section, floor, len(self.target), behind)
            behind = max(self.anchors, default=behind)
        for section in reversed(sections[:best]):
            ceiling = min((int(right[0]) for right in self._right if len(right)), default=len(self.target))
            self._section(*section, 0, ceiling, before)
            before = min(self.anchors, default=before)

    def pairs(self) -> tuple[Index, Index]:
        """Rows of the two frame tables, by presentation."""
        left, right = np.concatenate(self._left), np.concatenate(self._right)
        order = np.argsort(left)
        return self.source.index[left[order]], self.target.index[right[order]]

    def _section(self, start: int, stop: int, low: int, high: int, last: tuple[int | None, int]) -> None:
        """Match source[start:stop] within target[low:high]. last: nearest anchor so far.

        Stretches that stay unmatched are tried again on their own: the clock may have been put right in
        between.
        """
        middle_ns = int(self.source.time_ns[(start + stop) // 2])
        away_ns = 0 if last[0] is None else abs(middle_ns - last[0])
        slack_ns = self.tolerance_ns + away_ns * STEP_PPM // 1_000_000
        self._cover(start, stop, low, high, last[1], slack_ns, _TRIES)

    def _cover(
        self, start: int, stop: int, low: int, high: int, expected_ns: int, slack_ns: int, tries: int
    ) -> None:
        """Match source[start:stop] within target[low:high], and again what stays unmatched in between."""
        left, right = self._pair(start, stop, low, high, expected_ns, slack_ns)
        if tries == 0 or (not len(left) and tries < _TRIES):
            return
        if len(left):
            expected_ns = self.anchors[-1][1]
        edges = np.concatenate(([start - 1], left, [stop]))
        bounds = np.concatenate(([low - 1], right, [high]))
        for at in np.flatnonzero(np.diff(edges) > _LEFT_OVER).tolist():
            first, behind = int(edges[at]) + 1, int(edges[at + 1])
            low_now, high_now = int(bounds[at]) + 1, int(bounds[at + 1])
            self._cover(first, behind, low_now, high_now, expected_ns, _JUMP_NS, tries - 1)

    def _pair(
        self, start: int, stop: int, low: int, high: int, expected_ns: int, slack_ns: int
    ) -> tuple[Index, Index]:
        """Equal frames of source[start:stop] and target[low:high], and an anchor from them."""
        part = self.source.part(start, stop)
        reach_ns = slack_ns + self.tolerance_ns
        first, behind = np.searchsorted(
            self.target.time_ns,
            [
                int(part.time_ns[0]) + expected_ns - reach_ns,
                int(part.time_ns[-1]) + expected_ns + reach_ns + 1,
            ],
        )
        first = max(int(first), low)
        there = self.target.part(first, max(min(int(behind), high), first))
        found = find_offset(part, there, self.prior.around(expected_ns, slack_ns))
        if found is None:
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        left, right = pair_up(part.moved(found.offset_ns), there, self.tolerance_ns)
        if len(left):
            differences = there.time_ns[right] - part.time_ns[left]
            self.anchors.append((int(np.median(part.time_ns[left])), int(np.median(differences))))
        left, right = left + start, right + first
        self._left.append(left)
        self._right.append(right)
        return left, right


def _match_beside(source: Line, target: Line, prior: Prior, least_ns: int) -> tuple[Index, Index]:
    """Match a track whose video has been matched; the source's times are on the target's clock already."""
    found = find_offset(source, target, prior.around(0, _OTHER_TRACK_NS))
    tolerance_ns = max(tolerance_of(source, target), least_ns)
    moved = source if found is None else source.moved(found.offset_ns)
    left, right = pair_up(moved, target, tolerance_ns)
    return source.index[left], target.index[right]


def _sections(line: Line) -> Iterator[tuple[int, int]]:
    numbers = (line.time_ns - line.time_ns[0]) // SECTION_NS
    cuts = (np.flatnonzero(np.diff(numbers)) + 1).tolist()
    yield from zip([0, *cuts], [*cuts, len(line)], strict=True)


def _spread(times: Times, least_ns: int) -> bool:
    return len(times) < 2 or int(np.diff(times).min()) > least_ns


def _fit(anchors: list[tuple[int, int]]) -> tuple[int, int]:
    """Median offset, and drift in ppb over all anchors (0 when they are too close to tell)."""
    times, offsets = np.array(anchors, np.int64).T
    offset_ns = int(np.median(offsets))
    if int(times[-1] - times[0]) < 2 * SECTION_NS:
        return offset_ns, 0
    slope = np.polyfit((times - times[0]) / NS_PER_S, (offsets - offsets[0]) / NS_PER_S, 1)[0]
    return offset_ns, round(float(slope) * 1_000_000_000)
