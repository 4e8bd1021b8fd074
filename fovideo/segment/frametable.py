"""Frame tables on disk and on the wire: columns of small numbers, packed to the bytes they need.

The layout is in docs/ref/segment.md. A table stands alone: it decodes without the fragment it came from, so
the index and the peer protocol carry the same bytes as the segment file.
"""

from __future__ import annotations

import struct
import threading
from itertools import pairwise

import numpy as np
import zstandard

from fovideo.errors import SegmentDamaged
from fovideo.media.frames import FRAME, FrameTable, empty_frames
from fovideo.segment import _columns

_VERSION = 1
_RAW, _ZSTD = 0, 1
_HEAD = struct.Struct("<BI")  # version << 4 | packing, rows
_COLUMNS = 7
_ROW_LIMIT_BYTES = 8 * _COLUMNS
_LARGE_ROWS = 256
_GROUP_LIMIT_BYTES = 14 + _COLUMNS * 9


class _Local(threading.local):
    """zstd contexts are not thread-safe and cost more than a small table to make: one pair a thread."""

    def __init__(self) -> None:
        magicless = zstandard.FORMAT_ZSTD1_MAGICLESS
        parameters = zstandard.ZstdCompressionParameters.from_level(
            3, format=magicless, write_content_size=True, write_checksum=False, write_dict_id=False
        )
        self.packer = zstandard.ZstdCompressor(compression_params=parameters)
        self.unpacker = zstandard.ZstdDecompressor(format=magicless)


_local = _Local()


def encode_table(frames: FrameTable, *, pack: bool = True) -> bytes:
    """Compact form of a frame table of any length; every column comes back to the last bit.

    Smallest when the rows of each track are consecutive, as they are in a fragment. pack: let zstd make the
    columns smaller; for a few frames it takes longer than all the rest, and saves some 3 bytes a frame.
    """
    table = _columns.table(np.ascontiguousarray(frames, FRAME))
    if not pack and len(frames) <= _LARGE_ROWS:
        return table
    digests_at = len(table) - 8 * len(frames)
    packed = _local.packer.compress(memoryview(table)[_HEAD.size : digests_at])
    if _HEAD.size + len(packed) >= digests_at:
        return table
    return b"".join((_HEAD.pack(_VERSION << 4 | _ZSTD, len(frames)), packed, table[digests_at:]))


def decode_table(data: bytes | bytearray | memoryview) -> FrameTable:
    """The frame table that encode_table packed. Raises SegmentDamaged for bytes that are none."""
    view = memoryview(data).cast("B")
    if len(view) < _HEAD.size:
        raise _damaged("shorter than its head")
    kind, count = _HEAD.unpack_from(view)
    if kind >> 4 != _VERSION:
        raise _damaged(f"version {kind >> 4} is unknown")
    digests_at = len(view) - 8 * count
    if digests_at < _HEAD.size:
        raise _damaged(f"{count} rows do not fit in {len(view)} bytes")
    body: memoryview | bytes = view[_HEAD.size : digests_at]
    if kind & 15 != _RAW:
        body = _unpack(kind & 15, view[_HEAD.size : digests_at], count)
    frames = empty_frames(count)
    try:
        _columns.decode(body, frames)
    except ValueError as error:
        raise _damaged(str(error)) from None
    frames["digest"] = np.frombuffer(view, "<u8", count, digests_at)
    return frames


def decode_tables(packed: list[bytes]) -> list[FrameTable]:
    """The same for many at once; the tables lie in one array, in this order."""
    edges = np.zeros(len(packed) + 1, np.int64)
    bad = _columns.lengths(packed, edges)
    if bad < 0:
        frames = np.empty(int(edges[-1]), FRAME)
        bad = _columns.decode_tables(packed, _unpack, edges, frames)
    if bad >= 0:
        decode_table(packed[bad])  # says what is wrong with it
        return [decode_table(each) for each in packed]
    return [frames[start:stop] for start, stop in pairwise(edges.tolist())]


def _damaged(reason: str) -> SegmentDamaged:
    return SegmentDamaged(f"not a frame table: {reason}")


def _unpack(packing: int, packed: memoryview, count: int) -> bytes:
    if packing != _ZSTD:
        raise _damaged(f"packing {packing} is unknown")
    limit = count * (_ROW_LIMIT_BYTES + _GROUP_LIMIT_BYTES)
    try:
        parameters = zstandard.get_frame_parameters(packed, format=zstandard.FORMAT_ZSTD1_MAGICLESS)
        if parameters.content_size > limit:
            raise _damaged("its columns are too long")
        return _local.unpacker.decompress(packed, max_output_size=limit)
    except zstandard.ZstdError as error:
        raise _damaged(str(error)) from None
