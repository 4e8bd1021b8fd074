"""Which frames of two recordings of one camera are the same: equal digest, a time window, the same order.
Pure.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from fovideo.media.frames import FrameTable
from fovideo.merge.line import Index, Line, Times, line_of, tolerance_of
from fovideo.merge.offset import NEAR_NS, find_offset, judge, partners
from fovideo.times import NS_PER_MS, NS_PER_S

SECTION_NS = 30 * NS_PER_S
"""The offset is taken anew for each section, so that drift within one stays below the tolerance."""

STEP_PPM = 1000
"""Clocks drift less than this; what differs more has stepped."""

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


def match(
    source: FrameTable,
    target: FrameTable,
    *,
    window_ns: int,
    expected_ns: int = 0,
    near_ns: int = NEAR_NS,
    trusted: bool = False,
) -> Matching:
    """Match two frame tables, each of one session and epoch (the target may also be several on one clock).

    window_ns: how far from expected_ns the clocks may be apart; near_ns, trusted: see find_offset. Video
    leads; audio and metadata are looked for near their video's offset, each on its own.
    """
    tracks = sorted(set(np.unique(source["track"]).tolist()) & set(np.unique(target["track"]).tolist()))
    pairs: list[tuple[Index, Index]] = []
    anchors: list[tuple[int, int]] = []
    for track in tracks:
        ours, theirs = line_of(source, track), line_of(target, track)
        if anchors:
            ours = ours.moved(offsets_at(anchors, ours.time_ns))
            pairs.append(_match_beside(ours, theirs))
            continue
        start = find_offset(
            ours, theirs, expected_ns=expected_ns, window_ns=window_ns, near_ns=near_ns, trusted=trusted
        )
        if start is not None:
            pair, anchors = _match_along(ours, theirs, start.offset_ns)
            pairs.append(pair)
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
        elif _ahead(source_ns[i], source[i], target_ns, target, j + 1, tolerance_ns) or (
            late_ns > 0 and not _ahead(target_ns[j], target[j], source_ns, source, i + 1, tolerance_ns)
        ):
            j += 1
        else:
            i += 1
    return left, right


def _ahead(
    at_ns: int, digest: int, times_ns: list[int], digests: list[int], start: int, reach_ns: int
) -> bool:
    while start < len(times_ns) and times_ns[start] - at_ns <= reach_ns:
        if digests[start] == digest:
            return True
        start += 1
    return False


def offsets_at(anchors: list[tuple[int, int]] | tuple[tuple[int, int], ...], at_ns: Times) -> Times:
    """Offset at each source time: between anchors in proportion, beyond them that of the nearest."""
    times, offsets = np.array(anchors, np.int64).T
    base = int(times[0])
    first = int(offsets[0])
    grown = np.interp(
        (at_ns - base).astype(float), (times - base).astype(float), (offsets - first).astype(float)
    )
    return np.asarray(first + np.rint(grown).astype(np.int64), np.int64)


def _match_along(
    source: Line, target: Line, offset_ns: int
) -> tuple[tuple[Index, Index], list[tuple[int, int]]]:
    """Match section by section, outwards from the one that fits best, following the offset as it drifts."""
    tolerance_ns = tolerance_of(source, target)
    sections = list(_sections(source))
    hits = [judge(source.part(*section), target, offset_ns, tolerance_ns)[0].matched for section in sections]
    best = int(np.argmax(hits))
    done: dict[int, tuple[Index, Index]] = {}
    anchors: dict[int, tuple[int, int]] = {}
    for order in (range(best, len(sections)), range(best - 1, -1, -1)):
        low, high = 0, len(target)
        if order.step < 0 and best in done:
            high = int(done[best][1][0]) if len(done[best][1]) else high
        last = anchors.get(best)
        for number in order:
            start, stop = sections[number]
            part = source.part(start, stop)
            middle_ns = int(part.time_ns[len(part) // 2])
            expected_ns, slack_ns = offset_ns, tolerance_ns
            if last is not None:
                expected_ns = last[1]
                slack_ns += abs(middle_ns - last[0]) * STEP_PPM // 1_000_000
            left, right = _match_section(part, target, low, high, expected_ns, slack_ns, tolerance_ns)
            done[number] = (left + start, right)
            if not len(right):
                continue
            low, high = (int(right[-1]) + 1, high) if order.step > 0 else (low, int(right[0]))
            differences = target.time_ns[right] - part.time_ns[left]
            last = (int(np.median(part.time_ns[left])), int(np.median(differences)))
            anchors[number] = last
    left = np.concatenate([done[number][0] for number in sorted(done)])
    right = np.concatenate([done[number][1] for number in sorted(done)])
    return (source.index[left], target.index[right]), [anchors[number] for number in sorted(anchors)]


def _match_section(
    source: Line, target: Line, low: int, high: int, expected_ns: int, slack_ns: int, tolerance_ns: int
) -> tuple[Index, Index]:
    """Places in the section and in the target of equal frames; target places in [low, high)."""
    reach_ns = slack_ns + tolerance_ns
    start, stop = np.searchsorted(
        target.time_ns,
        [
            int(source.time_ns[0]) + expected_ns - reach_ns,
            int(source.time_ns[-1]) + expected_ns + reach_ns + 1,
        ],
    )
    start, stop = max(int(start), low), min(int(stop), high)
    near = target.part(start, max(stop, start))
    found = find_offset(source, near, expected_ns=expected_ns, window_ns=slack_ns, near_ns=slack_ns)
    offset_ns = expected_ns if found is None else found.offset_ns
    left, right = pair_up(source.moved(offset_ns), near, tolerance_ns)
    return left, right + start


def _match_beside(source: Line, target: Line) -> tuple[Index, Index]:
    """Match a track whose video has been matched; the source's times are on the target's clock already."""
    found = find_offset(source, target, window_ns=_OTHER_TRACK_NS, near_ns=_OTHER_TRACK_NS)
    tolerance_ns = max(tolerance_of(source, target), _EVENT_NS)
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
