"""Marker: an SEI message that numbers an access unit, so that the stream itself names each frame.

It is a user_data_unregistered message (H.264 section D.1.6, H.265 section D.2.6) under a UUID of its own:
16 bytes UUID, 4 bytes camera, 8 bytes sequence, big-endian. Decoders skip it; it is not part of the digest.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from fovideo.errors import UsageError
from fovideo.media.codec import Codec

MARKER_UUID = bytes.fromhex("f0c1de0a6b7a4f1d9a5e5ec0de5e0a11")
"""No byte of it is 0 to 3, so emulation prevention never changes it and it can be searched for."""

_BODY = struct.Struct(">16sIQ")
_LENGTH = struct.Struct(">I")
_USER_DATA_UNREGISTERED = 5
_HEADERS = {Codec.H264: b"\x06", Codec.H265: b"\x4e\x01"}


def make_marker(codec: Codec, camera: int, sequence: int) -> bytes:
    """One SEI NAL unit (no start code or length) with `camera` (32 bits) and `sequence` (64 bits)."""
    header = _HEADERS.get(codec)
    if header is None:
        raise UsageError(f"a marker needs a video codec, not {codec.value}")
    try:
        body = _BODY.pack(MARKER_UUID, camera, sequence)
    except struct.error:
        raise UsageError(f"marker out of range: camera {camera}, sequence {sequence}") from None
    return header + _escape(bytes((_USER_DATA_UNREGISTERED, _BODY.size)) + body + b"\x80")


def read_marker(sample: bytes | bytearray | memoryview, codec: Codec) -> tuple[int, int] | None:
    """(camera, sequence) of the first marker in a length-prefixed access unit, or None.

    Bytes that are no access unit have no marker; nothing is raised for them.
    """
    header = _HEADERS.get(codec)
    if header is None:
        return None
    data = bytes(sample)
    if MARKER_UUID not in data:
        return None
    for nal in _nals(data):
        if _is_sei(nal, codec) and MARKER_UUID in nal:
            for kind, payload in _messages(_unescape(nal[len(header) :])):
                if kind == _USER_DATA_UNREGISTERED and len(payload) == _BODY.size:
                    uuid, camera, sequence = _BODY.unpack(payload)
                    if uuid == MARKER_UUID:
                        return camera, sequence
    return None


def _is_sei(nal: bytes, codec: Codec) -> bool:
    if not nal:
        return False
    return nal[0] & 0x1F == 6 if codec is Codec.H264 else (nal[0] >> 1) & 0x3F == 39


def _nals(sample: bytes) -> Iterator[bytes]:
    offset = 0
    while offset + 4 <= len(sample):
        (size,) = _LENGTH.unpack_from(sample, offset)
        offset += 4
        if offset + size > len(sample):
            return
        yield sample[offset : offset + size]
        offset += size


def _messages(rbsp: bytes) -> Iterator[tuple[int, bytes]]:
    """(payload type, payload) of each SEI message of an unescaped RBSP."""
    offset = 0
    while offset + 2 < len(rbsp):  # at least type, size and the trailing bits
        numbers = []
        for _ in range(2):
            number = 0
            while offset < len(rbsp) and rbsp[offset] == 0xFF:
                number += 255
                offset += 1
            if offset >= len(rbsp):
                return
            numbers.append(number + rbsp[offset])
            offset += 1
        kind, size = numbers
        if offset + size > len(rbsp):
            return
        yield kind, rbsp[offset : offset + size]
        offset += size


def _escape(rbsp: bytes) -> bytes:
    """RBSP with emulation prevention: 00 00 0x becomes 00 00 03 0x for x <= 3."""
    out = bytearray()
    zeros = 0
    for byte in rbsp:
        if zeros >= 2 and byte <= 3:
            out.append(3)
            zeros = 0
        out.append(byte)
        zeros = zeros + 1 if byte == 0 else 0
    return bytes(out)


def _unescape(payload: bytes) -> bytes:
    out = bytearray()
    zeros = 0
    for byte in payload:
        if zeros >= 2 and byte == 3:
            zeros = 0
            continue
        out.append(byte)
        zeros = zeros + 1 if byte == 0 else 0
    return bytes(out)
