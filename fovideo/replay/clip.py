"""Clip: a short piece of footage held in memory as access units, with a nominal frame rate per track."""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import av
import msgspec
from av.bitstream import BitStreamFilterContext

from fovideo.errors import CameraBroken, NothingThere, UnsupportedStream, UsageError
from fovideo.media.codec import AUDIO_TRACK, VIDEO_TRACK, Codec, Track
from fovideo.media.nal import annexb_to_lengths, is_key, iter_nals, parameter_sets

CODECS = {
    "h264": Codec.H264,
    "hevc": Codec.H265,
    "aac": Codec.AAC,
    "pcm_mulaw": Codec.PCMU,
    "pcm_alaw": Codec.PCMA,
    "opus": Codec.OPUS,
}
"""Name of a codec in FFmpeg to the name here."""

_FILTERS = {Codec.H264: "h264_mp4toannexb", Codec.H265: "hevc_mp4toannexb"}
_G711_FRAME_S = Fraction(20, 1000)
_DEFAULT_FPS = Fraction(25)


class Sample(msgspec.Struct, frozen=True):
    """One unit of a clip. parts: NAL units of an access unit, or the one audio frame.

    rank: place in order of presentation, from 0.
    """

    parts: tuple[bytes, ...]
    rank: int
    key: bool

    @property
    def lengths(self) -> bytes:
        """Length-prefixed form of an access unit."""
        return b"".join(len(nal).to_bytes(4, "big") + nal for nal in self.parts)


class ClipTrack(msgspec.Struct, frozen=True):
    """One track of a clip, in decode order. rate: units per second."""

    track: Track
    samples: tuple[Sample, ...]
    rate: Fraction

    @property
    def delay(self) -> int:
        """How many frames decoding order runs ahead of presentation."""
        return max((sample.rank - place for place, sample in enumerate(self.samples)), default=0)


class Clip(msgspec.Struct, frozen=True):
    """Footage in memory. Its video begins with a keyframe."""

    tracks: tuple[ClipTrack, ...]

    @property
    def video(self) -> ClipTrack | None:
        return next((each for each in self.tracks if each.track.codec.is_video), None)


def load_clip(path: str | PathLike[str], *, fps: Fraction | float | None = None, audio: bool = True) -> Clip:
    """Read the first video and the first audio track of a file.

    Raises FileNotFoundError, CameraBroken (not a video), UnsupportedStream (no track that can be sent).
    """
    name = fspath(path)
    if not Path(name).exists():
        raise FileNotFoundError(errno.ENOENT, "no such clip", name)
    try:
        with av.open(name) as container:
            video = next((s for s in container.streams.video if s.codec_context.name in CODECS), None)
            sound = next((s for s in container.streams.audio if s.codec_context.name in CODECS), None)
            wanted = [stream for stream in (video, sound if audio else None) if stream is not None]
            if not wanted:
                raise UnsupportedStream("no track in a codec that fovideo sends", where=name)
            packets: dict[int, list[Any]] = {stream.index: [] for stream in wanted}
            for packet in container.demux(wanted):
                if packet.size:
                    packets[packet.stream_index].append(packet)
            found = [stream for stream in wanted if packets[stream.index]]
            made = [_track(stream, packets[stream.index], fps, name) for stream in found]
    except av.error.FFmpegError as error:
        raise CameraBroken(f"not a readable video ({error.strerror})", where=name) from None
    if not made:
        raise NothingThere("the clip has no frames", where=name)
    return Clip(tuple(made))


def _track(stream: Any, packets: list[Any], fps: Fraction | float | None, where: str) -> ClipTrack:
    if CODECS[stream.codec_context.name].is_video:
        return _video(stream, packets, fps, where)
    return _audio(stream, packets)


def _video(stream: Any, packets: list[Any], fps: Fraction | float | None, where: str) -> ClipTrack:
    codec = CODECS[stream.codec_context.name]
    order = ranks([packet.pts for packet in packets])
    rate = Fraction(fps).limit_denominator(1_000_000) if fps else _rate(stream, packets)
    annexb = BitStreamFilterContext(_FILTERS[codec], stream)
    units = [annexb_to_lengths(bytes(out), codec) for packet in packets for out in annexb.filter(packet)]
    size = (stream.codec_context.width, stream.codec_context.height)
    return video_track(codec, units, order, rate, size, where)


def video_track(
    codec: Codec,
    units: Sequence[bytes],
    order: Sequence[int],
    rate: Fraction,
    size: tuple[int, int],
    where: str,
) -> ClipTrack:
    """Track of length-prefixed access units in decode order; what precedes the first keyframe is left out."""
    if rate <= 0:
        raise UsageError(f"not a frame rate: {rate}")
    first = next((place for place, unit in enumerate(units) if is_key(unit, codec)), None)
    if first is None:
        raise CameraBroken("no keyframe in the clip", where=where)
    kept = ranks(order[first:])
    samples = tuple(
        Sample(tuple(bytes(nal) for nal in iter_nals(unit) if len(nal)), rank, is_key(unit, codec))
        for unit, rank in zip(units[first:], kept, strict=True)
    )
    sets = tuple(parameter_sets(units[first], codec))
    track = Track(id=VIDEO_TRACK, codec=codec, parameter_sets=sets, width=size[0], height=size[1])
    return ClipTrack(track, samples, rate)


def ranks(times: Sequence[int | None]) -> list[int]:
    """Place of each frame in order of presentation; without times, presentation order is decode order."""
    if any(time is None for time in times):
        return list(range(len(times)))
    order = sorted(range(len(times)), key=lambda place: (times[place], place))
    out = [0] * len(times)
    for rank, place in enumerate(order):
        out[place] = rank
    return out


def _rate(stream: Any, packets: list[Any]) -> Fraction:
    """Mean frame rate; the stated one where there are no times."""
    times = [packet.pts for packet in packets if packet.pts is not None]
    if len(times) > 1 and max(times) > min(times):
        mean = (len(times) - 1) / ((max(times) - min(times)) * Fraction(packets[0].time_base))
        stated = stream.average_rate
        return Fraction(stated) if stated and abs(stated / mean - 1) < Fraction(1, 100) else mean
    return Fraction(stream.average_rate or stream.base_rate or _DEFAULT_FPS)


def _audio(stream: Any, packets: list[Any]) -> ClipTrack:
    context = stream.codec_context
    codec = CODECS[context.name]
    config = bytes(context.extradata or b"")
    frames: Iterable[bytes]
    if codec is Codec.AAC and not config:
        config = _adts_config(bytes(packets[0]))
        to_asc = BitStreamFilterContext("aac_adtstoasc", stream)
        frames = [bytes(out) for packet in packets for out in to_asc.filter(packet)]
    else:
        frames = [bytes(packet) for packet in packets]
    rate = Fraction(48_000 if codec is Codec.OPUS else context.sample_rate)
    samples_per_frame: Fraction
    if codec in (Codec.PCMU, Codec.PCMA):
        samples_per_frame = rate * _G711_FRAME_S
        frames = _chunks(b"".join(frames), int(samples_per_frame) * context.channels)
    elif codec is Codec.AAC:
        samples_per_frame = Fraction(context.frame_size or 1024)
    else:
        duration = packets[0].duration
        samples_per_frame = duration * Fraction(packets[0].time_base) * rate if duration else Fraction(960)
    track = Track(
        id=AUDIO_TRACK,
        codec=codec,
        timescale=int(rate),
        config=config if codec in (Codec.AAC, Codec.OPUS) else b"",
        sample_rate=int(rate),
        channels=context.channels,
    )
    samples = tuple(Sample((frame,), rank, True) for rank, frame in enumerate(frames))
    return ClipTrack(track, samples, rate / samples_per_frame)


def _chunks(data: bytes, size: int) -> Iterator[bytes]:
    """Whole chunks only: a short one would shift every later sample."""
    return (data[at : at + size] for at in range(0, len(data) - size + 1, size))


def _adts_config(frame: bytes) -> bytes:
    """AudioSpecificConfig of an ADTS frame header (ISO 14496-3, 1.A.2.2)."""
    if len(frame) < 4 or frame[0] != 0xFF or frame[1] & 0xF0 != 0xF0:
        return b""
    profile, frequency = (frame[2] >> 6) + 1, frame[2] >> 2 & 0xF
    channels = (frame[2] & 1) << 2 | frame[3] >> 6
    return (profile << 11 | frequency << 7 | channels << 3).to_bytes(2, "big")
