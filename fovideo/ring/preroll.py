"""What a ring in standby keeps: whole GOPs that cover the pre-roll. Pure."""

from __future__ import annotations

import numpy as np

from fovideo.media.codec import VIDEO_TRACK
from fovideo.media.frames import FrameFlag
from fovideo.ring.units import Kind, Units

FULL = 0.75
"""Share of the capacity above which footage is given up although the pre-roll still wants it."""

_HEADER_BYTES = 56


def trim_position(
    units: Units, now_ns: int, preroll_ns: int, used_bytes: int, capacity_bytes: int
) -> int | None:
    """Position up to which a ring in standby can be released, or None when all of it must stay.

    units: all rows of the ring in order, as Ring.units() gives them.
    now_ns, preroll_ns: monotonic clock (that of UNIT["receipt_ns"]), and how far back to reach.
    used_bytes, capacity_bytes: of the ring.

    What stays begins with the newest keyframe that was received at least preroll_ns ago. A ring that is
    fuller than FULL keeps less: from the oldest keyframe that brings it below, and if even the newest GOP is
    too large, from a frame inside it: frames without their keyframe can continue what another recorder has.
    Without video every frame is a place to begin.

    Records before the position go whatever they are: who trims remembers the last FORMAT among them.
    """
    if not len(units):
        return None
    frames = units["kind"] == Kind.FRAME
    video = frames & (units["track"] == VIDEO_TRACK)
    heads = video & (units["flags"] & FrameFlag.KEY != 0) if video.any() else frames
    begin = 0

    keys = np.flatnonzero(heads)
    old = np.flatnonzero(units["receipt_ns"][keys] <= now_ns - preroll_ns)
    if len(old):
        begin = int(keys[old[-1]])

    if used_bytes > FULL * capacity_bytes:
        small = np.zeros(len(units), bool)
        sizes = units["end"] - units["position"] + _HEADER_BYTES  # of memory; positions may leave places out
        small[1:] = sizes[::-1].cumsum()[-2::-1] <= FULL * capacity_bytes
        places = np.flatnonzero(frames)
        for fitting in (keys[small[keys]], places[small[places]], places[-1:]):
            if len(fitting):
                begin = max(begin, int(fitting[0]))
                break
    return int(units["end"][begin - 1]) if begin else None
