"""Decoder configuration as libavformat hands it out, taken apart: parameter sets and how samples are packed.

avcC: ISO/IEC 14496-15 5.3.3.1; hvcC: 8.3.3.1. Everything else that starts with a start code is Annex B.
"""

from __future__ import annotations

import msgspec

from fovideo.media.codec import Codec
from fovideo.media.nal import iter_annexb

_H264_SETS = (7, 8)
_H265_SETS = (32, 33, 34)


class VideoConfig(msgspec.Struct, frozen=True):
    """What the extradata of a video stream says.

    parameter_sets: (VPS), SPS, PPS as NAL units, deduplicated, in this order.
    nal_length_size: bytes of the length before each NAL unit of a sample; 0 = samples are Annex B.
    """

    parameter_sets: tuple[bytes, ...] = ()
    nal_length_size: int = 0


def video_config(codec: Codec, extradata: bytes) -> VideoConfig:
    """Parameter sets and packing. Empty extradata means Annex B without sets. Raises ValueError when cut
    short.
    """
    if not extradata or extradata.startswith((b"\0\0\1", b"\0\0\0\1")):
        return VideoConfig(_in_order(codec, [bytes(nal) for nal in iter_annexb(extradata)]))
    try:
        return _avcc(extradata) if codec is Codec.H264 else _hvcc(extradata)
    except IndexError:
        raise ValueError(f"{codec} decoder configuration is cut short") from None


def nal_type(codec: Codec, nal: bytes) -> int:
    """nal_unit_type of a NAL unit (not empty)."""
    return nal[0] & 0x1F if codec is Codec.H264 else (nal[0] >> 1) & 0x3F


def _in_order(codec: Codec, nals: list[bytes]) -> tuple[bytes, ...]:
    wanted = _H264_SETS if codec is Codec.H264 else _H265_SETS
    found = dict.fromkeys(nal for nal in nals if nal_type(codec, nal) in wanted)
    return tuple(sorted(found, key=lambda nal: nal_type(codec, nal)))


class _Reader:
    """Big-endian fields; reading past the end raises IndexError."""

    def __init__(self, data: bytes, position: int) -> None:
        self.data, self.position = data, position

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def take(self, size: int) -> bytes:
        end = self.position + size
        if end > len(self.data):
            raise IndexError
        taken, self.position = self.data[self.position : end], end
        return taken


def _avcc(data: bytes) -> VideoConfig:
    reader = _Reader(data, 4)
    length_size = (reader.number(1) & 3) + 1
    nals = []
    for count_mask in (0x1F, 0xFF):
        for _ in range(reader.number(1) & count_mask):
            nals.append(reader.take(reader.number(2)))
    return VideoConfig(_in_order(Codec.H264, [nal for nal in nals if nal]), length_size)


def _hvcc(data: bytes) -> VideoConfig:
    reader = _Reader(data, 21)
    length_size = (reader.number(1) & 3) + 1
    nals = []
    for _ in range(reader.number(1)):
        reader.take(1)
        for _ in range(reader.number(2)):
            nals.append(reader.take(reader.number(2)))
    return VideoConfig(_in_order(Codec.H265, [nal for nal in nals if nal]), length_size)
