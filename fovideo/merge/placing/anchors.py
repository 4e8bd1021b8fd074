"""What frames that are the same say of where a run lies among the target's. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby, pairwise

import numpy as np

from fovideo.merge.footage import Footage
from fovideo.merge.line import Index, Mask, Times
from fovideo.merge.placing.match import SECTION_NS
from fovideo.times import NS_PER_MS, NS_PER_S

_ONE_OFFSET_NS = 3 * NS_PER_MS  # what frames of one stretch differ by at most
_NEAR = 25  # frames at an end of a stretch that tell the offset there
_PAUSE_NS = NS_PER_S  # a stretch says nothing of longer pauses of its own, if another does

Anchor = tuple[int, int]
"""Source time_ns, and the offset to be added to it."""


@dataclass(frozen=True)
class Stretch:
    """Frames of a run that one of the target's has at one offset. times_ns: of the source, rising.
    offsets_ns: at the first and the last. leading: of the primary track.
    """

    times_ns: Times
    offsets_ns: tuple[int, int]
    leading: bool

    @property
    def anchors(self) -> list[Anchor]:
        """At both ends."""
        first_ns, last_ns = self.offsets_ns
        return [(int(self.times_ns[0]), first_ns), (int(self.times_ns[-1]), last_ns)]

    def at(self, start: int, stop: int) -> list[Anchor]:
        """At both ends of a part of it."""
        edges = self.times_ns[[0, -1]]
        times = self.times_ns[[start, stop - 1]]
        late = np.interp(times - edges[0], edges - edges[0], (0, self.offsets_ns[1] - self.offsets_ns[0]))
        return [
            (int(time_ns), self.offsets_ns[0] + round(each))
            for time_ns, each in zip(times.tolist(), late.tolist(), strict=True)
        ]


def stretches_of(source: Footage, target: Footage, ours: Index, theirs: Index, primary: int) -> list[Stretch]:
    """Of frames that are the same; those of the primary track tell, if there are any."""
    leading = source.frames["track"][ours] == primary
    if leading.any():
        ours, theirs = ours[leading], theirs[leading]
    times = source.frames["time_ns"][ours]
    order = np.argsort(times, kind="stable")
    times, offsets = times[order], (target.frames["time_ns"][theirs] - source.frames["time_ns"][ours])[order]
    parts = (times - times[0]) // SECTION_NS if len(times) else times
    cuts = np.flatnonzero((np.abs(np.diff(offsets)) > _ONE_OFFSET_NS) | (np.diff(parts) > 0)) + 1
    edges = [0, *cuts.tolist(), len(times)]
    return [
        Stretch(times[start:stop], _at_ends(offsets[start:stop]), bool(leading.any()))
        for start, stop in pairwise(edges)
        if start < stop
    ]


def _at_ends(offsets: Times) -> tuple[int, int]:
    return int(np.median(offsets[:_NEAR])), int(np.median(offsets[-_NEAR:]))


def anchors_of(stretches: Iterable[Stretch]) -> list[Anchor]:
    """Anchors at both ends of each stretch. Of what several tell, the primary track is believed before others
    (sound and metadata go where their video is), and more frames before fewer.
    """
    ranked = sorted(stretches, key=lambda each: (not each.leading, -len(each.times_ns)))
    taken = np.zeros((0, 2), np.int64)
    parts: list[tuple[int, int, int]] = []  # by time: number of the stretch, and which of its frames
    for number, each in enumerate(ranked):
        free = _outside(each.times_ns, taken)
        cuts = np.diff(each.times_ns) > _PAUSE_NS
        cuts |= np.diff(np.searchsorted(taken[:, 0], each.times_ns)) > 0
        mine = [
            (int(places[0]), int(places[-1]) + 1)
            for places in np.split(np.arange(len(free)), np.flatnonzero(cuts | (np.diff(free) != 0)) + 1)
            if free[places[0]]
        ]
        parts += [(number, start, stop) for start, stop in mine]
        spans = [(each.times_ns[start], each.times_ns[stop - 1]) for start, stop in mine]
        taken = np.sort(np.concatenate((taken, np.array(spans, np.int64).reshape(-1, 2))), axis=0)
    parts.sort(key=lambda part: int(ranked[part[0]].times_ns[part[1]]))
    found: list[Anchor] = []
    for number, group in groupby(parts, key=lambda part: part[0]):
        mine_now = list(group)
        found += ranked[number].at(mine_now[0][1], mine_now[-1][2])
    return found


def _outside(times_ns: Times, spans: Times) -> Mask:
    """Which times lie in none of the spans, which do not overlap and are by time."""
    if not len(spans):
        return np.ones(len(times_ns), bool)
    before = np.searchsorted(spans[:, 0], times_ns, side="right") - 1
    return np.asarray((before < 0) | (spans[np.maximum(before, 0), 1] < times_ns), bool)
