"""From libavformat's streams to the tracks that fovideo records."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import TYPE_CHECKING

import av.container
import msgspec

from fovideo.camera.extradata import video_config
from fovideo.errors import CameraBroken, UnsupportedStream
from fovideo.media.codec import AUDIO_TRACK, METADATA_TRACK, VIDEO_TRACK, Codec, Track
from fovideo.media.sps import video_size
from fovideo.times import NS_PER_S

if TYPE_CHECKING:
    from fovideo.camera._connection import Connection

_VIDEO = {"h264": Codec.H264, "hevc": Codec.H265}
_AUDIO = {"aac": Codec.AAC, "pcm_mulaw": Codec.PCMU, "pcm_alaw": Codec.PCMA, "opus": Codec.OPUS}


class SourceTrack(msgspec.Struct, frozen=True):
    """A track and where it comes from.

    index: stream index in the container.
    numerator, denominator: seconds per tick of its pts.
    nal_length_size: video: bytes before each NAL unit, 0 = Annex B.
    interval_ns: frame interval that the source announces; 0 = unknown.
    """

    track: Track
    index: int
    numerator: int
    denominator: int
    nal_length_size: int = 0
    interval_ns: int = 0


class SourceStream(msgspec.Struct, frozen=True):
    """What libavformat knows of a stream; 0 and b"" for what it does not. codec: its name in libavcodec."""

    index: int
    kind: str
    codec: str
    extradata: bytes
    numerator: int
    denominator: int
    width: int = 0
    height: int = 0
    sample_rate: int = 0
    channels: int = 0
    rate_numerator: int = 0
    rate_denominator: int = 0


def streams_of(source: av.container.InputContainer | Connection) -> list[SourceStream]:
    """The streams of an open source."""
    if not isinstance(source, av.container.InputContainer):
        return [SourceStream(*facts) for facts in source.streams()]
    found = []
    for stream in source.streams:
        context = getattr(stream, "codec_context", None)
        base = stream.time_base
        rate = getattr(stream, "average_rate", None) if stream.type == "video" else None
        found.append(
            SourceStream(
                index=stream.index,
                kind=stream.type,
                codec=context.name if context is not None else "none",
                extradata=bytes(getattr(context, "extradata", None) or b""),
                numerator=base.numerator if base else 0,
                denominator=base.denominator if base else 0,
                width=getattr(context, "width", 0),
                height=getattr(context, "height", 0),
                sample_rate=getattr(context, "sample_rate", 0) or 0,
                channels=getattr(context, "channels", 0) or 0,
                rate_numerator=rate.numerator if rate else 0,
                rate_denominator=rate.denominator if rate else 0,
            )
        )
    return found


def source_tracks(
    streams: Iterable[SourceStream], *, audio: bool, metadata: bool, source: str
) -> list[SourceTrack]:
    """The first stream of each kind that can be recorded; empty when there is none.

    metadata: the data streams are ONVIF's. Raises CameraBroken when a stream's decoder configuration is
    damaged.
    """
    found: dict[int, SourceTrack] = {}
    for stream in streams:
        if stream.kind == "video" and VIDEO_TRACK not in found:
            made = _video(stream, source)
        elif stream.kind == "audio" and audio and AUDIO_TRACK not in found:
            made = _audio(stream)
        elif stream.kind == "data" and metadata and METADATA_TRACK not in found:
            made = _metadata(stream)
        else:
            continue
        if made is not None:
            found[made.track.id] = made
    return [found[track] for track in sorted(found)]


def opus_head(channels: int) -> bytes:
    """Decoder configuration of Opus where the source brings none (RFC 7845, 5.1)."""
    return struct.pack("<8sBBHIhB", b"OpusHead", 1, channels, 0, 48_000, 0, 0)


def _source(
    track: Track, stream: SourceStream, nal_length_size: int = 0, interval_ns: int = 0
) -> SourceTrack:
    return SourceTrack(
        track, stream.index, stream.numerator, stream.denominator, nal_length_size, interval_ns
    )


def _interval_ns(stream: SourceStream) -> int:
    frames, seconds = stream.rate_numerator, stream.rate_denominator
    return round(NS_PER_S * seconds / frames) if 0 < seconds < 60 * frames < 60_000 * seconds else 0


def _video(stream: SourceStream, source: str) -> SourceTrack | None:
    codec = _VIDEO.get(stream.codec)
    if codec is None:
        return None
    try:
        config = video_config(codec, stream.extradata)
    except ValueError as error:
        raise CameraBroken(str(error), where=source) from None
    try:
        width, height = video_size(codec, config.parameter_sets)
    except UnsupportedStream:  # libavformat may know from the first picture
        width, height = stream.width, stream.height
    track = Track(
        id=VIDEO_TRACK, codec=codec, parameter_sets=config.parameter_sets, width=width, height=height
    )
    return _source(track, stream, config.nal_length_size, _interval_ns(stream))


def _audio(stream: SourceStream) -> SourceTrack | None:
    codec = _AUDIO.get(stream.codec)
    if codec is None:
        return None
    rate, channels, config = stream.sample_rate or 8000, stream.channels or 1, stream.extradata
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


def _metadata(stream: SourceStream) -> SourceTrack | None:
    # An RTSP "application" stream: cameras use it for ONVIF metadata and nothing else.
    if not stream.denominator:
        return None
    return _source(Track(id=METADATA_TRACK, codec=Codec.ONVIF), stream)
