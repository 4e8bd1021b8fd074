"""Two encodes are never interleaved, nor is what a camera's clock showed twice. Pure."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from fovideo.media.frames import joined
from fovideo.merge.footage import Footage
from fovideo.merge.line import Mask, Times, covered, line_of, nominal_ns, tolerance_of
from fovideo.merge.placing.align import Aligned
from fovideo.merge.placing.laps import FEW


def interleaved(source: Footage, aligned: Aligned, shifts_ns: Times) -> Mask:
    """Which frames of a run would come to lie within footage of the target that has nothing in common with
    it. shifts_ns: where the run is put, for each frame.

    Fewer frames than seams are off by say nothing.
    """
    found = np.zeros(len(source.frames), bool)
    for track in sorted({track for _, track in aligned.apart}):
        ours = line_of(source.frames, track)
        theirs = line_of(joined(_frames(aligned.apart, track)), track)
        if not len(ours) or not len(theirs):
            continue
        times = ours.time_ns + shifts_ns[ours.index]
        order = np.argsort(times, kind="stable")
        tolerance_ns, interval_ns = tolerance_of(ours, theirs), nominal_ns(ours, theirs)
        within = covered(times[order], theirs, tolerance_ns, interval_ns)
        if np.count_nonzero(within) >= FEW:
            found[ours.index[order[within]]] = True
    return found


def _frames(apart: Iterable[tuple[Footage, int]], track: int) -> list[np.ndarray]:
    return [target.frames for target, each in apart if each == track]
