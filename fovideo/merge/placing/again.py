"""Content that comes again: which of the frames that the target seems to hold may be others. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fovideo.merge.footage import Footage
from fovideo.merge.line import Mask
from fovideo.merge.placing.anchors import Anchor
from fovideo.merge.placing.laps import FEW, SEAM_NS
from fovideo.merge.placing.machines import SLACK_NS, Machines
from fovideo.merge.placing.offset import Prior
from fovideo.merge.placing.pairs import Pair


def in_doubt(
    source: Footage,
    targets: Sequence[Footage],
    pairs: Sequence[Pair],
    prior: Prior,
    machines: Machines,
    anchors: Sequence[Anchor],
) -> Mask:
    """Which of the frames that the target seems to hold may be others.

    targets, pairs: of each session of the target, what the run has in common with it. anchors: of them all.
    """
    doubtful, sure = np.zeros((2, len(source.frames)), bool)
    for target, pair, off_ns in zip(targets, pairs, _off_ns(pairs, machines), strict=True):
        again = np.isin(source.frames["digest"][pair.ours], prior.repeated)
        if prior.repeats and off_ns > SLACK_NS:
            again[:] = True
        elif source.is_beside_by_guess(target) and np.count_nonzero(~again) < FEW:
            pass
        elif _is_told(pair, again, off_ns, prior) and not _is_by_chance(source, target, pair, anchors):
            again[:] = False
        doubtful[pair.ours] |= again
        sure[pair.ours] |= ~again
    return doubtful & ~sure


def _is_told(pair: Pair, again: Mask, off_ns: int, prior: Prior) -> bool:
    """Whether clocks tell where a pair is, or frames of pictures of which none comes again."""
    if not prior.repeats and np.count_nonzero(~again) >= FEW:
        return True
    return off_ns <= (prior.again_ns // 2 or SLACK_NS)


def _off_ns(pairs: Sequence[Pair], machines: Machines) -> list[int]:
    """How far from where the machines' clocks put a run each pair puts it; where frames do not tell these
    clocks, how far from where the most of its frames are. Where content repeats, that may be another lap as
    well as frames that waited, or a clock that was off. Where all frames may have waited, it may be any lap
    that is so near.
    """
    most = max(pairs, key=lambda pair: len(pair.ours), default=None)
    there_ns = most.off_ns if most is not None and not machines.told else 0
    return [
        max(abs(pair.off_ns - there_ns), SLACK_NS if pair.waited else 0) if len(pair.ours) else 0
        for pair in pairs
    ]


def _is_by_chance(source: Footage, target: Footage, pair: Pair, anchors: Sequence[Anchor]) -> bool:
    """Whether so few frames are alike that they may be others, since neither the camera's clock nor the
    frames beside them say when they were.
    """
    if not 0 < len(pair.ours) < FEW or target.conflict:
        return False
    offset_ns = pair.anchors[0][1]
    put_off_ns = target.put_off_ns - source.put_off_ns
    told = [put_off_ns] if source.trusted and target.trusted else []
    told += [each for _, each in anchors]
    return all(abs(offset_ns - each) > SEAM_NS for each in told)
