"""Where rows begin: which frames that follow in a segment belong to the row before them. Pure."""

from __future__ import annotations

from typing import Final

import msgspec
import numpy as np

from fovideo.media._tables import flagged
from fovideo.media.codec import Track
from fovideo.media.frames import FrameFlag, FrameTable, Summary
from fovideo.times import NS_PER_S

LONGEST_ROW_NS: Final = 60 * NS_PER_S
"""A GOP that lasts longer is continued in another row, so that rows stay small and seeks look back little."""

LONGEST_HOLE_NS: Final = 5 * NS_PER_S
"""A jump of time beyond this ends a row."""

SOUND_ROW_NS: Final = 2 * NS_PER_S
"""Length of a row in a stream without video."""


class Tail(msgspec.Struct):
    """Where a row stands: what decides whether the next frames belong to it. Stored times."""

    epoch: int
    start_ns: int
    last_ns: int
    primary: bool  # it has frames of the primary track


def primary_track(tracks: tuple[Track, ...]) -> Track:
    """The track that carries coverage: video, else audio, else metadata."""
    return min(tracks, key=lambda track: track.id)


def breaks_row(tail: Tail | None, known: Summary, epoch: int, track: Track) -> bool:
    """Whether frames that follow in the file begin a new row; their first of the primary track decides.

    known: summary of the frames with regard to that track.
    """
    if tail is None or epoch != tail.epoch:
        return True
    key = bool(known.first_flags & FrameFlag.KEY)
    return known.mine > 0 and _breaks(tail, known.first_dts_ns, key, track)


def _breaks(tail: Tail, dts_ns: int, key: bool, track: Track) -> bool:
    video = track.codec.is_video
    if video and key:
        return True
    if not tail.primary:
        return False
    if not -LONGEST_HOLE_NS <= dts_ns - tail.last_ns <= LONGEST_HOLE_NS:
        return True
    longest = LONGEST_ROW_NS if video else SOUND_ROW_NS
    return dts_ns - tail.start_ns >= longest


def cut(tail: Tail | None, frames: FrameTable, epoch: int, track: Track, known: Summary) -> list[int]:
    """Numbers of the frames before which to split a batch, so that each fragment belongs to one row.

    track, known: the primary track, and the summary of the frames with regard to it.
    """
    if not known.mine:
        return []
    if tail is not None and tail.epoch != epoch:
        tail = None
    if track.codec.is_video and _is_plain(tail, known.low_ns, known.high_ns):
        # What comes before the first picture joins its row.
        keys = flagged(frames, track.id, FrameFlag.KEY)
        return [number for number in keys if number > 0 and (number > known.first or tail is not None)]
    numbers = np.flatnonzero(frames["track"] == track.id)
    dts = frames["dts_ns"][numbers]
    keyed = (frames["flags"][numbers] & FrameFlag.KEY) != 0
    if tail is not None:
        tail = Tail(tail.epoch, tail.start_ns, tail.last_ns, tail.primary)
    result = []
    for number, dts_ns, key in zip(numbers.tolist(), dts.tolist(), keyed.tolist(), strict=True):
        if tail is not None and _breaks(tail, dts_ns, key, track):
            result.append(number)
            tail = None
        if tail is None or not tail.primary:
            tail = Tail(epoch, dts_ns, dts_ns, True)
        tail.last_ns = max(tail.last_ns, dts_ns)
    return [number for number in result if number > 0]


def _is_plain(tail: Tail | None, first_ns: int, last_ns: int) -> bool:
    """Whether nothing but keyframes can break rows of video between these times."""
    start_ns, before_ns = (
        (first_ns, first_ns) if tail is None or not tail.primary else (tail.start_ns, tail.last_ns)
    )
    low, high = min(first_ns, before_ns), max(last_ns, before_ns)
    return high - low <= LONGEST_HOLE_NS and last_ns - start_ns < LONGEST_ROW_NS
