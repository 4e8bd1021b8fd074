"""What a target holds, and what it lacks, for certain: whatever of what clocks leave open is true. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from fovideo.merge.line import Mask
from fovideo.merge.placing.laps import FEW
from fovideo.merge.states import CLASH, DOUBT, KEPT, MAYBE, NEW, THERE, States

_HELD = (THERE, KEPT, DOUBT)


def most_once(possible: Sequence[Mapping[int, States]], again: Mapping[int, Mask]) -> int:
    """Which of what is possible is to be believed: the first, unless another makes more frames the same that
    come but once, as sound does where pictures repeat. possible, again: as of certain.
    """
    counts = [
        sum(int(np.count_nonzero(np.isin(mine, _HELD) & ~again[place])) for place, mine in states.items())
        for states in possible
    ]
    best = int(np.argmax(counts))
    return best if counts[best] >= counts[0] + FEW else 0


def is_refuted(
    other: Mapping[int, States], believed: Mapping[int, States], again: Mapping[int, Mask]
) -> bool:
    """Whether what comes but once speaks against another thing than what is believed. States, again: as of
    certain.
    """
    held = [
        np.isin(mine, _HELD) & ~np.isin(other[place], _HELD) & ~again[place]
        for place, mine in believed.items()
    ]
    return sum(int(np.count_nonzero(each)) for each in held) >= FEW


def certain(
    believed: Mapping[int, States],
    others: Iterable[tuple[Mapping[int, States], bool]],
    again: Mapping[int, Mask],
) -> dict[int, States]:
    """States of the frames of each row, with those in doubt that the target holds as one thing is believed,
    and lacks if another is true.

    others: that are not refuted: states if that is, and whether it is as likely as what is believed; then
    also what the target lacks by what is believed, and holds otherwise, is in doubt. again: which frames of
    each row are content that comes again.
    """
    result = dict(believed)
    for states, as_likely in others:
        for place, first in believed.items():
            ours, theirs = np.isin(first, _HELD), np.isin(states[place], _HELD)
            mine = result[place].copy()
            mine[ours & ~theirs & again[place]] = DOUBT
            if as_likely:
                mine[~ours & theirs & again[place] & ((mine == NEW) | (mine == CLASH))] = MAYBE
            result[place] = mine
    return result
