"""Parameter sets that come in band: when they make another format of a stream."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from fovideo.errors import UnsupportedStream
from fovideo.media.codec import Codec, Track
from fovideo.media.nal import has_only, parameter_sets
from fovideo.media.sps import video_size

Name: TypeAlias = tuple[int, int]
"""NAL unit type and id of a parameter set: what a later one replaces."""


def has_format(tracks: tuple[Track, ...]) -> bool:
    """Whether a decoder could be set up for all tracks: video without parameter sets cannot be written."""
    return all(track.parameter_sets or not track.codec.is_video for track in tracks)


def changed_tracks(tracks: tuple[Track, ...], sample: memoryview) -> tuple[Track, ...] | None:
    """Tracks as they are from this video sample on, or None when its parameter sets bring nothing new.

    Sets stay in force until one of the same name comes, as in a decoder. So a camera that sends them by turns
    does not begin a segment with each.
    """
    video = next((track for track in tracks if track.codec.is_video), None)
    if video is None:
        return None
    if has_only(sample, video.codec, video.parameter_sets):
        return None
    found = parameter_sets(sample, video.codec)
    named = {set_name(video.codec, unit): unit for unit in (*video.parameter_sets, *found)}
    sets = tuple(named[name] for name in sorted(named))
    try:
        width, height = video_size(video.codec, sets)
    except UnsupportedStream:
        width, height = video.width, video.height
    changed = msgspec.structs.replace(video, parameter_sets=sets, width=width, height=height)
    return tuple(changed if track is video else track for track in tracks)


def set_name(codec: Codec, unit: bytes) -> Name:
    """Type and id of a parameter set. The id of an H.265 SPS lies deep inside: all count as one."""
    if codec is Codec.H264:
        kind = unit[0] & 0x1F
        return kind, _unsigned(unit[4:] if kind == 7 else unit[1:])
    kind = (unit[0] >> 1) & 0x3F
    if kind == 32:
        return kind, unit[2] >> 4 if len(unit) > 2 else 0
    return kind, _unsigned(unit[2:]) if kind == 34 else 0


def _unsigned(data: bytes) -> int:
    """The Exp-Golomb number, ue(v), at the start of data; ids are small, so what is damaged counts as 0."""
    bits = int.from_bytes(data[:8].ljust(8, b"\0"), "big")
    zeros = 64 - bits.bit_length()
    return (bits >> (63 - 2 * zeros)) - 1 if zeros < 16 else 0
