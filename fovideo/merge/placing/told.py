"""What the machines' clocks tell of the offset of a run against what the target shows. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from fovideo.merge.footage import Footage
from fovideo.merge.placing.machines import Machines
from fovideo.merge.placing.offset import Prior


def told_of_all_ns(source: Footage, targets: Iterable[Footage], machines: Machines, prior: Prior) -> int:
    """The offset that the machines' clocks tell, in the mean over all that the target shows."""
    told = [
        _told_ns(source, target, machines, prior)
        for target in targets
        if target.session != source.session and not target.conflict
    ]
    return int(np.median(told)) if told else machines.expected_ns


def _told_ns(source: Footage, target: Footage, machines: Machines, prior: Prior) -> int:
    """The offset that clocks tell, between the times to which merges have moved both."""
    put_off_ns = target.put_off_ns - source.put_off_ns
    return machines.prior(source, target, prior).expected_ns + put_off_ns


def told_of_nearest_ns(
    source: Footage, there: Sequence[Footage], machines: Machines, prior: Prior
) -> int | None:
    """The offset against the target's footage that arrived nearest to a run, where it is known."""
    nearest: tuple[int, int] | None = None
    for target in there:
        apart_ns, known = machines.apart_ns(source, target)
        if not (known or machines.told) or target.conflict or target.session == source.session:
            continue
        ours, theirs = source.arrival_ns + apart_ns, target.arrival_ns
        if not source.arrival_ns.any() or not theirs.any():
            continue
        distance_ns = max(int(ours.min() - theirs.max()), int(theirs.min() - ours.max()), 0)
        if nearest is None or distance_ns < nearest[0]:
            nearest = distance_ns, _told_ns(source, target, machines, prior)
    return None if nearest is None else nearest[1]
