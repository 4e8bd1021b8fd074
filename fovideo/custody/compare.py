"""Comparing bytes with what a manifest says of them, and finding the first that differ. Pure."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fovideo.custody.change import Change, ChangeKind
from fovideo.custody.describe import hash_parts, layout_of, mark_of
from fovideo.custody.entries import BLOCK_BYTES, CRC_DIGITS, HEAD_TRACK, GopEntry, Piece
from fovideo.custody.locate import short_changes
from fovideo.errors import SegmentDamaged
from fovideo.media.nal import crc32c
from fovideo.segment import decode_table
from fovideo.timeline.values import Gop
from fovideo.times import format_ns

_TRIES = 256
"""Corrections of a block that are proven or disproven by hashing its piece."""


class Spot(NamedTuple):
    """Bytes of a piece that may differ. was: what they were, if that is proven."""

    offset: int
    size: int
    was: bytes = b""


def gop_change(entry: GopEntry, data: memoryview, where: str, stream: str) -> Change | None:
    """The first byte of a GOP that is not as its entry says; None if all are. data: its bytes, or as many as
    there are.
    """
    hashes = hash_parts(data, entry.fragments, entry.sizes)
    same = hashes == (entry.heads_sha256, entry.sha256)
    if same and len(data) == entry.bytes:
        return None
    return _located(entry, data, where, stream)


def _located(entry: GopEntry, data: memoryview, where: str, stream: str) -> Change:
    for piece in entry.pieces():
        found = data[piece.offset : piece.offset + piece.size]
        if len(found) == piece.size and mark_of(found) == piece.mark:
            continue
        spot = find_spot(found, piece.size, piece.mark, piece.crcs)
        return _change(entry, piece, spot, found, where, stream)
    return Change(
        kind=ChangeKind.SAMPLE,
        what="the hash of the GOP is another, though those of its pieces are as they were",
        where=where,
        stream=stream,
        gop_ns=entry.start_ns,
        offset=entry.offset,
        size=entry.bytes,
    )


def find_spot(found: memoryview, size: int, mark: str, crcs: str) -> Spot:
    """Where a piece of `size` bytes begins to differ from what its mark and CRCs say.

    One changed byte, or up to three neighbouring ones within a block, are found exactly, and proven: with
    their former values the mark is right again. Else the first block that differs is told.
    """
    for number, at in enumerate(range(0, size, BLOCK_BYTES)):
        length = min(BLOCK_BYTES, size - at)
        block = found[at : at + length]
        if len(block) < length:
            return Spot(at + len(block), length - len(block))
        expected = int(crcs[number * CRC_DIGITS : (number + 1) * CRC_DIGITS], 16)
        crc = crc32c(block)
        if crc != expected:
            return _exact(found, at, length, mark, expected, crc) or Spot(at, length)
    return Spot(0, size)


def _exact(found: memoryview, at: int, length: int, mark: str, expected: int, crc: int) -> Spot | None:
    for change in short_changes(length, expected, crc)[:_TRIES]:
        whole = bytearray(found)
        start, stop = at + change.offset, at + change.offset + len(change.mask)
        was = bytes(a ^ b for a, b in zip(whole[start:stop], change.mask, strict=True))
        whole[start:stop] = was
        if mark_of(whole) == mark:
            return Spot(start, len(was), was)
    return None


def told(spot: Spot, now: bytes) -> str:
    """What happened to a spot, for people. now: its bytes as they are."""
    if spot.was:
        return f"changed from {spot.was.hex()} to {now.hex()}"
    return "changed somewhere in there" if now else "not there any more"


def _change(entry: GopEntry, piece: Piece, spot: Spot, found: memoryview, where: str, stream: str) -> Change:
    head = piece.track == HEAD_TRACK
    now = bytes(found[spot.offset : spot.offset + spot.size])
    what = told(spot, now)
    if head:
        what += f" (the head of fragment {piece.fragment}: times and sizes, no picture)"
    return Change(
        kind=ChangeKind.HEAD if head else ChangeKind.SAMPLE,
        what=what,
        where=where,
        stream=stream,
        gop_ns=entry.start_ns,
        frame=piece.sample,
        track=piece.track,
        time_ns=None if head else entry.start_ns + piece.time_ns,
        offset=entry.offset + piece.offset + spot.offset,
        size=spot.size,
        was=spot.was.hex(),
        now=now.hex() if spot.was else "",
    )


def index_change(entry: GopEntry, row: Gop, data: memoryview, where: str) -> Change | None:
    """What index or manifest say of a GOP that is not so, given that its bytes are as they were."""
    what = _index_what(entry, row, data)
    if not what:
        return None
    return Change(kind=ChangeKind.INDEX, what=what, where=where, stream=row.stream, gop_ns=entry.start_ns)


def _index_what(entry: GopEntry, row: Gop, data: memoryview) -> str:
    facts = (
        ("start", format_ns(entry.start_ns), format_ns(row.start_ns)),
        ("shift", f"{entry.shift_ns} ns", f"{row.shift_ns} ns"),
        ("epoch", entry.epoch, row.epoch),
        ("size", entry.bytes, row.size_bytes),
        ("number of frames", entry.frames, row.frames),
    )
    for name, was, now in facts:
        if was != now:
            return f"its {name} is {now} in the index, {was} in the manifest"
    try:
        layout = layout_of(data, verify=False)
        if not np.array_equal(decode_table(row.table), layout.table):
            return "the frame table in the index is not the one in the file"
    except SegmentDamaged as error:
        return f"its frame table cannot be read: {error.what}"
    told = (entry.fragments, entry.sizes, (entry.tracks, entry.times, entry.dts))
    if told != (layout.fragments, layout.sizes, layout.columns(row.start_ns - row.shift_ns)):
        return "its frames have other times or sizes than the manifest says"
    return ""
