"""Which matches of one run go together: an unbroken run is on one lap of what repeats, and keeps its order.
Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fovideo.merge.line import Mask, Times
from fovideo.merge.match import STEP_PPM


@dataclass(frozen=True)
class Link:
    """A match of a run of the source with one run of the target.

    start_ns, end_ns: source times of the first and last frame in common. anchors: (source time_ns,
    offset_ns beyond what clocks tell), by time. matched: how many frames are in common.
    """

    start_ns: int
    end_ns: int
    anchors: Sequence[tuple[int, int]]
    matched: int


def chained(links: Sequence[Link], slack_ns: int, lap_ns: int) -> list[bool]:
    """Which links to believe: of those sets that do not contradict each other, the one with most frames.

    slack_ns: by how much clocks of the target may differ. lap_ns: after how long content comes again; 0 = not
    known.
    """
    offsets = [offset_ns for link in links for _, offset_ns in link.anchors]
    if max(offsets, default=0) - min(offsets, default=0) <= slack_ns:
        return [True] * len(links)
    agree = np.ones((len(links), len(links)), bool)
    for one, link in enumerate(links):
        for other in range(one):
            agree[one, other] = agree[other, one] = _agree(link, links[other], slack_ns, lap_ns)
    if agree.all():
        return [True] * len(links)
    frames = np.array([link.matched for link in links])
    order = np.argsort(-frames, kind="stable").tolist()
    sets = [_grown(seed, order, agree) for seed in order]
    best = max(sets, key=lambda chosen: int(frames[chosen].sum()))
    return [bool(each) for each in best]


def _grown(seed: int, order: Sequence[int], agree: Mask) -> Mask:
    """A set of links that all agree: the seed, and what agrees with those before it, in this order."""
    chosen = np.zeros(len(agree), bool)
    chosen[seed] = True
    for each in order:
        chosen[each] |= bool(agree[each, chosen].all())
    return chosen


def _agree(one: Link, other: Link, slack_ns: int, lap_ns: int) -> bool:
    """Whether frames of two links keep their order in the target, and are not on different laps."""
    first, second = sorted((one, other), key=lambda link: (link.start_ns, link.end_ns))
    room_ns = second.start_ns - first.end_ns
    before, after = _nearest(np.array(first.anchors, np.int64), np.array(second.anchors, np.int64))
    slack_ns += abs(after[0] - before[0]) * STEP_PPM // 1_000_000
    back_ns = before[1] - after[1]
    if back_ns > max(room_ns, 0) + slack_ns or (room_ns < 0 and -back_ns > slack_ns):
        return False
    laps = round(abs(back_ns) / lap_ns) if lap_ns else 0
    return not laps or abs(abs(back_ns) - laps * lap_ns) > slack_ns


def _nearest(one: Times, other: Times) -> tuple[tuple[int, int], tuple[int, int]]:
    """Of two lists of anchors, by time, the two that are nearest to each other."""
    right = np.searchsorted(one[:, 0], other[:, 0])
    places = np.concatenate((np.maximum(right - 1, 0), np.minimum(right, len(one) - 1)))
    others = np.tile(np.arange(len(other)), 2)
    at = int(np.abs(one[places, 0] - other[others, 0]).argmin())
    before, after = one[places[at]].tolist(), other[others[at]].tolist()
    return (before[0], before[1]), (after[0], after[1])
