"""Sequence parameter sets as real encoders write them, and as nobody does."""

from __future__ import annotations

from fractions import Fraction

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fovideo.errors import UnsupportedStream
from fovideo.media import nal, sps
from fovideo.media.codec import Codec

BOTH = [Codec.H264, Codec.H265]
FORMATS = {
    "yuv420p": (1, 8),
    "yuv422p": (2, 8),
    "yuv444p": (3, 8),
    "gray": (0, 8),
    "yuv420p10le": (1, 10),
}


def parameter_sets(
    codec: Codec, width: int, height: int, pixels: str = "yuv420p", options: str = ""
) -> tuple[bytes, ...]:
    """Those of an encoder set up this way."""
    h264 = codec is Codec.H264
    context = av.CodecContext.create("libx264" if h264 else "libx265", "w")
    context.width, context.height, context.pix_fmt = width, height, pixels
    context.time_base, context.framerate = Fraction(1, 25), Fraction(25)
    if h264:
        context.options = {"preset": "ultrafast", "x264-params": f"annexb=1:log-level=-1:{options}"}
    else:
        fixed = "annexb=1:repeat-headers=1:log-level=none:pools=1"
        context.options = {"preset": "ultrafast", "x265-params": f"{fixed}:{options}"}
    picture = av.VideoFrame(width, height, pixels)
    for plane in picture.planes:
        plane.update(bytes(plane.buffer_size))
    picture.pts = 0
    packets = context.encode(picture) + context.encode(None)
    return nal.parameter_sets(nal.annexb_to_lengths(bytes(packets[0]), codec), codec)


@pytest.mark.parametrize("codec", BOTH)
@pytest.mark.parametrize(
    ("width", "height"), [(160, 90), (176, 144), (162, 94), (640, 360), (1280, 720), (1920, 1080)]
)
def test_size_is_that_of_the_shown_picture(codec: Codec, width: int, height: int) -> None:
    assert sps.video_size(codec, parameter_sets(codec, width, height)) == (width, height)


@pytest.mark.parametrize("codec", BOTH)
@pytest.mark.parametrize("pixels", FORMATS)
def test_chroma_and_depth(codec: Codec, pixels: str) -> None:
    info = sps.parse(codec, parameter_sets(codec, 162, 94, pixels))
    chroma, depth = FORMATS[pixels]
    assert (info.width, info.height) == (162, 94)
    assert (info.chroma_format, info.luma_bits, info.chroma_bits) == (chroma, depth, depth)


@pytest.mark.parametrize("height", [96, 92])
def test_interlaced_h264(height: int) -> None:
    sets = parameter_sets(Codec.H264, 160, height, options="interlaced=1:tff=1")
    assert sps.video_size(Codec.H264, sets) == (160, height)


@pytest.mark.parametrize(
    ("codec", "options", "frames"),
    [
        (Codec.H264, "bframes=0", 0),
        (Codec.H264, "bframes=1", 1),
        (Codec.H264, "bframes=3:b-pyramid=none", 1),
        (Codec.H264, "bframes=3:b-pyramid=normal:ref=4", 2),
        (
            Codec.H264,
            "bframes=3:b-pyramid=normal:ref=4:cqm=jvt:sar=4/3:overscan=show:colorprim=bt709:chromaloc=1",
            2,
        ),
        (Codec.H264, "bframes=3:b-pyramid=none:nal-hrd=vbr:vbv-maxrate=500:vbv-bufsize=500:bitrate=300", 1),
        (Codec.H264, "bframes=3:b-pyramid=none:sar=13/11:videoformat=pal:fullrange=on", 1),
        (Codec.H265, "bframes=0", 0),
        (Codec.H265, "bframes=2:b-pyramid=0", 1),
        (Codec.H265, "bframes=4:b-pyramid=1", 2),
        (
            Codec.H265,
            "bframes=4:b-pyramid=1:temporal-layers=3:hrd=1:vbv-maxrate=500:vbv-bufsize=500:bitrate=300",
            2,
        ),
    ],
)
def test_reordering(codec: Codec, options: str, frames: int) -> None:
    assert sps.parse(codec, parameter_sets(codec, 160, 90, options=options)).reorder_frames == frames


def test_temporal_layers_of_h265() -> None:
    info = sps.parse(
        Codec.H265, parameter_sets(Codec.H265, 160, 90, options="temporal-layers=3:bframes=4:b-pyramid=1")
    )
    assert (info.width, info.height, info.temporal_layers, info.temporal_nesting) == (160, 90, 3, 0)


class Writer:
    """Bits of an SPS by hand, for what no encoder here writes."""

    def __init__(self) -> None:
        self.bits = ""

    def u(self, width: int, value: int) -> Writer:
        self.bits += format(value, f"0{width}b")
        return self

    def ue(self, *values: int) -> Writer:
        for value in values:
            plain = format(value + 1, "b")
            self.bits += "0" * (len(plain) - 1) + plain
        return self

    def se(self, value: int) -> Writer:
        return self.ue(2 * value - 1 if value > 0 else -2 * value)

    def rbsp(self) -> bytes:
        bits = self.bits + "1"
        bits += "0" * (-len(bits) % 8)
        return int(bits, 2).to_bytes(len(bits) // 8, "big")


def main_profile(order: Writer, vui: str = "0") -> bytes:
    """An H.264 SPS of 320x240, Main profile, with this picture order count syntax and VUI."""
    writer = Writer().ue(0, 0)
    writer.bits += order.bits
    writer.ue(1).u(1, 0).ue(19, 14).u(1, 1).u(1, 1).u(1, 0)
    writer.bits += vui
    return bytes((0x67, 77, 0, 30)) + writer.rbsp()


def test_picture_order_by_cycle() -> None:
    order = Writer().ue(1).u(1, 0).se(-3).se(4).ue(2).se(1).se(-1)
    info = sps.parse_h264(main_profile(order))
    assert (info.width, info.height, info.reorder_frames) == (320, 240, None)


def test_picture_order_that_is_decode_order_needs_no_vui() -> None:
    assert sps.parse_h264(main_profile(Writer().ue(2))).reorder_frames == 0


@pytest.mark.parametrize("vui", ["0", "1000", "1" + "0" * 9, "11"])
def test_a_vui_that_does_not_say_leaves_reordering_open(vui: str) -> None:
    info = sps.parse_h264(main_profile(Writer().ue(0, 2), vui))
    assert (info.width, info.height, info.reorder_frames) == (320, 240, None)


@pytest.mark.parametrize(
    ("codec", "unit"),
    [
        (Codec.H264, b"\x67"),
        (Codec.H264, b"\x67\x4d\x00\x1e\x00\x00\x00\x00\x00\x00"),
        (Codec.H264, b"\x68\xce\x3c\x80"),
        (Codec.H264, main_profile(Writer().ue(2))[:6]),
        (Codec.H265, b"\x42\x01\x01\x60" + bytes(20)),
        (Codec.H265, b"\x42\x01"),
    ],
)
def test_garbage_is_refused(codec: Codec, unit: bytes) -> None:
    with pytest.raises(UnsupportedStream, match="sequence parameter set"):
        sps.video_size(codec, (b"", unit))


@given(st.sampled_from(BOTH), st.binary(max_size=80))
def test_any_bytes_are_read_or_refused(codec: Codec, data: bytes) -> None:
    unit = (b"\x67" if codec is Codec.H264 else b"\x42\x01") + data
    try:
        info = sps.parse(codec, (unit,))
    except UnsupportedStream:
        return
    assert 0 < info.width < 65536
    assert 0 < info.height < 65536
    assert info.reorder_frames is None or 0 <= info.reorder_frames <= 16


def test_emulation_prevention_is_taken_out() -> None:
    plain = sps.parse_h264(main_profile(Writer().ue(0, 2)))
    unit = main_profile(Writer().ue(0, 2))
    stuffed = unit[:4] + unit[4:].replace(b"\0\0", b"\0\0\3")
    assert sps.parse_h264(stuffed) == plain
    assert sps._without_prevention(b"\0\0\3\1a\0\0\3\0\0\3") == b"\0\0\1a\0\0\0\0"
