"""What a run of the source has in common with each run of the target. Pure.

Each pair is matched on its own; where content repeats, all pairs of a run that only its clock places go
together (laps).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from fovideo.media.frames import picked
from fovideo.merge.footage import Footage
from fovideo.merge.line import Index, Mask, Times, line_of
from fovideo.merge.placing.doubt import Laps
from fovideo.merge.placing.laps import FEW, SEAM_NS, laps_of
from fovideo.merge.placing.machines import Machines
from fovideo.merge.placing.match import SECTION_NS, match
from fovideo.merge.placing.offset import Prior, repeats
from fovideo.times import NS_PER_MS

_CLOSE_NS = 15 * NS_PER_MS  # how exactly a lap tells an offset
_ONE_OFFSET_NS = 3 * NS_PER_MS  # what frames of one stretch differ by at most
_NEAR = 25  # frames at an end of a stretch that tell the offset there


@dataclass(frozen=True)
class Pair:
    """What two runs have in common. ours, theirs: frames that are the same.

    compared: which frames of each may be. anchors: (source time_ns, offset_ns). expected_ns: offset that
    clocks tell, and what else is known of the run. off_ns: by how much the offset differs from what the
    machines' clocks alone tell; 0 where a run has not arrived.
    """

    ours: Index
    theirs: Index
    compared: tuple[Mask, Mask]
    anchors: list[tuple[int, int]]
    expected_ns: int
    off_ns: int = 0


def pairs_of(
    source: Footage, targets: Sequence[Footage], primary: int, prior: Prior, machines: Machines
) -> tuple[list[Pair], Laps | None]:
    """A pair for each target. Of a run that only its clock places where content repeats, all are on one lap,
    and the laps are told.
    """
    shown = [each for each in targets if not each.conflict]
    laps = laps_of(source, shown, primary, prior, prior.expected_ns + machines.expected_ns)
    if laps is None:
        return [_match(source, target, primary, prior, machines) for target in targets], None
    lap = laps.laps[0]
    choices = iter(lap.choices)
    pairs = []
    for target in targets:
        offset_ns, near_ns = lap.centre_ns, SEAM_NS
        if not target.conflict and (mine := next(choices)) and len(mine[0].there):
            offset_ns, near_ns = mine[0].offset_ns, _CLOSE_NS
        around = prior.around(offset_ns - machines.expected_ns, near_ns)
        pairs.append(_match(source, target, primary, around, machines))
    return pairs, laps


def _match(source: Footage, target: Footage, primary: int, prior: Prior, machines: Machines) -> Pair:
    """Match what may have arrived at the same instant, by the times as they were recorded."""
    mine, theirs = machines.contemporary(source, target)
    expected_ns = machines.prior(source, target, prior).expected_ns
    moved_ns = target.put_off_ns - source.put_off_ns
    nothing = np.zeros(0, np.int64)
    apart = Pair(nothing, nothing, (mine, theirs), [], expected_ns + moved_ns)
    if source.doubtful or target.doubtful:  # only a copy is surely the same
        return apart
    if mine.any() and theirs.any():
        known = machines.prior(source.only(mine), target.only(theirs), prior)
        found = match(picked(source.recorded, mine), picked(target.recorded, theirs), known)
        apart = replace(apart, expected_ns=known.expected_ns + moved_ns)
        if len(found):
            ours, others = np.flatnonzero(mine)[found.source], np.flatnonzero(theirs)[found.target]
            anchors = _anchors(source, target, ours, others, primary)
            off_ns = 0
            if anchors and source.lag_ns is not None and target.lag_ns is not None:
                alone = machines.prior(source, target, replace(prior, expected_ns=0))
                off_ns = anchors[0][1] - alone.expected_ns - moved_ns
            return replace(apart, ours=ours, theirs=others, anchors=anchors, off_ns=off_ns)
    for other in machines.otherwise(source, target, prior):
        found = match(source.recorded, target.recorded, other)
        ours, others = found.source, found.target
        lines = line_of(source.frames[ours], primary), line_of(target.frames[others], primary)
        if len(found) >= FEW and not repeats(*lines, prior.repeated):
            everything = np.ones(len(source.frames), bool), np.ones(len(target.frames), bool)
            anchors = _anchors(source, target, ours, others, primary)
            return Pair(ours, others, everything, anchors, moved_ns)
    return apart


def _anchors(
    source: Footage, target: Footage, ours: Index, theirs: Index, primary: int
) -> list[tuple[int, int]]:
    """(source time_ns, offset_ns) of frames that are the same: the first and the last of each stretch with
    one offset, so that what lies between two stretches is told by what is next to it.
    """
    leading = source.frames["track"][ours] == primary
    if leading.any():
        ours, theirs = ours[leading], theirs[leading]
    times = source.frames["time_ns"][ours]
    order = np.argsort(times, kind="stable")
    times, offsets = times[order], (target.frames["time_ns"][theirs] - source.frames["time_ns"][ours])[order]
    parts = (times - times[0]) // SECTION_NS if len(times) else times
    cuts = np.flatnonzero((np.abs(np.diff(offsets)) > _ONE_OFFSET_NS) | (np.diff(parts) > 0)) + 1
    edges = [0, *cuts.tolist(), len(times)]
    stretches = [slice(*ends) for ends in pairwise(edges) if ends[0] < ends[1]]
    return [anchor for each in stretches for anchor in _ends(times[each], offsets[each])]


def _ends(times: Times, offsets: Times) -> list[tuple[int, int]]:
    """First and last time of a stretch, each with the offset of the frames next to it."""
    first, last = int(np.median(offsets[:_NEAR])), int(np.median(offsets[-_NEAR:]))
    return [(int(times[0]), first), (int(times[-1]), last)]
