"""Boxes of the ISO base media file format (ISO/IEC 14496-12): the few helpers that all writers here share."""

from __future__ import annotations

import struct

BOX = struct.Struct(">I4s")
"""size_bytes (of the whole box), type."""


def box(kind: bytes, *parts: bytes) -> bytes:
    """A box of this type around the parts."""
    body = b"".join(parts)
    return BOX.pack(BOX.size + len(body), kind) + body


def full_box(kind: bytes, version: int, flags: int, *parts: bytes) -> bytes:
    """A box that begins with a version and 24 bits of flags."""
    return box(kind, struct.pack(">I", version << 24 | flags), *parts)


def box_at(data: memoryview, offset: int) -> tuple[int, bytes]:
    """Size in bytes and type of the box at an offset; (0, b"") where no whole box head lies.

    Sizes of 64 bits and "to the end of the file" are read as 0: no writer here makes them.
    """
    if offset + BOX.size > len(data):
        return 0, b""
    size, kind = BOX.unpack_from(data, offset)
    return (size, kind) if size >= BOX.size else (0, kind)
