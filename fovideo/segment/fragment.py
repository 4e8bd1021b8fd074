"""Fragments: a piece of one GOP with checksum, frame table and clock, as boxes of fragmented MP4.

A fragment is `uuid prft moof mdat`. The uuid box is ours and comes first: it says how long the fragment is
and what its checksums are, so that a reader tells a whole fragment from a torn one without knowing the rest.
Layout: docs/ref/segment.md. Writing them: fovideo.segment.compose.
"""

from __future__ import annotations

import struct
import threading
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import zstandard

from fovideo.decoding import msgpack_decoder
from fovideo.errors import SegmentDamaged
from fovideo.media.codec import METADATA_TRACK
from fovideo.media.frames import FrameTable
from fovideo.media.nal import crc32c
from fovideo.segment.frametable import decode_table
from fovideo.timeline.values import Loss

if TYPE_CHECKING:
    from typing_extensions import Buffer

FRAGMENT_UUID = bytes.fromhex("f0b1d30a6f7645c18c5e0f7261676d31")
FRAGMENT_VERSION = 1
HEAD = struct.Struct(">I4s16sIBB2xIIIQIqI")
HEAD_CRC_AT = 24
KEY_START = 1


class Head(NamedTuple):
    """The fixed part of the uuid box; frame table and notes follow it.

    size: of the uuid box. head_bytes, head_crc: all before the samples, but for the field head_crc itself.
    data_bytes, data_crc: the samples. The checksums are CRC32C.
    """

    size: int
    kind: bytes
    uuid: bytes
    head_crc: int
    version: int
    flags: int
    table_bytes: int
    notes_bytes: int
    head_bytes: int
    data_bytes: int
    data_crc: int
    base_ns: int
    epoch: int


def head_crc(head: Buffer) -> int:
    """CRC32C of everything before the samples, but for the field that holds it."""
    view = memoryview(head)
    return crc32c(view[HEAD_CRC_AT + 4 :], crc32c(view[:HEAD_CRC_AT]))


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


_decode_notes = msgpack_decoder(Notes).decode


def parse_fragment(data: Buffer, offset: int = 0, *, verify: bool = True) -> Fragment:
    """The fragment that begins at an offset of the buffer.

    verify: check the CRC of the samples too (that of all before them is always checked).
    Raises SegmentDamaged, naming the byte offset, where no whole and sound fragment begins.
    """
    view = memoryview(data).cast("B")
    head = parse_head(view, offset)
    data_at = offset + head.head_bytes
    end = data_at + head.data_bytes
    if verify and crc32c(view[data_at:end]) != head.data_crc:
        raise damaged(offset, "the checksum of the fragment's samples is wrong")
    notes_at = offset + HEAD.size + head.table_bytes
    try:
        frames = decode_table(view[offset + HEAD.size : notes_at])
        told = bytes(view[notes_at : notes_at + head.notes_bytes])
        notes = _decode_notes(told) if told else Notes()
    except (SegmentDamaged, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise damaged(offset, str(error)) from None
    return Fragment(
        offset=offset,
        size_bytes=end - offset,
        base_ns=head.base_ns,
        epoch=head.epoch,
        frames=frames,
        notes=notes,
        data_offset=head.head_bytes,
        key_start=bool(head.flags & KEY_START),
    )


def parse_head(view: memoryview, offset: int, *, verify: bool = True) -> Head:
    """The checked fixed part of the fragment at an offset, if all of that is there; else SegmentDamaged.

    verify: False for one that has been checked before.
    """
    left = len(view) - offset
    if left < HEAD.size:
        raise damaged(offset, f"a fragment is cut off after {left} bytes")
    head = Head._make(HEAD.unpack_from(view, offset))
    if head.kind != b"uuid" or head.uuid != FRAGMENT_UUID or not HEAD.size <= head.size <= head.head_bytes:
        raise damaged(offset, "no fragment begins here")
    if left < head.head_bytes:
        raise damaged(offset, f"a fragment is cut off after {left} bytes")
    if verify and head_crc(view[offset : offset + head.head_bytes]) != head.head_crc:
        raise damaged(offset, "the checksum of the fragment's head is wrong")
    if head.version != FRAGMENT_VERSION:
        raise damaged(offset, f"fragment version {head.version} is unknown", hint="a newer fovideo wrote it")
    if left < head.head_bytes + head.data_bytes:
        whole = head.head_bytes + head.data_bytes
        raise damaged(offset, f"a fragment is cut off after {left} of {whole} bytes")
    return head


class _Local(threading.local):
    """zstd contexts are not thread-safe: one a thread."""

    def __init__(self) -> None:
        self.unpacker = zstandard.ZstdDecompressor()


_local = _Local()


def samples(fragment: Fragment, data: Buffer, offset: int) -> list[memoryview | bytes]:
    """The payload of each row of fragment.frames, from a buffer in which the fragment begins at an offset.

    Video and audio are views of the buffer; metadata documents are unpacked. Raises SegmentDamaged where they
    don't add up.
    """
    view = memoryview(data).cast("B")
    at = offset + fragment.data_offset
    end = offset + fragment.size_bytes
    sizes = fragment.frames["size"].tolist()
    plain = int((fragment.frames["track"] != METADATA_TRACK).sum())
    if at + sum(sizes[:plain]) > end or end > len(view):
        raise damaged(offset, "the fragment's samples are longer than the fragment")
    out: list[memoryview | bytes] = []
    for size in sizes[:plain]:
        out.append(view[at : at + size])
        at += size
    if plain < len(sizes):
        out.extend(_documents(view[at:end], sizes[plain:], offset))
    return out


def _documents(packed: memoryview, sizes: list[int], offset: int) -> list[bytes]:
    total = sum(sizes)
    try:
        if zstandard.frame_content_size(packed) != total:
            raise damaged(offset, "the fragment's metadata has another length than its table says")
        text = _local.unpacker.decompress(packed, max_output_size=total)
    except zstandard.ZstdError as error:
        raise damaged(offset, f"the fragment's metadata does not unpack: {error}") from None
    documents, at = [], 0
    for size in sizes:
        documents.append(text[at : at + size])
        at += size
    return documents


def damaged(offset: int, reason: str, *, hint: str = "") -> SegmentDamaged:
    """The error for a byte offset; whoever knows the file's path adds it as `where`."""
    return SegmentDamaged(f"{reason} (byte {offset})", hint=hint)
