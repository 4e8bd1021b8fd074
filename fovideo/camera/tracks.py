"""From libavformat's streams to the tracks that fovideo records."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import msgspec

from fovideo.camera.extradata import video_config
from fovideo.errors import CameraBroken, UnsupportedStream
from fovideo.media.codec import AUDIO_TRACK, METADATA_TRACK, VIDEO_TRACK, Codec, Track
from fovideo.media.sps import video_size

if TYPE_CHECKING:
    from av.container import InputContainer

_VIDEO = {"h264": Codec.H264, "hevc": Codec.H265}
_AUDIO = {"aac": Codec.AAC, "pcm_mulaw": Codec.PCMU, "pcm_alaw": Codec.PCMA, "opus": Codec.OPUS}


class SourceTrack(msgspec.Struct, frozen=True):
    """A track and where it comes from.

    index: stream index in the container.
    numerator, denominator: seconds per tick of its pts.
    nal_length_size: video: bytes before each NAL unit, 0 = Annex B.
    """

    track: Track
    index: int
    numerator: int
    denominator: int
    nal_length_size: int = 0


def source_tracks(
    container: InputContainer, *, audio: bool, metadata: bool, source: str
) -> list[SourceTrack]:
    """The first stream of each kind that can be recorded; empty when there is none.

    Raises CameraBroken when a stream's decoder configuration is damaged.
    """
    found: dict[int, SourceTrack] = {}
    for stream in container.streams:
        if stream.type == "video" and VIDEO_TRACK not in found:
            made = _video(stream, source)
        elif stream.type == "audio" and audio and AUDIO_TRACK not in found:
            made = _audio(stream)
        elif stream.type == "data" and metadata and METADATA_TRACK not in found:
            made = _metadata(stream, container.format.name)
        else:
            continue
        if made is not None:
            found[made.track.id] = made
    return [found[track] for track in sorted(found)]


def opus_head(channels: int) -> bytes:
    """Decoder configuration of Opus where the source brings none (RFC 7845, 5.1)."""
    return struct.pack("<8sBBHIhB", b"OpusHead", 1, channels, 0, 48_000, 0, 0)


def _source(track: Track, stream: Any, nal_length_size: int = 0) -> SourceTrack:
    base = stream.time_base
    return SourceTrack(track, stream.index, base.numerator, base.denominator, nal_length_size)


def _video(stream: Any, source: str) -> SourceTrack | None:
    context = stream.codec_context
    codec = _VIDEO.get(context.name) if context is not None else None
    if codec is None:
        return None
    try:
        config = video_config(codec, bytes(context.extradata or b""))
    except ValueError as error:
        raise CameraBroken(str(error), where=source) from None
    try:
        width, height = video_size(codec, config.parameter_sets)
    except UnsupportedStream:  # libavformat may know from the first picture
        width, height = context.width, context.height
    track = Track(
        id=VIDEO_TRACK, codec=codec, parameter_sets=config.parameter_sets, width=width, height=height
    )
    return _source(track, stream, config.nal_length_size)


def _audio(stream: Any) -> SourceTrack | None:
    context = stream.codec_context
    codec = _AUDIO.get(context.name) if context is not None else None
    if codec is None:
        return None
    rate, channels = context.sample_rate or 8000, context.channels or 1
    config = bytes(context.extradata or b"")
    if codec is Codec.AAC and not config:
        return None  # ADTS: the samples are not what a segment file holds
    if codec is Codec.OPUS:
        rate = 48_000
        config = config or opus_head(channels)
    elif codec is not Codec.AAC:
        config = b""
    track = Track(
        id=AUDIO_TRACK, codec=codec, timescale=rate, config=config, sample_rate=rate, channels=channels
    )
    return _source(track, stream)


def _metadata(stream: Any, format_name: str) -> SourceTrack | None:
    # An RTSP "application" stream: cameras use it for ONVIF metadata and nothing else.
    if format_name != "rtsp" or not stream.time_base:
        return None
    return _source(Track(id=METADATA_TRACK, codec=Codec.ONVIF), stream)
