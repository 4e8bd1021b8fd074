"""What the movie fragment boxes (`prft`, `moof`) need to know of a track; fov_boxes.h writes them."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from fovideo.errors import UnsupportedStream
from fovideo.media import sps
from fovideo.media.codec import METADATA_TRACK, Codec, Track
from fovideo.times import NS_PER_S

_REORDER_NS_PER_FRAME = NS_PER_S // 10
_REORDER_UNKNOWN_FRAMES = 2
_LASTS = {Codec.AAC: 1, Codec.PCMU: 2, Codec.PCMA: 2, Codec.OPUS: 3}


def ticks(times_ns: Any, base_ns: int, timescale: int) -> Any:
    """round((time - base) * timescale / 1e9), halves up, without overflow: of an int or an int64 array."""
    seconds, rest_ns = divmod(times_ns - base_ns, NS_PER_S)
    return seconds * timescale + (rest_ns * timescale + NS_PER_S // 2) // NS_PER_S


def delay_ticks(track: Track) -> int:
    """What is added to all composition offsets of a track, and taken off again by its edit list.

    Stored decode times are sorted presentation times, so a frame can be due before its decode time. The
    delay keeps composition offsets positive, as all players want them, down to 10 frames a second. It depends
    on the parameter sets alone, since the file's header and each fragment must agree on it.
    """
    if not track.codec.is_video:
        return 0
    return _delay_ticks(track.codec, track.parameter_sets, track.timescale)


@lru_cache(maxsize=1024)
def _delay_ticks(codec: Codec, parameter_sets: tuple[bytes, ...], timescale: int) -> int:
    try:
        frames = sps.parse(codec, parameter_sets).reorder_frames
    except UnsupportedStream:
        frames = None
    if frames is None:
        frames = _REORDER_UNKNOWN_FRAMES
    return frames * _REORDER_NS_PER_FRAME * timescale // NS_PER_S


@lru_cache(maxsize=1024)
def described(tracks: tuple[Track, ...]) -> tuple[tuple[int, int, int, int, int, int], ...]:
    """The tracks as _columns.boxes wants them. The documents of metadata are stored as one sample."""
    return tuple(
        (
            track.id,
            track.timescale,
            delay_ticks(track) if track.codec.is_video else -1,
            _LASTS.get(track.codec, 0),
            track.channels,
            track.id == METADATA_TRACK,
        )
        for track in tracks
    )
