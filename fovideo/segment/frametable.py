"""Frame tables on disk and on the wire: columns of small numbers, packed to the bytes they need.

The layout is in docs/ref/segment.md. A table stands alone: it decodes without the fragment it came from, so
the index and the peer protocol carry the same bytes as the segment file.
"""

from __future__ import annotations

import struct
import threading
from typing import Any

import numpy as np
import numpy.typing as npt
import zstandard

from fovideo.errors import SegmentDamaged
from fovideo.media.frames import FrameTable, empty_frames

_VERSION = 1
_RAW, _ZSTD = 0, 1
_SAME, _SORTED, _APART = 0, 1, 2  # how presentation times follow from decode times
_HEAD = struct.Struct("<BI")  # version << 4 | packing, rows
_GROUP = struct.Struct("<BBIq")  # track, mode, rows, first dts_ns
_COLUMNS = 7
_ROW_LIMIT_BYTES = 8 * _COLUMNS
_GROUP_LIMIT_BYTES = _GROUP.size + _COLUMNS * 9

_Matrix = npt.NDArray[np.int64]


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


def encode_table(frames: FrameTable) -> bytes:
    """Compact form of a frame table of any length; every column comes back to the last bit.

    Smallest when the rows of each track are consecutive, as they are in a fragment.
    """
    track = frames["track"]
    count = len(frames)
    if count and (track == track[0]).all():
        body = _encode_group(frames)
    else:
        cuts = (np.flatnonzero(np.diff(track)) + 1).tolist()
        body = b"".join(
            _encode_group(frames[start:stop])
            for start, stop in zip([0, *cuts], [*cuts, count], strict=True)
            if stop > start
        )
    packed = _local.packer.compress(body)
    packing = _ZSTD
    if len(packed) >= len(body):
        packing, packed = _RAW, body
    return b"".join((_HEAD.pack(_VERSION << 4 | packing, count), packed, frames["digest"].tobytes()))


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
    body = _unpack(kind & 15, view[_HEAD.size : digests_at], count)
    frames = empty_frames(count)
    row = at = 0
    while row < count:
        rows, at = _decode_group(body, at, frames, row)
        row += rows
    if at != len(body):
        raise _damaged("bytes are left over")
    frames["digest"] = np.frombuffer(view, "<u8", count, digests_at)
    return frames


def _damaged(reason: str) -> SegmentDamaged:
    return SegmentDamaged(f"not a frame table: {reason}")


def _unpack(packing: int, packed: memoryview, count: int) -> bytes | memoryview:
    if packing == _RAW:
        return packed
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


def _encode_group(frames: FrameTable) -> bytes:
    """Rows of one track: a head, then each column as minimum and byte planes of what lies above it."""
    count = len(frames)
    dts: npt.NDArray[np.int64] = frames["dts_ns"]
    columns = np.empty((_COLUMNS, count), np.int64)
    np.subtract(dts[1:], dts[:-1], out=columns[0, 1:])
    columns[0, 0] = columns[0, 1] if count > 1 else 0
    mode = _order(frames["time_ns"], dts, columns[1])
    np.subtract(frames["receipt_ns"], dts, out=columns[2])
    columns[3] = frames["error_ns"]
    columns[4] = frames["size"]
    columns[5] = frames["flags"]
    columns[6] = frames["clock"]
    lows = columns.min(axis=1)
    columns -= lows[:, None]
    above = columns.view(np.uint64)
    planes = above.view(np.uint8).reshape(_COLUMNS, count, 8)
    parts: list[bytes] = [_GROUP.pack(frames["track"][0], mode, count, dts[0])]
    for number, (low, high) in enumerate(zip(lows.tolist(), above.max(axis=1).tolist(), strict=True)):
        width = (high.bit_length() + 7) // 8
        low_width = _signed_width(low)
        parts.append(bytes((low_width << 4 | width,)) + low.to_bytes(low_width, "little", signed=True))
        if width:
            parts.append(planes[number, :, :width].T.tobytes())
    return b"".join(parts)


def _order(time: _Matrix, dts: _Matrix, out: _Matrix) -> int:
    """Fill `out` with what turns decode times into presentation times; returns the mode."""
    np.subtract(time, dts, out=out)
    if not out.any():
        return _SAME
    order = time.argsort(kind="stable")
    if not (time[order] == dts).all():
        return _APART
    out[order] = np.arange(len(dts))
    out -= np.arange(len(dts))
    return _SORTED


def _signed_width(value: int) -> int:
    return 0 if value == 0 else (value if value >= 0 else ~value).bit_length() // 8 + 1


def _decode_group(body: bytes | memoryview, at: int, frames: FrameTable, row: int) -> tuple[int, int]:
    """Fill rows from `row` on; returns how many, and the offset behind the group."""
    if len(body) - at < _GROUP.size:
        raise _damaged("a group is cut off")
    track, mode, count, first_dts = _GROUP.unpack_from(body, at)
    at += _GROUP.size
    if not 0 < count <= len(frames) - row:
        raise _damaged(f"a group of {count} rows where {len(frames) - row} are left")
    columns: list[_Matrix] = []
    for _ in range(_COLUMNS):
        column, at = _decode_column(body, at, count)
        columns.append(column)
    out = frames[row : row + count]
    out["track"] = track
    dts = columns[0]
    dts[0] = first_dts
    np.cumsum(dts, out=dts)
    out["dts_ns"] = dts
    out["time_ns"] = _presentation(mode, dts, columns[1])
    out["receipt_ns"] = columns[2] + dts
    for name, column in zip(("error_ns", "size", "flags", "clock"), columns[3:], strict=True):
        out[name] = column
    return count, at


def _presentation(mode: int, dts: _Matrix, order: _Matrix) -> _Matrix:
    if mode == _SAME:
        return dts
    if mode == _APART:
        return dts + order
    if mode != _SORTED:
        raise _damaged(f"order {mode} is unknown")
    index = np.arange(len(dts)) + order
    if index.min() < 0 or index.max() >= len(dts):
        raise _damaged("a frame is ordered outside its group")
    result: _Matrix = dts[index]
    return result


def _decode_column(body: Any, at: int, count: int) -> tuple[_Matrix, int]:
    if at >= len(body):
        raise _damaged("a column is cut off")
    low_width, width = body[at] >> 4, body[at] & 15
    at += 1
    end = at + low_width + width * count
    if low_width > 8 or width > 8 or end > len(body):
        raise _damaged("a column is cut off")
    low = int.from_bytes(body[at : at + low_width], "little", signed=True)
    if width == 0:
        return np.full(count, low, np.int64), end
    planes = np.zeros((count, 8), np.uint8)
    planes[:, :width] = np.frombuffer(body, np.uint8, width * count, at + low_width).reshape(width, count).T
    return planes.view(np.int64)[:, 0] + low, end
