"""What a run of the source has in common with each run of the target. Pure.

Each pair is matched on its own; where content repeats, all pairs of a run that only its clock places go
together (laps).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from fovideo.media.frames import picked
from fovideo.merge.footage import Footage
from fovideo.merge.line import Index, Mask, line_of
from fovideo.merge.placing.anchors import Anchor, Stretch, stretches_of
from fovideo.merge.placing.doubt import Laps
from fovideo.merge.placing.laps import FEW, SEAM_NS, laps_of
from fovideo.merge.placing.machines import Machines
from fovideo.merge.placing.match import match
from fovideo.merge.placing.offset import Prior, repeats
from fovideo.times import NS_PER_MS

_CLOSE_NS = 15 * NS_PER_MS  # how exactly a lap tells an offset


@dataclass(frozen=True)
class Pair:
    """What two runs have in common. ours, theirs: frames that are the same.

    compared: which frames of each may be. stretches: of them, each at one offset. expected_ns: offset that
    clocks tell, and what else is known of the run. off_ns: by how much the offset differs from what the
    machines' clocks alone tell; 0 where a run has not arrived. waited: nothing but arrival tells when one of
    the runs was, and all of its frames may have waited.
    """

    ours: Index
    theirs: Index
    compared: tuple[Mask, Mask]
    stretches: list[Stretch]
    expected_ns: int
    off_ns: int = 0
    waited: bool = False

    @property
    def anchors(self) -> list[Anchor]:
        """Both ends of each stretch."""
        return [anchor for each in self.stretches for anchor in each.anchors]


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
            stretches = stretches_of(source, target, ours, others, primary)
            off_ns, waited = 0, False
            if source.lag_ns is not None and target.lag_ns is not None:
                alone = machines.prior(source, target, replace(prior, expected_ns=0))
                late_ns = target.recorded["time_ns"][others] - source.recorded["time_ns"][ours]
                off_ns = int(late_ns[0]) - alone.expected_ns
                waited = not (source.trusted and target.trusted) and min(source.prompt, target.prompt) < FEW
            return replace(apart, ours=ours, theirs=others, stretches=stretches, off_ns=off_ns, waited=waited)
    for other in machines.otherwise(source, target, prior):
        found = match(source.recorded, target.recorded, other)
        ours, others = found.source, found.target
        lines = line_of(source.frames[ours], primary), line_of(target.frames[others], primary)
        if len(found) >= FEW and not repeats(*lines, prior.repeated):
            everything = np.ones(len(source.frames), bool), np.ones(len(target.frames), bool)
            stretches = stretches_of(source, target, ours, others, primary)
            return Pair(ours, others, everything, stretches, moved_ns)
    return apart
