"""What a run of the source has in common with each run of the target. Pure.

Each pair is matched on its own; where content repeats, the pairs of a run must then go together (chain).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from fovideo.media.frames import picked
from fovideo.merge.chain import Link, chained
from fovideo.merge.footage import Footage
from fovideo.merge.line import Index, Mask, line_of
from fovideo.merge.machines import Machines
from fovideo.merge.match import SECTION_NS, match
from fovideo.merge.offset import NEAR_NS, Prior, repeats
from fovideo.times import NS_PER_MS

FEW = 8
"""Where content repeats, fewer matching frames than this say nothing of the clock."""

SEAM_NS = 250 * NS_PER_MS
"""How far off a recorder's first times are."""

_ONE_OFFSET_NS = 3 * NS_PER_MS  # what frames of one stretch differ by at most


@dataclass(frozen=True)
class Pair:
    """What two runs have in common. ours, theirs: frames that are the same.

    compared: which frames of each may be. anchors: (source time_ns, offset_ns). expected_ns: offset that
    clocks tell.
    """

    ours: Index
    theirs: Index
    compared: tuple[Mask, Mask]
    anchors: list[tuple[int, int]]
    expected_ns: int

    def matched(self) -> int:
        return len(self.ours)

    def beyond_ns(self) -> int:
        """By how much the offset differs from what clocks tell."""
        return int(np.median([offset_ns for _, offset_ns in self.anchors])) - self.expected_ns

    def nothing(self) -> Pair:
        """The same two runs, with nothing in common."""
        return replace(self, ours=self.ours[:0], theirs=self.theirs[:0], anchors=[])


def pairs_of(
    source: Footage, targets: Sequence[Footage], primary: int, prior: Prior, machines: Machines
) -> list[Pair]:
    """A pair for each target. Where content repeats, those that would put the run on another lap than the
    rest of it are matched again where that is, or have nothing in common.
    """
    pairs = [_match(source, target, primary, prior, machines) for target in targets]
    if not len(prior.repeated):
        return pairs
    slack_ns = max(min(prior.again_ns * 2 // 5, NEAR_NS), SEAM_NS) if prior.again_ns else NEAR_NS
    believed = _believed(source, pairs, slack_ns, prior.lap_ns)
    if all(believed):
        return pairs
    best = max((pair for pair, good in zip(pairs, believed, strict=True) if good), key=Pair.matched)
    near = prior.around(prior.expected_ns + best.beyond_ns(), slack_ns)
    for place in np.flatnonzero(np.logical_not(believed)).tolist():
        again = _match(source, targets[place], primary, near, machines)
        pairs[place] = replace(again, expected_ns=pairs[place].expected_ns) if again.anchors else again
    believed = _believed(source, pairs, slack_ns, prior.lap_ns)
    return [pair if good else pair.nothing() for pair, good in zip(pairs, believed, strict=True)]


def _believed(source: Footage, pairs: Sequence[Pair], slack_ns: int, lap_ns: int) -> list[bool]:
    """Which pairs keep the order of the run, and its lap; those with nothing in common do."""
    times = source.frames["time_ns"]
    links = []
    for pair in pairs:
        if pair.anchors:
            anchors = [(at_ns, offset_ns - pair.expected_ns) for at_ns, offset_ns in pair.anchors]
            mine = times[pair.ours]
            links.append(Link(int(mine.min()), int(mine.max()), anchors, len(mine)))
    chosen = iter(chained(links, slack_ns, lap_ns))
    return [not pair.anchors or next(chosen) for pair in pairs]


def _match(source: Footage, target: Footage, primary: int, prior: Prior, machines: Machines) -> Pair:
    """Match what may have arrived at the same instant, by the times as they were recorded."""
    mine, theirs = machines.contemporary(source, target)
    expected_ns = machines.prior(source, target, prior).expected_ns
    moved_ns = target.put_off_ns - source.put_off_ns
    if mine.any() and theirs.any():
        known = machines.prior(source.only(mine), target.only(theirs), prior)
        expected_ns = known.expected_ns
        found = match(picked(source.recorded, mine), picked(target.recorded, theirs), known)
        if len(found):
            ours, others = np.flatnonzero(mine)[found.source], np.flatnonzero(theirs)[found.target]
            anchors = _anchors(source, target, ours, others, primary)
            return Pair(ours, others, (mine, theirs), anchors, expected_ns + moved_ns)
    for other in machines.otherwise(source, target, prior):
        found = match(source.recorded, target.recorded, other)
        ours, others = found.source, found.target
        lines = line_of(source.frames[ours], primary), line_of(target.frames[others], primary)
        if len(found) >= FEW and not repeats(*lines, prior.repeated):
            everything = np.ones(len(source.frames), bool), np.ones(len(target.frames), bool)
            return Pair(ours, others, everything, _anchors(source, target, ours, others, primary), moved_ns)
    nothing = np.zeros(0, np.int64)
    return Pair(nothing, nothing, (mine, theirs), [], expected_ns + moved_ns)


def _anchors(
    source: Footage, target: Footage, ours: Index, theirs: Index, primary: int
) -> list[tuple[int, int]]:
    """(source time_ns, offset_ns) of frames that are the same: one for each stretch with one offset."""
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
        (int(np.median(times[start:stop])), int(np.median(offsets[start:stop])))
        for start, stop in pairwise(edges)
        if stop > start
    ]
