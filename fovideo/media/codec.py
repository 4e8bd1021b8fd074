"""The codecs that fovideo records, and the tracks of a camera's stream."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Codec(StrEnum):
    """What a track carries. The value is the name at the surface (timeline --json) and on disk."""

    H264 = "h264"
    H265 = "h265"
    AAC = "aac"
    PCMU = "pcmu"
    PCMA = "pcma"
    OPUS = "opus"
    ONVIF = "onvif"

    @property
    def is_video(self) -> bool:
        return self in (Codec.H264, Codec.H265)

    @property
    def is_audio(self) -> bool:
        return self in (Codec.AAC, Codec.PCMU, Codec.PCMA, Codec.OPUS)


class Track(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One elementary stream of a camera: everything a decoder must know before the first sample.

    id: 1 video, 2 audio, 3 metadata (a camera has at most one of each kind).
    parameter_sets: video only; the NAL units (VPS), SPS, PPS without start code or length, in this order.
    config: audio only; AudioSpecificConfig (AAC) or OpusHead (Opus), else empty.
    timescale: ticks per second of the track in segment files; 90000 for video and metadata,
        the sample rate for audio (48000 for Opus).
    """

    id: int
    codec: Codec
    timescale: int = 90_000
    parameter_sets: tuple[bytes, ...] = ()
    config: bytes = b""
    width: int = 0
    height: int = 0
    sample_rate: int = 0
    channels: int = 0


VIDEO_TRACK, AUDIO_TRACK, METADATA_TRACK = 1, 2, 3
