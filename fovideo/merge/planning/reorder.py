"""Places in decode order, in a stream whose encoder reorders frames in a regular pattern (B-frames). Pure.

Decode times are derived from the frames that a recorder received, so those of two recorders differ around
lost frames. In a regular pattern (`I P b b P b b`) the presentation time alone tells the place: then it is
known whether a frame is missing before another, and in which order frames of two recorders go that neither
side has both of.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fovideo.merge.line import Mask, Times, interval_of

UNKNOWN = -1
"""Place of a frame before the first keyframe."""

_MOST_LOST = 8  # keyframes missing in a row; over longer times intervals don't add up exactly
_REGULAR = 0.9  # share of neighbours that a pattern must explain


@dataclass(frozen=True)
class Sequence:
    """Frames of one session in decode order. time_ns: presentation, all on one clock. key: keyframes."""

    time_ns: Times
    key: Mask


@dataclass(frozen=True)
class Pattern:
    """Each keyframe is followed by groups of frames, each decoded in an order of its own.

    order: place in decode order within its group of each frame of it, in presentation order; a row for each
    number of frames. Groups are as large as the last row says, but for the last before a keyframe.
    keys_ns: presentation times of keyframes, in order. slots: how many frames were presented before each.
    gop: usual distance of keyframes; where it is much longer, one is missing and nothing is known of what is
    behind.
    """

    interval_ns: int
    order: npt.NDArray[np.int64]
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
        length = len(self.order) - 1
        group = np.maximum(slot - 1, 0) // length * length
        size = np.clip(ends - 1 - group, 1, length)
        inner = np.clip(slot - 1 - group, 0, length - 1)
        place = np.where(slot == 0, 0, group + 1 + self.order[size, inner])
        return np.where(known, self.slots[base] + place, UNKNOWN)


def find_pattern(sequences: Iterable[Sequence]) -> Pattern | None:
    """The pattern of a stream, or None if frames are not reordered, or not regularly."""
    whole = [each for each in sequences if len(each.time_ns) > 1]
    if not whole:
        return None
    times = np.sort(np.concatenate([each.time_ns for each in whole]))
    interval_ns = interval_of(times[np.concatenate(([True], np.diff(times) > 5_000_000))])
    keys = np.sort(np.concatenate([each.time_ns[each.key] for each in whole]))
    if not len(keys) or not interval_ns:
        return None
    keys = keys[np.concatenate(([True], np.diff(keys) > interval_ns // 2))]
    steps = np.rint(np.diff(keys) / interval_ns).astype(np.int64)
    gop = int(np.bincount(steps).argmax()) if len(steps) else int(max(len(each.time_ns) for each in whole))
    keys, slots = _filled(keys, steps, gop, interval_ns)
    orders = _orders(whole, interval_ns)
    for length in sorted({len(order) for order in orders}, key=lambda length: -_weight(orders, length))[:3]:
        pattern = Pattern(interval_ns, _table(orders, length), keys, slots, gop)
        if _explains(pattern, whole):
            return pattern
    return None


def _orders(sequences: Iterable[Sequence], interval_ns: int) -> Counter[tuple[int, ...]]:
    """Orders of the runs of several frames in which none is missing, and how often each was seen.

    A run is one of the smallest groups of frames whose presentation times all precede those of the next.
    """
    found: Counter[tuple[int, ...]] = Counter()
    for each in sequences:
        time = each.time_ns
        latest = np.maximum.accumulate(time)
        earliest = np.minimum.accumulate(time[::-1])[::-1]
        ends = np.flatnonzero(np.append(latest[:-1] < earliest[1:], True)) + 1
        starts = np.concatenate(([0], ends[:-1]))
        for start, stop in zip(
            starts[ends - starts > 1].tolist(), ends[ends - starts > 1].tolist(), strict=True
        ):
            run = time[start:stop]
            if int(run.max() - run.min()) < (len(run) - 0.5) * interval_ns:
                found[tuple(np.argsort(run, kind="stable").tolist())] += 1
    return found


def _weight(orders: Counter[tuple[int, ...]], length: int) -> int:
    return sum(count for order, count in orders.items() if len(order) == length)


def _table(orders: Counter[tuple[int, ...]], length: int) -> npt.NDArray[np.int64]:
    """Pattern.order: the commonest order of each length; where none was seen, the last frame goes first."""
    table = np.zeros((length + 1, length), np.int64)
    for size in range(1, length + 1):
        table[size, : size - 1] = np.arange(1, size)
    for order, _ in reversed(orders.most_common()):
        if len(order) <= length:
            table[len(order), : len(order)] = order
    return table


def _filled(keys: Times, steps: Times, gop: int, interval_ns: int) -> tuple[Times, Times]:
    """Times of keyframes and frames before each; where whole GOPs lie between two, also of those that are
    missing.
    """
    times, slots, slot = [int(keys[0])], [0], 0
    for key, step in zip(keys[1:].tolist(), steps.tolist(), strict=True):
        lost = step // gop - 1 if step % gop == 0 and step // gop <= _MOST_LOST else 0
        start = times[-1]
        for number in range(1, lost + 1):
            times.append(start + (key - start) * number // (lost + 1))
            slots.append(slot + gop * number)
        slot += step
        times.append(key)
        slots.append(slot)
    return np.array(times, np.int64), np.array(slots, np.int64)


def _explains(pattern: Pattern, sequences: Iterable[Sequence]) -> bool:
    rising = pairs = 0
    for each in sequences:
        places = pattern.places(each.time_ns)
        known = (places[:-1] != UNKNOWN) & (places[1:] != UNKNOWN)
        pairs += int(known.sum())
        rising += int((known & (places[1:] > places[:-1])).sum())
    return pairs > 0 and rising >= _REGULAR * pairs
