"""Real streams for tests, made with the encoders that PyAV brings: frame tables, samples and tracks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from functools import cache
from typing import NamedTuple

import av
import numpy as np

from fovideo.media import nal, sps
from fovideo.media.codec import AUDIO_TRACK, METADATA_TRACK, VIDEO_TRACK, Codec, Track
from fovideo.media.frames import Clock, FrameFlag, FrameTable, empty_frames
from fovideo.segment import Notes, SegmentHeader, encode_fragment, encode_header
from fovideo.timeline.values import Provenance

T0_NS = 1_790_000_000_123_456_789
FRAME_NS = 40_000_000


class Made(NamedTuple):
    """A stream of one track: its frames, and a payload for each."""

    track: Track
    frames: FrameTable
    payloads: list[bytes]


@cache
def video(
    codec: Codec = Codec.H264, count: int = 30, *, b_frames: int = 0, gop: int = 10, shift: int = 0
) -> Made:
    """Moving pictures of 160x90, 25 a second, closed GOPs, parameter sets in band; shift: other pictures."""
    h264 = codec is Codec.H264
    context = av.CodecContext.create("libx264" if h264 else "libx265", "w")
    context.width, context.height, context.pix_fmt = 160, 90, "yuv420p"
    context.time_base, context.framerate = Fraction(1, 25), Fraction(25)
    common = (
        f"keyint={gop}:min-keyint={gop}:scenecut=0:bframes={b_frames}:b-adapt=0:annexb=1:repeat-headers=1"
    )
    if h264:
        context.options = {"preset": "ultrafast", "x264-params": f"{common}:open-gop=0:log-level=-1"}
    else:
        context.options = {
            "preset": "ultrafast",
            "x265-params": f"{common}:open-gop=0:log-level=none:pools=1",
        }
    packets = []
    for index in range(count):
        picture = av.VideoFrame.from_ndarray(_picture(index + shift), format="rgb24")
        picture.pts = index
        packets += context.encode(picture)
    packets += context.encode(None)
    payloads = [nal.annexb_to_lengths(bytes(packet), codec) for packet in packets]
    sets = nal.parameter_sets(payloads[0], codec)
    width, height = sps.video_size(codec, sets)
    frames = empty_frames(count)
    frames["time_ns"] = [T0_NS + packet.pts * FRAME_NS for packet in packets]
    frames["dts_ns"] = decode_times(frames["time_ns"].tolist())
    frames["digest"] = [nal.digest_video(payload, codec) for payload in payloads]
    frames["flags"] = [nal.sample_flags(payload, codec) for payload in payloads]
    _common(frames, VIDEO_TRACK, payloads)
    return Made(
        Track(id=VIDEO_TRACK, codec=codec, parameter_sets=sets, width=width, height=height), frames, payloads
    )


def _picture(index: int) -> np.ndarray:
    picture = np.full((90, 160, 3), index * 7 % 256, np.uint8)
    at = index * 3 % 150
    picture[20:60, at : at + 10] = (255, 40, index % 256)
    return picture


def decode_times(times: Sequence[int]) -> list[int]:
    """Decode times of frames in decode order: the sorted times of the smallest runs that precede the rest."""
    earliest_after = [*np.minimum.accumulate(times[::-1])[::-1].tolist()[1:], 1 << 62]
    result: list[int] = []
    latest, start = 0, 0
    for index, time in enumerate(times):
        latest = max(latest, time)
        if latest < earliest_after[index]:
            result += sorted(times[start : index + 1])
            start = index + 1
    return result


@cache
def audio(codec: Codec, duration_s: float = 1.2) -> Made:
    """A tone of 440 Hz, mono, in the frames that the codec is sent in."""
    name, rate, layout = {
        Codec.AAC: ("aac", 48_000, "fltp"),
        Codec.OPUS: ("libopus", 48_000, "s16"),
        Codec.PCMU: ("pcm_mulaw", 8_000, "s16"),
        Codec.PCMA: ("pcm_alaw", 8_000, "s16"),
    }[codec]
    context = av.CodecContext.create(name, "w")
    context.sample_rate, context.layout, context.format, context.time_base = (
        rate,
        "mono",
        layout,
        Fraction(1, rate),
    )
    context.open()
    size = context.frame_size or rate // 50
    samples, packets = [], []
    for start in range(0, int(duration_s * rate), size):
        wave = 0.5 * np.sin(2 * np.pi * 440 * np.arange(start, start + size) / rate)
        values = wave.astype(np.float32) if layout == "fltp" else (wave * 32767).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(values[None], format=layout, layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
        packets += context.encode(frame)
    packets += context.encode(None)
    samples = [bytes(packet) for packet in packets]
    frames = empty_frames(len(samples))
    frames["time_ns"] = T0_NS + np.arange(len(samples)) * size * 1_000_000_000 // rate
    frames["dts_ns"] = frames["time_ns"]
    frames["digest"] = [nal.xxh64(sample) for sample in samples]
    frames["flags"] = FrameFlag.KEY
    _common(frames, AUDIO_TRACK, samples)
    config = bytes(context.extradata or b"")
    return Made(
        Track(id=AUDIO_TRACK, codec=codec, timescale=rate, config=config, sample_rate=rate, channels=1),
        frames,
        samples,
    )


def metadata(count: int = 5, step_ns: int = 200_000_000) -> Made:
    """ONVIF metadata documents, alike as those of a camera are."""
    documents = [
        f'<tt:MetadataStream xmlns:tt="http://www.onvif.org/ver10/schema"><tt:VideoAnalytics><tt:Frame '
        f'UtcTime="2026-11-22T08:30:{index:02d}Z"><tt:Object ObjectId="{index}"/></tt:Frame>'
        f"</tt:VideoAnalytics></tt:MetadataStream>".encode()
        for index in range(count)
    ]
    frames = empty_frames(count)
    frames["time_ns"] = frames["dts_ns"] = T0_NS + np.arange(count) * step_ns
    frames["digest"] = [nal.xxh64(document) for document in documents]
    frames["flags"] = FrameFlag.KEY
    _common(frames, METADATA_TRACK, documents)
    return Made(Track(id=METADATA_TRACK, codec=Codec.ONVIF), frames, documents)


def _common(frames: FrameTable, track: int, payloads: Sequence[bytes]) -> None:
    frames["size"] = [len(payload) for payload in payloads]
    frames["track"] = track
    frames["clock"] = Clock.SENDER_REPORT
    frames["error_ns"] = 1_000_000
    frames["receipt_ns"] = frames["dts_ns"] + 5_000_000


def header_of(*streams: Made, base_ns: int | None = None, start_ns: int | None = None) -> SegmentHeader:
    """Header of a segment that holds these streams; its base is the first frame unless said otherwise."""
    first = min(int(stream.frames["dts_ns"].min()) for stream in streams)
    return SegmentHeader(
        stream="gate",
        tracks=tuple(stream.track for stream in streams),
        provenance=Provenance(recorder="rec-1", session="00112233445566ff", source="rtsp://127.0.0.1/cam"),
        base_ns=first if base_ns is None else base_ns,
        start_ns=first if start_ns is None else start_ns,
    )


def pieces(*streams: Made, step: int = 6) -> Iterator[tuple[FrameTable, list[bytes]]]:
    """The streams cut into what goes into a fragment each: at keyframes, and after `step` frames of video.

    Other tracks go with the frames of the first one that they lie beside.
    """
    main, *others = streams
    starts = [0]
    for index in range(1, len(main.frames)):
        if main.frames["flags"][index] & FrameFlag.KEY or index - starts[-1] >= step:
            starts.append(index)
    edges = [0, *(int(main.frames["dts_ns"][start]) for start in starts[1:]), 1 << 62]
    for number, (start, stop) in enumerate(zip(starts, [*starts[1:], len(main.frames)], strict=True)):
        tables, payloads = [main.frames[start:stop]], main.payloads[start:stop]
        for other in others:
            dts = other.frames["dts_ns"]
            inside = np.flatnonzero((dts >= edges[number]) & (dts < edges[number + 1]))
            tables.append(other.frames[inside])
            payloads = payloads + [other.payloads[index] for index in inside]
        yield np.concatenate(tables), payloads


def fragments_of(
    header: SegmentHeader, *streams: Made, step: int = 6, notes: Callable[[int], Notes] = lambda _: Notes()
) -> list[bytes]:
    """The encoded fragments of the streams."""
    return [
        b"".join(encode_fragment(header, number, header.epoch, frames, payloads, notes(number)))
        for number, (frames, payloads) in enumerate(pieces(*streams, step=step), 1)
    ]


def segment(*streams: Made, step: int = 6) -> tuple[bytes, list[int]]:
    """A whole segment file of the streams, and where its header and each of its fragments ends."""
    header = header_of(*streams)
    parts = [encode_header(header), *fragments_of(header, *streams, step=step)]
    return b"".join(parts), np.cumsum([len(part) for part in parts]).tolist()
