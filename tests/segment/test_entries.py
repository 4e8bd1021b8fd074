"""Decoder configuration is, bit for bit, what libavformat writes for the same parameter sets."""

from __future__ import annotations

import io
import struct
from fractions import Fraction

import av
import pytest
from streams import audio

from fovideo.media.codec import Codec, Track
from fovideo.segment.entries import sample_entry


def box_of(data: bytes, kind: bytes) -> bytes:
    at = data.index(kind) - 4
    return data[at : at + struct.unpack_from(">I", data, at)[0]]


def muxed(encoder: str, pixels: str, options: dict[str, str]) -> bytes:
    """One picture in an MP4 by libavformat."""
    out = io.BytesIO()
    with av.open(out, "w", format="mp4") as container:
        stream = container.add_stream(encoder)
        context = stream.codec_context
        context.width, context.height, context.pix_fmt = 162, 94, pixels
        context.time_base, context.framerate, context.options = Fraction(1, 25), Fraction(25), options
        picture = av.VideoFrame(162, 94, pixels)
        for plane in picture.planes:
            plane.update(bytes(plane.buffer_size))
        picture.pts = 0
        container.mux(context.encode(picture) + context.encode(None))
    return out.getvalue()


def taken(box: bytes, at: int) -> tuple[bytes, int]:
    size = int.from_bytes(box[at : at + 2], "big")
    return box[at + 2 : at + 2 + size], at + 2 + size


@pytest.mark.parametrize("pixels", ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "gray"])
def test_avcc(pixels: str) -> None:
    theirs = box_of(muxed("libx264", pixels, {"x264-params": "log-level=-1:bframes=0"}), b"avcC")
    sps, at = taken(theirs, 14)
    pps, _ = taken(theirs, at + 1)
    entry = sample_entry(Track(id=1, codec=Codec.H264, parameter_sets=(sps, pps), width=162, height=94))
    assert box_of(entry, b"avcC") == theirs
    assert struct.unpack_from(">HH", entry, 32) == (162, 94)


@pytest.mark.parametrize("pixels", ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "gray"])
def test_hvcc(pixels: str) -> None:
    theirs = box_of(muxed("libx265", pixels, {"x265-params": "log-level=none:pools=1:bframes=0"}), b"hvcC")
    at, sets, end = 31, [], 0
    for _ in range(3):
        unit, end = taken(theirs, at + 3)
        sets.append(unit)
        at = end
    ours = box_of(sample_entry(Track(id=1, codec=Codec.H265, parameter_sets=tuple(sets))), b"hvcC")
    assert ours[4:30] == theirs[4:30]
    assert (ours[30], ours[31:]) == (3, theirs[31:end])


def in_mp4(codec: Codec) -> bytes:
    """A sound in an MP4 by libavformat, from the same encoder."""
    out = io.BytesIO()
    track = audio(codec).track
    with av.open(out, "w", format="mp4") as container:
        stream = container.add_stream(
            "aac" if codec is Codec.AAC else "libopus", rate=track.sample_rate, layout="mono"
        )
        silence = av.AudioFrame(format="fltp" if codec is Codec.AAC else "s16", layout="mono", samples=960)
        for plane in silence.planes:
            plane.update(bytes(plane.buffer_size))
        silence.sample_rate, silence.pts = track.sample_rate, 0
        container.mux(stream.encode(silence) + stream.encode(None))
    return out.getvalue()


def test_dops() -> None:
    entry = sample_entry(audio(Codec.OPUS).track)
    assert box_of(entry, b"dOps") == box_of(in_mp4(Codec.OPUS), b"dOps")


def test_dops_with_a_channel_mapping_and_without_any_head() -> None:
    head = b"OpusHead" + struct.pack("<BBHIhB", 1, 3, 312, 48_000, -5, 1) + bytes((2, 1, 0, 2, 1))
    entry = sample_entry(Track(id=2, codec=Codec.OPUS, timescale=48_000, config=head, channels=3))
    assert box_of(entry, b"dOps")[8:] == struct.pack(">BBHIhB", 0, 3, 312, 48_000, -5, 1) + bytes(
        (2, 1, 0, 2, 1)
    )
    bare = sample_entry(Track(id=2, codec=Codec.OPUS, timescale=48_000, channels=2))
    assert box_of(bare, b"dOps")[8:] == struct.pack(">BBHIhB", 0, 2, 0, 48_000, 0, 0)


def test_esds_carries_the_audio_specific_config() -> None:
    track = audio(Codec.AAC).track
    theirs, ours = (box_of(data, b"esds") for data in (in_mp4(Codec.AAC), sample_entry(track)))
    config = bytes((5, 0x80, 0x80, 0x80, len(track.config))) + track.config
    assert config in ours
    assert config in theirs
    assert [len(ours), ours[:12]] == [len(theirs), theirs[:12]]


def test_metadata_says_how_to_unpack_it() -> None:
    entry = sample_entry(Track(id=3, codec=Codec.ONVIF))
    assert entry[4:8] == b"mett"
    assert entry[16:] == b"zstd\0application/vnd.onvif.metadata+xml\0"
