"""What the source itself says of how its rows hang together: which continues one of another session. Pure."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fovideo.merge.manifest import Manifest
from fovideo.timeline.cover import DEFAULT_INTERVAL_NS, holes
from fovideo.timeline.held import told
from fovideo.timeline.links import link
from fovideo.timeline.values import Splice
from fovideo.times import NS_PER_S


def inherited(manifest: Manifest, place: int, is_there: Callable[[int], bool]) -> int | None:
    """Name of the link by which the source tells that a row continues footage of another session, as a merge
    wrote it down; None = it does not.

    is_there: whether the target will show the end of another row.
    """
    row = manifest.rows[place]
    reach_ns = row.start_ns - (row.interval_ns or DEFAULT_INTERVAL_NS) * 3 // 4
    for other in range(place - 1, -1, -1):
        before = manifest.rows[other]
        if row.start_ns - before.start_ns > manifest.longest_ns + NS_PER_S:
            return None
        if before.end_ns < reach_ns or manifest.is_conflict(other) or not is_there(other):
            continue
        name = _continued(manifest, other, place)
        if name is not None:
            return name
    return None


def _continued(manifest: Manifest, other: int, place: int) -> int | None:
    """Name of the link between a frame of another row and the first one of a row, if it is known to continue
    that.
    """
    before, after = manifest.provenance(other), manifest.provenance(place)
    rows = manifest.rows[other], manifest.rows[place]
    leads = before.splice & (Splice.LEADS | Splice.NAMED)
    follows = after.splice & (Splice.FOLLOWS | Splice.NAMED)
    if not (leads or follows):
        return None
    frames, behind = manifest.shown(other), manifest.shown(place)
    if not len(frames) or not len(behind):
        return None
    first, digests = int(behind["digest"][0]), frames["digest"].tolist()
    shift_ns = rows[0].shift_ns - rows[1].shift_ns
    ahead = int(np.count_nonzero(frames["dts_ns"] + shift_ns < behind["dts_ns"][0]))
    for each in digests[:ahead][::-1] + digests[ahead:]:  # the nearest first: perhaps no frame is named
        if told(before, after, each, first):
            return link(each, first)
    return None


def adjacent(manifest: Manifest, previous: int, place: int) -> bool:
    """Whether no frame is missing between two rows of one session."""
    rows = manifest.rows
    before, after = manifest.shown(previous), manifest.shown(place)
    if not len(before) or not len(after):
        return False
    shift_ns = rows[place].shift_ns - rows[previous].shift_ns
    dts = np.array([before["dts_ns"][-1], after["dts_ns"][0] + shift_ns], np.int64)
    flags = np.array([0, after["flags"][0]], np.uint8)
    interval_ns = rows[place].interval_ns or rows[previous].interval_ns or DEFAULT_INTERVAL_NS
    return not bool(holes(dts, flags, interval_ns)[0])
