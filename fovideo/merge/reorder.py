"""Places in decode order, in a stream whose encoder reorders frames in a regular pattern (B-frames). Pure.

Decode times are derived from the frames that a recorder received, so those of two recorders differ around
lost frames. In a regular pattern (`I P b b P b b`) the presentation time alone tells the place: then it is
known whether a frame is missing before another, and in which order frames of two recorders go that neither
side has both of.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from fovideo.merge.line import Mask, Times, interval_of

UNKNOWN = -1
"""Place of a frame before the first keyframe."""

_REGULAR = 0.9  # share of neighbours that a pattern must explain


@dataclass(frozen=True)
class Sequence:
    """Frames of one session in decode order. time_ns: presentation, all on one clock. key: keyframes."""

    time_ns: Times
    key: Mask


@dataclass(frozen=True)
class Pattern:
    """Each keyframe is followed by groups of `length` frames, of which the last in presentation is decoded
    first.

    keys_ns: presentation times of keyframes, in order. slots: how many frames were presented before each.
    gop: usual distance of keyframes; where it is much longer, one is missing and nothing is known of what is
    behind.
    """

    interval_ns: int
    length: int
    keys_ns: Times
    slots: Times
    gop: int

    def places(self, time_ns: Times) -> Times:
        """Place of each frame in decode order, counted in frames; neighbours differ by 1."""
        base = np.searchsorted(self.keys_ns, time_ns + self.interval_ns // 2, side="right") - 1
        known = base >= 0
        base = np.maximum(base, 0)
        slot = np.rint((time_ns - self.keys_ns[base]) / self.interval_ns).astype(np.int64)
        last = len(self.slots) - 1
        ends = np.where(base < last, self.slots[np.minimum(base + 1, last)] - self.slots[base], self.gop)
        lone = 2 * ends > 3 * self.gop
        known &= ~lone | (slot < self.gop)
        ends = np.where(lone, self.gop, ends)
        group = np.maximum(slot - 1, 0) // self.length * self.length
        leader = np.minimum(group + self.length, ends - 1)
        place = np.where(slot == 0, 0, np.where(slot == leader, group + 1, slot + 1))
        return np.where(known, self.slots[base] + place, UNKNOWN)


def find_pattern(sequences: Iterable[Sequence]) -> Pattern | None:
    """The pattern of a stream, or None if frames are not reordered, or not regularly."""
    whole = [each for each in sequences if len(each.time_ns) > 1]
    lengths = np.concatenate([_run_lengths(each) for each in whole] or [np.zeros(0, np.int64)])
    lengths = lengths[lengths > 1]
    if not len(lengths):
        return None
    times = np.sort(np.concatenate([each.time_ns for each in whole]))
    interval_ns = interval_of(times[np.concatenate(([True], np.diff(times) > 5_000_000))])
    keys = np.sort(np.concatenate([each.time_ns[each.key] for each in whole]))
    if not len(keys) or not interval_ns:
        return None
    keys = keys[np.concatenate(([True], np.diff(keys) > interval_ns // 2))]
    steps = np.rint(np.diff(keys) / interval_ns).astype(np.int64)
    slots = np.concatenate(([0], np.cumsum(steps)))
    gop = int(np.bincount(steps).argmax()) if len(steps) else int(max(len(each.time_ns) for each in whole))
    counts = np.bincount(lengths)
    for length in np.argsort(-counts, kind="stable")[:3].tolist():
        pattern = Pattern(interval_ns, length, keys, slots, gop)
        if length > 1 and _explains(pattern, whole):
            return pattern
    return None


def _run_lengths(sequence: Sequence) -> Times:
    """Lengths of the smallest runs of frames whose presentation times all precede those of the next run."""
    time = sequence.time_ns
    latest = np.maximum.accumulate(time)
    earliest = np.minimum.accumulate(time[::-1])[::-1]
    ends = np.flatnonzero(np.append(latest[:-1] < earliest[1:], True))
    return np.diff(ends, prepend=-1).astype(np.int64)


def _explains(pattern: Pattern, sequences: Iterable[Sequence]) -> bool:
    rising = pairs = 0
    for each in sequences:
        places = pattern.places(each.time_ns)
        known = (places[:-1] != UNKNOWN) & (places[1:] != UNKNOWN)
        pairs += int(known.sum())
        rising += int((known & (places[1:] > places[:-1])).sum())
    return pairs > 0 and rising >= _REGULAR * pairs
