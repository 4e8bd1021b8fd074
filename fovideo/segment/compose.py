"""Writing fragments, and moving them to another file without touching their samples."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import zstandard

from fovideo.errors import UsageError
from fovideo.media.codec import METADATA_TRACK
from fovideo.media.frames import FrameFlag, FrameTable
from fovideo.segment import moof
from fovideo.segment._sums import measure
from fovideo.segment.boxes import BOX
from fovideo.segment.fragment import (
    FRAGMENT_UUID,
    FRAGMENT_VERSION,
    HEAD,
    HEAD_CRC_AT,
    KEY_START,
    Fragment,
    Head,
    Notes,
    head_crc,
    parse_head,
)
from fovideo.segment.frametable import encode_table
from fovideo.segment.header import SegmentHeader

if TYPE_CHECKING:
    from typing_extensions import Buffer

_LARGEST = 0xFFFF_0000
_NO_NOTES = Notes()


class _Local(threading.local):
    """zstd contexts are not thread-safe: one a thread."""

    def __init__(self) -> None:
        self.packer = zstandard.ZstdCompressor(level=3)


_local = _Local()


def encode_fragment(
    header: SegmentHeader,
    sequence: int,
    epoch: int,
    frames: FrameTable,
    payloads: Sequence[Buffer],
    notes: Notes = _NO_NOTES,
    key_start: bool | None = None,
) -> list[Buffer]:
    """The buffers of a fragment, to be written one after the other; video and audio uncopied.

    sequence: number of the fragment in its file, from 1. frames, payloads: one row and one buffer a sample,
    in decode order within each track; tracks may alternate. Video goes first in the file, then audio, then
    metadata, whose documents become one zstd sample. Without frames a fragment carries notes alone.
    key_start: None = the first video frame has FrameFlag.KEY.
    Raises UsageError for rows that don't fit the payloads, or a track that the header lacks.
    """
    if len(frames) != len(payloads) or (notes == _NO_NOTES and not len(frames)):
        raise UsageError(f"a fragment of {len(frames)} frames with {len(payloads)} payloads")
    frames, payloads = _by_track(frames, payloads)
    data = list(payloads)
    plain = int(np.searchsorted(frames["track"], METADATA_TRACK))
    if plain < len(data):
        data[plain:] = [_local.packer.compress(_join(data[plain:], frames["size"][plain:]))]
    data_crc, sizes = measure(data)
    if sizes[:plain] != frames["size"][:plain].tolist():
        raise UsageError("a frame's size differs from its payload's")
    table = encode_table(frames)
    told = b"" if notes == _NO_NOTES else msgspec.msgpack.encode(notes)
    boxes = _standard_boxes(header, sequence, frames, sum(sizes))
    size = HEAD.size + len(table) + len(told)
    if key_start is None:
        key_start = _starts_with_key(header, frames)
    fixed = Head(
        size=size,
        kind=b"uuid",
        uuid=FRAGMENT_UUID,
        head_crc=0,
        version=FRAGMENT_VERSION,
        flags=KEY_START if key_start else 0,
        table_bytes=len(table),
        notes_bytes=len(told),
        head_bytes=size + len(boxes),
        data_bytes=sum(sizes),
        data_crc=data_crc,
        base_ns=header.base_ns,
        epoch=epoch,
    )
    return [_sealed(fixed, table, told, boxes), *data]


def relocate(
    fragment: Fragment,
    data: Buffer,
    offset: int,
    header: SegmentHeader,
    sequence: int,
    epoch: int,
    *,
    verify: bool = True,
) -> bytes:
    """What to write over the first fragment.data_offset bytes of a copy of a fragment in another file.

    data: a buffer in which the fragment begins at `offset`. header, sequence, epoch: of the copy's file.
    Players' clocks count from header.base_ns then. Samples, frame table (stored times) and notes stay as they
    are. verify: False if the head at `offset` has been checked. Raises SegmentDamaged where the buffer holds
    no sound fragment, UsageError for a track that the header lacks.
    """
    view = memoryview(data).cast("B")
    head = parse_head(view, offset, verify=verify)
    table_at = offset + HEAD.size
    rest = bytes(view[table_at : offset + head.size])
    boxes = _standard_boxes(header, sequence, fragment.frames, head.data_bytes)
    if head.size + len(boxes) != head.head_bytes:
        raise UsageError("a fragment that another version wrote, which cannot be moved")
    return _sealed(head._replace(base_ns=header.base_ns, epoch=epoch), rest, boxes)


def _sealed(fixed: Head, *rest: bytes) -> bytes:
    head = bytearray().join((HEAD.pack(*fixed), *rest))
    head[HEAD_CRC_AT : HEAD_CRC_AT + 4] = head_crc(head).to_bytes(4, "big")
    return bytes(head)


def _by_track(frames: FrameTable, payloads: Sequence[Buffer]) -> tuple[FrameTable, Sequence[Buffer]]:
    """Rows and payloads with each track's together, in the order of the track ids."""
    track = frames["track"]
    if (track[1:] >= track[:-1]).all():
        return frames, payloads
    order = track.argsort(kind="stable")
    return frames[order], [payloads[i] for i in order.tolist()]


def _join(documents: list[Buffer], sizes: FrameTable) -> bytes:
    text = b"".join(documents)
    if measure(documents)[1] != sizes.tolist():
        raise UsageError("a document's size differs from its payload's")
    return text


def _standard_boxes(header: SegmentHeader, sequence: int, frames: FrameTable, data_bytes: int) -> bytes:
    """prft, moof and the head of mdat; nothing for a fragment that carries notes alone."""
    if not len(frames):
        return b""
    if data_bytes > _LARGEST:
        raise UsageError(f"a fragment of {data_bytes} bytes", hint="split it")
    runs = _runs(header, frames, data_bytes)
    return moof.encode(runs, sequence, header.base_ns) + BOX.pack(BOX.size + data_bytes, b"mdat")


def _runs(header: SegmentHeader, frames: FrameTable, data_bytes: int) -> list[moof.Run]:
    known = {track.id: track for track in header.tracks}
    ids = frames["track"]
    starts = [0, *(np.flatnonzero(ids[1:] != ids[:-1]) + 1).tolist(), len(frames)]
    runs = []
    for start, stop in itertools.pairwise(starts):
        track = known.get(int(ids[start]))
        if track is None:
            raise UsageError(f"a frame of track {ids[start]}, which the segment's header lacks")
        rows = frames[start:stop]
        batch = track.id == METADATA_TRACK
        run_bytes = data_bytes if batch else int(rows["size"].sum())
        data_bytes -= run_bytes
        runs.append(moof.Run(track, rows, run_bytes, batch))
    return runs


def _starts_with_key(header: SegmentHeader, frames: FrameTable) -> bool:
    video = {track.id for track in header.tracks if track.codec.is_video}
    return len(frames) > 0 and int(frames["track"][0]) in video and bool(frames["flags"][0] & FrameFlag.KEY)
