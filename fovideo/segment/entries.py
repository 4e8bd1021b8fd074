"""Sample entries: the box that tells a player which decoder a track needs and how to set it up."""

from __future__ import annotations

import logging
import struct

from fovideo.errors import UnsupportedStream
from fovideo.media import sps
from fovideo.media.codec import Codec, Track
from fovideo.segment.boxes import box, full_box

log = logging.getLogger(__name__)

_H264_SPS, _H264_PPS, _H264_SPS_EXT = 7, 8, 13
_H265_SETS = (32, 33, 34)  # VPS, SPS, PPS
_PROFILES_WITHOUT_CHROMA = (66, 77, 88)
ONVIF_MIME = b"application/vnd.onvif.metadata+xml"


def sample_entry(track: Track) -> bytes:
    """The sample entry box of a track. What parameter sets don't tell is left to the decoder."""
    match track.codec:
        case Codec.H264:
            return _visual(b"avc3", track, _avcc(track.parameter_sets))
        case Codec.H265:
            return _visual(b"hev1", track, _hvcc(track.parameter_sets))
        case Codec.AAC:
            return _audio(b"mp4a", track, _esds(track.config))
        case Codec.PCMU:
            return _audio(b"ulaw", track)
        case Codec.PCMA:
            return _audio(b"alaw", track)
        case Codec.OPUS:
            return _audio(b"Opus", track, _dops(track))
        case Codec.ONVIF:
            return box(b"mett", bytes(6), struct.pack(">H", 1), b"zstd\0", ONVIF_MIME + b"\0")


def _visual(kind: bytes, track: Track, config: bytes) -> bytes:
    return box(
        kind,
        struct.pack(">6xH16x", 1),
        struct.pack(">HH", track.width & 0xFFFF, track.height & 0xFFFF),
        struct.pack(">IIIH32xHh", 0x48_0000, 0x48_0000, 0, 1, 24, -1),
        config,
    )


def _audio(kind: bytes, track: Track, *config: bytes) -> bytes:
    rate = 48_000 if track.codec is Codec.OPUS else track.sample_rate or track.timescale
    return box(
        kind,
        struct.pack(">6xH8x", 1),
        struct.pack(">HHI", track.channels or 1, 16, 0),
        struct.pack(">I", rate << 16 if rate < 1 << 16 else 0),
        *config,
    )


def _avcc(sets: tuple[bytes, ...]) -> bytes:
    by_kind = {kind: [s for s in sets if s and s[0] & 31 == kind] for kind in (7, 8, 13)}
    first = by_kind[_H264_SPS][0] if by_kind[_H264_SPS] else b""
    profile = first[1:4] if len(first) >= 4 else bytes((100, 0, 40))
    parts = [
        bytes((1, *profile, 0xFC | 3, 0xE0 | len(by_kind[_H264_SPS]))),
        *_with_lengths(by_kind[_H264_SPS]),
        bytes((len(by_kind[_H264_PPS]),)),
        *_with_lengths(by_kind[_H264_PPS]),
    ]
    if profile[0] not in _PROFILES_WITHOUT_CHROMA:
        chroma, luma_bits, chroma_bits = 1, 8, 8
        try:
            info = sps.parse(Codec.H264, sets)
            chroma, luma_bits, chroma_bits = info.chroma_format, info.luma_bits, info.chroma_bits
        except UnsupportedStream as error:
            log.debug("avcC without what the SPS should tell: %s", error)
        extensions = by_kind[_H264_SPS_EXT]
        parts.append(bytes((0xFC | chroma, 0xF8 | luma_bits - 8, 0xF8 | chroma_bits - 8, len(extensions))))
        parts.extend(_with_lengths(extensions))
    return box(b"avcC", *parts)


def _with_lengths(units: list[bytes]) -> list[bytes]:
    return [struct.pack(">H", len(unit)) + unit for unit in units]


def _hvcc(sets: tuple[bytes, ...]) -> bytes:
    arrays = [(kind, [s for s in sets if s and s[0] >> 1 & 63 == kind]) for kind in _H265_SETS]
    arrays = [(kind, units) for kind, units in arrays if units]
    profile, chroma, luma_bits, chroma_bits = bytes((1, 0x60, 0, 0, 0, 0x90, 0, 0, 0, 0, 0, 93)), 1, 8, 8
    layers, nested = 1, 1
    try:
        info = sps.parse(Codec.H265, sets)
        profile, chroma, luma_bits, chroma_bits = (
            info.profile,
            info.chroma_format,
            info.luma_bits,
            info.chroma_bits,
        )
        layers, nested = info.temporal_layers, info.temporal_nesting
    except UnsupportedStream as error:
        log.debug("hvcC without what the SPS should tell: %s", error)
    parts = [
        bytes((1,)),
        profile,
        struct.pack(">HBBBB", 0xF000, 0xFC, 0xFC | chroma, 0xF8 | luma_bits - 8, 0xF8 | chroma_bits - 8),
        struct.pack(">HBB", 0, layers << 3 | nested << 2 | 3, len(arrays)),
    ]
    for kind, units in arrays:
        parts.append(struct.pack(">BH", kind, len(units)))
        parts.extend(_with_lengths(units))
    return box(b"hvcC", *parts)


def _esds(config: bytes) -> bytes:
    decoder = _descriptor(4, struct.pack(">BBHBII", 0x40, 0x15, 0, 0, 0, 0) + _descriptor(5, config))
    return full_box(b"esds", 0, 0, _descriptor(3, struct.pack(">HB", 0, 0) + decoder + _descriptor(6, b"\2")))


def _descriptor(tag: int, body: bytes) -> bytes:
    size = len(body)
    return bytes((tag, *(0x80 | size >> shift & 127 for shift in (21, 14, 7)), size & 127)) + body


def _dops(track: Track) -> bytes:
    """dOps from OpusHead (RFC 7845, little-endian) when the track has one."""
    channels, skip, rate, gain, family, mapping = track.channels or 2, 0, 48_000, 0, 0, b""
    head = track.config
    if head[:8] == b"OpusHead" and len(head) >= 19:
        channels, skip, rate, gain, family = struct.unpack_from("<BHIhB", head, 9)
        mapping = head[19 : 21 + channels] if family else b""
    return box(b"dOps", struct.pack(">BBHIhB", 0, channels, skip, rate, gain, family), mapping)
