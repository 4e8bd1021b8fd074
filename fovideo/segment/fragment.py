"""Fragments: a piece of one GOP with checksum, frame table and clock, as boxes of fragmented MP4.

A fragment is `uuid prft moof mdat`. The uuid box is ours and comes first: it says how long the rest is and
what its checksum is, so that a reader knows a whole fragment from a torn one without understanding the rest.
Layout: docs/ref/segment.md.
"""

from __future__ import annotations

import itertools
import struct
import threading
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

import msgspec
import numpy as np
import zstandard

from fovideo.errors import SegmentDamaged, UsageError
from fovideo.media.codec import METADATA_TRACK, Codec, Track
from fovideo.media.frames import FrameFlag, FrameTable
from fovideo.segment import moof
from fovideo.segment._crc import crc32c
from fovideo.segment.boxes import BOX, box_at
from fovideo.segment.frametable import decode_table, encode_table
from fovideo.segment.header import SegmentHeader
from fovideo.timeline.values import Loss

Buffer: TypeAlias = Any
"""Anything with the buffer protocol, contiguous (collections.abc.Buffer needs Python 3.12)."""

FRAGMENT_UUID = bytes.fromhex("f0b1d30a6f7645c18c5e0f7261676d31")
FRAGMENT_VERSION = 1
_KEY_START = 1

_HEAD = struct.Struct(">I4s16sBB2xIIIQIqI")
_TAIL = struct.Struct(">I")
_LARGEST = 0xFFFF_0000


class _Head(NamedTuple):
    """The fixed part of the uuid box. Behind it come table, notes and the CRC32C of the box up to there."""

    size: int
    kind: bytes
    uuid: bytes
    version: int
    flags: int
    table_bytes: int
    notes_bytes: int
    data_offset: int
    follow_bytes: int
    follow_crc: int
    base_ns: int
    epoch: int


class Notes(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a fragment says about other footage of its stream.

    backdates: (epoch, shift_ns): add shift_ns to all frames of that epoch of this session written before.
    losses: frames known to be lost since the fragment before.
    """

    backdates: tuple[tuple[int, int], ...] = ()
    losses: tuple[Loss, ...] = ()


class Fragment(msgspec.Struct, frozen=True, eq=False):
    """A whole fragment, as parsed.

    offset: where it begins in the buffer it was parsed from; size_bytes: all of its boxes.
    base_ns: stored time of tick 0 of its tracks. frames: stored times, in the order of the samples.
    data_offset: the first sample's first byte, from the fragment's start.
    key_start: its first video frame is a keyframe that begins a GOP.
    """

    offset: int
    size_bytes: int
    base_ns: int
    epoch: int
    frames: FrameTable
    notes: Notes
    data_offset: int
    key_start: bool


class _Local(threading.local):
    """zstd contexts are not thread-safe: one pair a thread."""

    def __init__(self) -> None:
        self.packer = zstandard.ZstdCompressor(level=3)
        self.unpacker = zstandard.ZstdDecompressor()


_local = _Local()
_NO_NOTES = Notes()
_decode_notes = msgspec.msgpack.Decoder(Notes).decode


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
    Raises UsageError for rows that don't fit the payloads or the header, or that lie before header.base_ns.
    """
    if len(frames) != len(payloads) or (notes == _NO_NOTES and not len(frames)):
        raise UsageError(f"a fragment of {len(frames)} frames with {len(payloads)} payloads")
    frames, payloads = _by_track(frames, payloads)
    if [memoryview(payload).nbytes for payload in payloads] != frames["size"].tolist():
        raise UsageError("a frame's size differs from its payload's")
    boxes, data, key = b"", list[Buffer](), False
    if payloads:
        boxes, data, key = _media(header, sequence, frames, payloads)
    crc = crc32c(boxes)
    follow_bytes = len(boxes)
    for part in data:
        crc = crc32c(part, crc)
        follow_bytes += memoryview(part).nbytes
    table = encode_table(frames)
    told = b"" if notes == _NO_NOTES else msgspec.msgpack.encode(notes)
    size = _HEAD.size + len(table) + len(told) + _TAIL.size
    fixed = _Head(
        size=size,
        kind=b"uuid",
        uuid=FRAGMENT_UUID,
        version=FRAGMENT_VERSION,
        flags=_KEY_START if (key if key_start is None else key_start) else 0,
        table_bytes=len(table),
        notes_bytes=len(told),
        data_offset=size + len(boxes),
        follow_bytes=follow_bytes,
        follow_crc=crc,
        base_ns=header.base_ns,
        epoch=epoch,
    )
    head = b"".join((_HEAD.pack(*fixed), table, told))
    return [b"".join((head, _TAIL.pack(crc32c(head)), boxes)), *data]


def _media(
    header: SegmentHeader, sequence: int, frames: FrameTable, payloads: Sequence[Buffer]
) -> tuple[bytes, list[Buffer], bool]:
    """The standard boxes up to the head of `mdat`, what goes into it, and whether a keyframe comes first."""
    runs = _runs(header, frames)
    data = list(payloads)
    if runs[-1].track.codec is Codec.ONVIF:
        start = runs[-1].start
        packed = _local.packer.compress(b"".join(data[start:]))
        data[start:] = [packed]
        runs[-1] = runs[-1].batched(len(packed))
    data_bytes = sum(run.data_bytes for run in runs)
    if data_bytes > _LARGEST:
        raise UsageError(f"a fragment of {data_bytes} bytes", hint="split it")
    boxes = moof.encode(runs, sequence, header.base_ns) + BOX.pack(BOX.size + data_bytes, b"mdat")
    key = runs[0].track.codec.is_video and bool(frames["flags"][0] & FrameFlag.KEY)
    return boxes, data, key


def _by_track(frames: FrameTable, payloads: Sequence[Buffer]) -> tuple[FrameTable, Sequence[Buffer]]:
    """Rows and payloads with each track's together, in the order of the track ids."""
    track = frames["track"]
    if (track[1:] >= track[:-1]).all():
        return frames, payloads
    order = track.argsort(kind="stable")
    return frames[order], [payloads[i] for i in order.tolist()]


def _runs(header: SegmentHeader, frames: FrameTable) -> list[moof.Run]:
    known: dict[int, Track] = {track.id: track for track in header.tracks}
    ids = frames["track"]
    starts = [0, *(np.flatnonzero(ids[1:] != ids[:-1]) + 1).tolist(), len(frames)]
    runs = []
    for start, stop in itertools.pairwise(starts):
        track = known.get(int(ids[start]))
        if track is None:
            raise UsageError(f"a frame of track {ids[start]}, which the segment's header lacks")
        rows = frames[start:stop]
        runs.append(moof.Run(track, start, rows, int(rows["size"].sum())))
    return runs


def parse_fragment(data: Buffer, offset: int = 0, *, verify: bool = True) -> Fragment:
    """The fragment that begins at an offset of the buffer.

    verify: check the CRC of the samples too (that of the fragment's own box is always checked).
    Raises SegmentDamaged, naming the byte offset, where no whole and sound fragment begins.
    """
    view = memoryview(data).cast("B")
    left = len(view) - offset
    if left < _HEAD.size:
        raise _damaged(offset, f"a fragment is cut off after {left} bytes")
    head = _Head._make(_HEAD.unpack_from(view, offset))
    if head.kind != b"uuid" or head.uuid != FRAGMENT_UUID or head.size < _HEAD.size + _TAIL.size:
        raise _damaged(offset, "no fragment begins here")
    follow_at = offset + head.size
    end = follow_at + head.follow_bytes
    if left < head.size:
        raise _damaged(offset, f"a fragment is cut off after {left} bytes")
    check_at = follow_at - _TAIL.size
    if _TAIL.unpack_from(view, check_at)[0] != crc32c(view[offset:check_at]):
        raise _damaged(offset, "the checksum of the fragment's head is wrong")
    if head.version != FRAGMENT_VERSION:
        raise _damaged(offset, f"fragment version {head.version} is unknown", hint="a newer fovideo wrote it")
    if len(view) < end:
        raise _damaged(offset, f"a fragment is cut off after {left} of {end - offset} bytes")
    if verify and crc32c(view[follow_at:end]) != head.follow_crc:
        raise _damaged(offset, "the checksum of the fragment's samples is wrong")
    table_at = offset + _HEAD.size
    notes_at = table_at + head.table_bytes
    try:
        frames = decode_table(view[table_at:notes_at])
        told = bytes(view[notes_at : notes_at + head.notes_bytes])
        notes = _decode_notes(told) if told else _NO_NOTES
    except (SegmentDamaged, msgspec.MsgspecError) as error:
        raise _damaged(offset, str(error)) from None
    return Fragment(
        offset=offset,
        size_bytes=end - offset,
        base_ns=head.base_ns,
        epoch=head.epoch,
        frames=frames,
        notes=notes,
        data_offset=head.data_offset,
        key_start=bool(head.flags & _KEY_START),
    )


def samples(fragment: Fragment, data: Buffer, offset: int) -> list[memoryview | bytes]:
    """The payload of each row of fragment.frames, from a buffer in which the fragment begins at an offset.

    Video and audio are views of the buffer; metadata documents are unpacked. Raises SegmentDamaged where they
    don't add up.
    """
    if not len(fragment.frames):
        return []
    view = memoryview(data).cast("B")
    at = offset + fragment.data_offset
    mdat_at = at - BOX.size
    size, kind = box_at(view, mdat_at)
    end = mdat_at + size
    if kind != b"mdat" or end > len(view):
        raise _damaged(offset, "the fragment's samples are not where it says")
    out: list[memoryview | bytes] = []
    sizes = fragment.frames["size"].tolist()
    plain = int((fragment.frames["track"] != METADATA_TRACK).sum())
    for length in sizes[:plain]:
        out.append(view[at : at + length])
        at += length
    if at > end:
        raise _damaged(offset, "the fragment's samples are longer than their box")
    if plain < len(sizes):
        out.extend(_documents(view[at:end], sizes[plain:], offset))
    return out


def _documents(packed: memoryview, sizes: list[int], offset: int) -> list[bytes]:
    total = sum(sizes)
    try:
        if zstandard.frame_content_size(packed) != total:
            raise _damaged(offset, "the fragment's metadata has another length than its table says")
        text = _local.unpacker.decompress(packed, max_output_size=total)
    except zstandard.ZstdError as error:
        raise _damaged(offset, f"the fragment's metadata does not unpack: {error}") from None
    documents, at = [], 0
    for length in sizes:
        documents.append(text[at : at + length])
        at += length
    return documents


def _damaged(offset: int, reason: str, *, hint: str = "") -> SegmentDamaged:
    return SegmentDamaged(f"{reason} (byte {offset})", hint=hint)
