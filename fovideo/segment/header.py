"""The head of a segment file: `ftyp`, `moov` for players, and a uuid box with what a store wants to know.

Layout: docs/ref/segment.md.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import msgspec

from fovideo.decoding import json_decoder
from fovideo.errors import SegmentDamaged, UsageError
from fovideo.media.codec import AUDIO_TRACK, METADATA_TRACK, VIDEO_TRACK, Track
from fovideo.media.nal import crc32c
from fovideo.segment import moov
from fovideo.segment.boxes import BOX, box, box_at
from fovideo.timeline.values import Provenance

if TYPE_CHECKING:
    from typing_extensions import Buffer

HEADER_UUID = bytes.fromhex("f0b1d30a6f7645c18c5e0f7265616431")
HEADER_VERSION = 1
_HEAD = struct.Struct(">I4s16sBBHII")
"""size, "uuid", HEADER_UUID, version, 0, 0, bytes before this box, their CRC32C. Then JSON and the CRC32C of
this box up to there."""
_TAIL = struct.Struct(">I")
_LARGEST_MOOV_BYTES = 1 << 24


class SegmentHeader(msgspec.Struct, frozen=True, kw_only=True):
    """What holds for a whole segment file.

    base_ns: stored time of tick 0 of all tracks: that of its first frame, else players show the difference as
        a longer file. Fragments copied from a file with another base need `relocate`.
    shift_ns: correction known when the file was begun; effective = stored + shift_ns.
    epoch: epoch of its first fragment.
    start_ns: stored decode time of its first frame; players show it as time 0.
    pending: recorded on behalf of another store and not yet merged into it when the file was begun.
    """

    stream: str
    tracks: tuple[Track, ...]
    provenance: Provenance
    base_ns: int
    start_ns: int
    shift_ns: int = 0
    epoch: int = 0
    pending: bool = False


_decode = json_decoder(SegmentHeader).decode


def encode_header(
    header: SegmentHeader, *, size_bytes: int = 0, block_bytes: int = 0, phase: int = 0
) -> bytes:
    """The bytes a segment file begins with. Raises UsageError for tracks that one file cannot hold.

    size_bytes: fill up to exactly so many bytes with a `free` box (UsageError if they don't suffice).
    block_bytes, phase: fill up until the size leaves the remainder `phase` when divided by block_bytes, so
    that what is copied behind it lies in its blocks as it did in its own file: a file system can share them.
    """
    for track in header.tracks:
        codec = track.codec
        kind = VIDEO_TRACK if codec.is_video else AUDIO_TRACK if codec.is_audio else METADATA_TRACK
        if track.id != kind or track.timescale <= 0:
            raise UsageError(f"track {track.id} at {track.timescale} Hz cannot carry {codec}")
    if len({track.id for track in header.tracks}) != len(header.tracks) or not header.tracks:
        raise UsageError("a segment needs at least one track, and at most one of a kind")
    if header.start_ns < header.base_ns:
        raise UsageError("a segment starts before its base", hint="choose an earlier base_ns")
    before = box(b"ftyp", b"iso6", struct.pack(">I", 0), b"iso6iso5mp41") + moov.encode(
        header.tracks, header.base_ns, header.start_ns
    )
    text = msgspec.json.encode(header)
    size = _HEAD.size + len(text) + _TAIL.size
    before += _free(len(before) + size, size_bytes, block_bytes, phase)
    head = _HEAD.pack(size, b"uuid", HEADER_UUID, HEADER_VERSION, 0, 0, len(before), crc32c(before)) + text
    return b"".join((before, head, _TAIL.pack(crc32c(head))))


def _free(plain: int, size_bytes: int, block_bytes: int, phase: int) -> bytes:
    """The box that fills up a header of `plain` bytes."""
    if block_bytes:
        size_bytes = plain + (phase - plain) % block_bytes
        if size_bytes != plain and size_bytes < plain + BOX.size:
            size_bytes += block_bytes
    if size_bytes in (0, plain):
        return b""
    if size_bytes < plain + BOX.size:
        raise UsageError(f"a header of {plain} bytes where {size_bytes} are free")
    return box(b"free", bytes(size_bytes - plain - BOX.size))


def read_header(data: Buffer, *, verify: bool = True) -> tuple[SegmentHeader, int]:
    """The header of a segment file, and its size in bytes = offset of the first fragment.

    data: the file, or enough of its beginning. verify: also check the boxes that only players read; without
    it a file whose `moov` is damaged can still be read (encode_header gives the bytes to restore it).
    Raises SegmentDamaged, naming the byte offset, for what is no segment file or has no whole header.
    """
    view = memoryview(data).cast("B")
    at = _find(view)
    left = len(view) - at
    if left < _HEAD.size:
        raise _damaged(at, f"the header is cut off after {left} bytes")
    size, kind, uuid, version, _, _, before, crc = _HEAD.unpack_from(view, at)
    if kind != b"uuid" or uuid != HEADER_UUID or size < _HEAD.size + _TAIL.size:
        raise _foreign(at)
    if left < size:
        raise _damaged(at, f"the header is cut off after {left} of {size} bytes")
    check_at = at + size - _TAIL.size
    if _TAIL.unpack_from(view, check_at)[0] != crc32c(view[at:check_at]):
        raise _damaged(at, "the checksum of the header is wrong")
    if version != HEADER_VERSION:
        raise _damaged(at, f"segment version {version} is unknown", hint="a newer fovideo wrote it")
    if verify and (before != at or crc32c(view[:at]) != crc):
        raise _damaged(0, "the checksum of the boxes for players is wrong")
    try:
        return _decode(bytes(view[at + _HEAD.size : check_at])), at + size
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise _damaged(at, f"the header does not say what it should: {error}") from None


def _find(view: memoryview) -> int:
    """Offset of the header's box: behind ftyp and moov, else wherever its UUID stands early in the file."""
    size, kind = box_at(view, 0)
    if kind == b"ftyp":
        more, kind = box_at(view, size)
        if kind == b"moov" and more and size + more <= len(view):
            at = size + more
            filled, kind = box_at(view, at)
            return at + filled if kind == b"free" and filled and at + filled <= len(view) else at
    found = bytes(view[:_LARGEST_MOOV_BYTES]).find(b"uuid" + HEADER_UUID)
    if found < 4:
        raise _foreign(0)
    return found - 4


def _foreign(offset: int) -> SegmentDamaged:
    return _damaged(offset, "not a segment file of fovideo, or its header is cut off")


def _damaged(offset: int, reason: str, *, hint: str = "") -> SegmentDamaged:
    return SegmentDamaged(f"{reason} (byte {offset})", hint=hint)
