"""Line: one track of a frame table in order of presentation, the form in which two recordings are
compared.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from fovideo.media.frames import FrameFlag, FrameTable
from fovideo.merge import _lines
from fovideo.times import NS_PER_MS

Times = npt.NDArray[np.int64]
Digests = npt.NDArray[np.uint64]
Index = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

COVERED = 1.75
"""Neighbours at most this many intervals apart have no room for a frame between them."""

_TOLERANCE = 0.45
_ACCIDENTS = 0.02  # share of frames that are like another one by chance
_UNKNOWN_INTERVAL_NS = 40 * NS_PER_MS


@dataclass(frozen=True)
class Line:
    """Frames of one track, by presentation time. Presentation order is the same on every recorder of an
    encoder, also with B-frames and where a recording starts mid-GOP; decode times may differ there.

    time_ns: never decreases. index: row of the frame table that each frame came from. interval_ns: median
    distance of neighbours, 0 when unknown.
    """

    time_ns: Times
    digest: Digests
    index: Index
    key: Mask
    interval_ns: int

    def __len__(self) -> int:
        return len(self.time_ns)

    def part(self, start: int, stop: int) -> Line:
        """Frames start..stop, with the interval of the whole."""
        chosen = slice(start, stop)
        return Line(
            self.time_ns[chosen], self.digest[chosen], self.index[chosen], self.key[chosen], self.interval_ns
        )

    def at(self, places: Index) -> Line:
        """Frames at these places, with the interval of the whole."""
        return Line(
            self.time_ns[places],
            self.digest[places],
            self.index[places],
            self.key[places],
            self.interval_ns,
        )

    def between(self, from_ns: int, to_ns: int) -> Line:
        """Frames whose time lies in [from_ns, to_ns]."""
        start, stop = np.searchsorted(self.time_ns, [from_ns, to_ns + 1])
        return self.part(int(start), int(stop))

    def moved(self, shift_ns: int | Times) -> Line:
        """The same frames at other times; the shift keeps their order."""
        return Line(self.time_ns + shift_ns, self.digest, self.index, self.key, self.interval_ns)


def line_of(frames: FrameTable, track: int) -> Line:
    """The frames of a track."""
    time, index = np.empty((2, len(frames)), np.int64)
    digest, key = np.empty(len(frames), np.uint64), np.empty(len(frames), np.uint8)
    count, rising = _lines.line(frames, track, FrameFlag.KEY, time, digest, index, key)
    line = Line(time[:count], digest[:count], index[:count], key[:count] != 0, 0)
    if not rising:
        line = line.at(np.argsort(line.time_ns, kind="stable"))
    return replace(line, interval_ns=interval_of(line.time_ns))


def interval_of(time: Times) -> int:
    """Median distance of neighbouring times that differ; 0 when there are none."""
    steps = np.diff(time)
    steps = steps[steps > 0]
    return int(np.median(steps)) if len(steps) else 0


def tolerance_of(source: Line, target: Line) -> int:
    """How far the times of one frame may lie apart on two recorders once their clocks are aligned, in ns.

    Less than half an interval, so that a frame that repeats its neighbour byte for byte has one partner.
    """
    return max(int(nominal_ns(source, target) * _TOLERANCE), NS_PER_MS)


def nominal_ns(source: Line, target: Line) -> int:
    """Frame interval of the stream: that of the denser line, since the other may hold single frames only."""
    return min(
        (line.interval_ns for line in (source, target) if line.interval_ns), default=_UNKNOWN_INTERVAL_NS
    )


def covered(at_ns: Times, line: Line, reach_ns: int, interval_ns: int) -> Mask:
    """Which instants lie where a line has footage: between close neighbours, or within reach_ns of a
    frame.
    """
    found = np.empty(len(at_ns), bool)
    close_ns = int(COVERED * interval_ns)
    _lines.covered(np.ascontiguousarray(at_ns), line.time_ns, close_ns, reach_ns, found.view(np.uint8))
    return found


def repeated_in(footage: Iterable[Digests]) -> Digests:
    """Digests, sorted, that come more than once in footage of which no frame is there twice."""
    digests = list(footage)
    if not digests:
        return np.zeros(0, np.uint64)
    values, counts = np.unique(np.concatenate(digests), return_counts=True)
    return np.asarray(values[counts > 1], np.uint64)


def again_after_ns(lines: Iterable[Line]) -> int:
    """After how long content comes again within a line, at the least but for a few accidents; 0 if it does
    not.
    """
    found = []
    for line in lines:
        digests = np.sort(line.digest)
        if not (digests[1:] == digests[:-1]).any():
            continue
        order = np.argsort(line.digest, kind="stable")  # times rise already
        same = np.diff(line.digest[order].view(np.int64)) == 0
        found.append(np.diff(line.time_ns[order])[same])
    steps = np.concatenate(found) if found else np.zeros(0, np.int64)
    return int(np.quantile(steps, _ACCIDENTS)) if len(steps) else 0
