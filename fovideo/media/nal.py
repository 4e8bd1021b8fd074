"""NAL units of H.264 and H.265: forms of an access unit, digests, parameter sets, checksums.

The stored form of an access unit ("sample") is each NAL unit behind its length as 4 big-endian bytes.
Functions that take a sample read damaged ones as far as they go; they never raise for content.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple

from fovideo.media import _nal
from fovideo.media._nal import HARDWARE_CRC32C, crc32c, crc32c_software, to_annexb, xxh64
from fovideo.media.codec import Codec

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = [
    "HARDWARE_CRC32C",
    "Packing",
    "Stored",
    "annexb_to_lengths",
    "crc32c",
    "crc32c_software",
    "digest_video",
    "is_key",
    "iter_annexb",
    "iter_nals",
    "packing_of",
    "parameter_sets",
    "sample_flags",
    "store_form",
    "to_annexb",
    "xxh64",
]


class Packing(IntEnum):
    """How the bytes of a packet are packed, as the source gives them."""

    RAW = 0  # not video: taken as it is
    ANNEXB_H264 = 1
    ANNEXB_H265 = 2
    AVCC_H264 = 3  # length-prefixed
    HVCC_H265 = 4  # length-prefixed


class Stored(NamedTuple):
    """An access unit in stored form: bytes, digest and FrameFlag bits (KEY, PARAMS, CORRUPT)."""

    sample: bytes
    digest: int
    flags: int


def packing_of(codec: Codec, *, annexb: bool) -> Packing:
    """Packing of a video codec's packets; RAW for what is not video."""
    if codec is Codec.H264:
        return Packing.ANNEXB_H264 if annexb else Packing.AVCC_H264
    if codec is Codec.H265:
        return Packing.ANNEXB_H265 if annexb else Packing.HVCC_H265
    return Packing.RAW


def store_form(data: Buffer, packing: Packing, length_size: int = 4) -> Stored:
    """Stored form of a packet. length_size: bytes of a NAL length in the packet (AVCC and HVCC), 1 to 4."""
    return Stored(*_nal.store_form(data, packing, length_size))


def annexb_to_lengths(data: Buffer, codec: Codec) -> bytes:
    """Stored form of an access unit in Annex B form (3- or 4-byte start codes, trailing zeros)."""
    return _nal.store_form(data, packing_of(codec, annexb=True))[0]


def iter_nals(sample: Buffer) -> Iterator[memoryview]:
    """The NAL units of a sample, without their lengths."""
    view = memoryview(sample).cast("B")
    for offset, size in _nal.nal_spans(view):
        yield view[offset : offset + size]


def iter_annexb(data: Buffer) -> Iterator[memoryview]:
    """The NAL units of bytes in Annex B form, without start codes and trailing zeros."""
    view = memoryview(data).cast("B")
    for offset, size in _nal.nal_spans(view, 0):
        yield view[offset : offset + size]


def digest_video(sample: Buffer, codec: Codec) -> int:
    """Digest of a sample: XXH64 over its VCL NAL units with their lengths."""
    return _nal.digest(sample, codec is Codec.H265)


def sample_flags(sample: Buffer, codec: Codec) -> int:
    """FrameFlag bits that a sample shows: KEY, PARAMS, and CORRUPT when its lengths do not add up."""
    return _nal.flags(sample, codec is Codec.H265)


def is_key(sample: Buffer, codec: Codec) -> bool:
    """Whether the sample holds an IDR (H.264) or IRAP (H.265) picture."""
    return bool(_nal.flags(sample, codec is Codec.H265) & 1)


def has_only(sample: Buffer, codec: Codec, sets: tuple[bytes, ...]) -> bool:
    """Whether each parameter set in a sample is one of these."""
    return _nal.has_only(sample, codec is Codec.H265, sets)


def parameter_sets(sample: Buffer, codec: Codec) -> tuple[bytes, ...]:
    """The parameter sets in a sample, (VPS,) SPS and PPS in this order, each once."""
    h265 = codec is Codec.H265
    wanted = (32, 33, 34) if h265 else (7, 8)
    found: dict[int, list[bytes]] = {kind: [] for kind in wanted}
    for nal in iter_nals(sample):
        kind = nal[0] >> 1 & 63 if h265 else nal[0] & 31
        if kind in found and bytes(nal) not in found[kind]:
            found[kind].append(bytes(nal))
    return tuple(nal for kind in wanted for nal in found[kind])
