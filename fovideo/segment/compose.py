"""Writing fragments, and moving them to another file without touching their samples."""

from __future__ import annotations

import mmap
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import zstandard

from fovideo.errors import UsageError
from fovideo.media.codec import VIDEO_TRACK
from fovideo.media.frames import FRAME, FrameFlag, FrameTable, summary
from fovideo.segment import _columns, moof
from fovideo.segment._sums import gather, measure
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
_ROOM_BYTES, _MOST_ROOM_BYTES = 1 << 20, 8 << 20


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
    draft = _Draft(header, sequence, epoch, frames, payloads, notes, key_start)
    data_crc, sizes = measure(draft.samples)
    return [draft.head(data_crc, sizes), *draft.samples]


def compose_fragment(
    room: Room,
    before: bytes,
    offset: int,
    header: SegmentHeader,
    sequence: int,
    epoch: int,
    frames: FrameTable,
    payloads: Sequence[Buffer],
    notes: Notes = _NO_NOTES,
) -> memoryview:
    """As encode_fragment, copied into one buffer behind `before`; valid until `room` is used again.

    offset: where it will be written. Bytes that go to whole blocks of the file lie at whole blocks in memory.
    """
    draft = _Draft(header, sequence, epoch, frames, payloads, notes, None)
    head_at = len(before)
    data_at = head_at + draft.head_bytes
    view = room.take(data_at + draft.data_bytes, offset)
    try:
        data_crc, sizes = gather(draft.samples, view, data_at)
    except ValueError:
        raise UsageError("a frame's size differs from its payload's") from None
    view[head_at:data_at] = draft.head(data_crc, sizes)
    view[:head_at] = before
    return view


class Room:
    """Memory for one fragment at a time, page-aligned. Not for two threads."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, _ROOM_BYTES)

    def take(self, size: int, offset: int) -> memoryview:
        """`size` bytes that lie in a page as they will at `offset` of a file."""
        inside = offset % mmap.PAGESIZE
        memory = self._memory
        if inside + size > len(memory):
            memory = mmap.mmap(-1, inside + size)
            if inside + size <= _MOST_ROOM_BYTES:
                self._memory = memory
        return memoryview(memory)[inside : inside + size]


class _Draft:
    """A fragment but for the checksum of its samples; head_bytes is all that is before them."""

    def __init__(
        self,
        header: SegmentHeader,
        sequence: int,
        epoch: int,
        frames: FrameTable,
        payloads: Sequence[Buffer],
        notes: Notes,
        key_start: bool | None,
    ) -> None:
        if len(frames) != len(payloads) or (notes == _NO_NOTES and not len(frames)):
            raise UsageError(f"a fragment of {len(frames)} frames with {len(payloads)} payloads")
        known = summary(frames, VIDEO_TRACK)
        if not known.ordered:
            frames, payloads = _by_track(frames, payloads)
        self.samples = list(payloads)
        self._plain = len(frames) - known.documents
        self._sizes = frames["size"].tolist()
        self.data_bytes = known.bytes
        if known.documents:
            packed = _local.packer.compress(_join(self.samples[self._plain :], self._sizes[self._plain :]))
            self.data_bytes += len(packed) - sum(self._sizes[self._plain :])
            self.samples[self._plain :] = [packed]
        table = encode_table(frames, pack=False)
        told = b"" if notes == _NO_NOTES else msgspec.msgpack.encode(notes)
        boxes = _standard_boxes(header, sequence, frames, self.data_bytes)
        size = HEAD.size + len(table) + len(told)
        self.head_bytes = size + len(boxes)
        if key_start is None:
            key_start = _starts_with_key(header, frames)
        self._rest = (table, told, boxes)
        self._fixed = Head(
            size=size,
            kind=b"uuid",
            uuid=FRAGMENT_UUID,
            head_crc=0,
            version=FRAGMENT_VERSION,
            flags=KEY_START if key_start else 0,
            table_bytes=len(table),
            notes_bytes=len(told),
            head_bytes=self.head_bytes,
            data_bytes=self.data_bytes,
            data_crc=0,
            base_ns=header.base_ns,
            epoch=epoch,
        )

    def head(self, data_crc: int, sizes: list[int]) -> bytes:
        """What goes before the samples, which have this checksum and these sizes."""
        if sizes[: self._plain] != self._sizes[: self._plain]:
            raise UsageError("a frame's size differs from its payload's")
        return _sealed(self._fixed._replace(data_crc=data_crc), *self._rest)


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
    order = frames["track"].argsort(kind="stable")
    return frames[order], [payloads[i] for i in order.tolist()]


def _join(documents: list[Buffer], sizes: list[int]) -> bytes:
    text = b"".join(documents)
    if measure(documents)[1] != sizes:
        raise UsageError("a document's size differs from its payload's")
    return text


def _standard_boxes(header: SegmentHeader, sequence: int, frames: FrameTable, data_bytes: int) -> bytes:
    """prft, moof and the head of mdat; nothing for a fragment that carries notes alone."""
    if not len(frames):
        return b""
    if data_bytes > _LARGEST:
        raise UsageError(f"a fragment of {data_bytes} bytes", hint="split it")
    try:
        return _columns.boxes(
            np.ascontiguousarray(frames, FRAME),
            moof.described(header.tracks),
            data_bytes,
            sequence,
            header.base_ns,
        )
    except KeyError as error:
        raise UsageError(f"a frame of track {error}, which the segment's header lacks") from None


def _starts_with_key(header: SegmentHeader, frames: FrameTable) -> bool:
    if not len(frames):
        return False
    first = frames[0]
    video = any(track.id == first["track"] and track.codec.is_video for track in header.tracks)
    return video and bool(first["flags"] & FrameFlag.KEY)
