"""Parameter sets that come in band: when they make another format of a stream."""

from __future__ import annotations

import msgspec

from fovideo.errors import UnsupportedStream
from fovideo.media.codec import Codec, Track
from fovideo.media.nal import parameter_sets
from fovideo.media.sps import video_size


def has_format(tracks: tuple[Track, ...]) -> bool:
    """Whether a decoder could be set up for all tracks: video without parameter sets cannot be written."""
    return all(track.parameter_sets or not track.codec.is_video for track in tracks)


def changed_tracks(tracks: tuple[Track, ...], sample: memoryview) -> tuple[Track, ...] | None:
    """Tracks as they are from this video sample on, or None when its parameter sets bring nothing new.

    Sets of a kind that the sample does not carry stay in force.
    """
    video = next((track for track in tracks if track.codec.is_video), None)
    if video is None:
        return None
    found = parameter_sets(sample, video.codec)
    if not found or set(found) <= set(video.parameter_sets):
        return None
    kinds = {_kind(video.codec, unit) for unit in found}
    kept = [unit for unit in video.parameter_sets if _kind(video.codec, unit) not in kinds]
    sets = tuple(sorted([*kept, *found], key=lambda unit: _kind(video.codec, unit)))
    try:
        width, height = video_size(video.codec, sets)
    except UnsupportedStream:
        width, height = video.width, video.height
    changed = msgspec.structs.replace(video, parameter_sets=sets, width=width, height=height)
    return tuple(changed if track is video else track for track in tracks)


def _kind(codec: Codec, unit: bytes) -> int:
    return unit[0] & 0x1F if codec is Codec.H264 else (unit[0] >> 1) & 0x3F
