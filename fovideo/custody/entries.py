"""Entries: what a line of a custody manifest says. Pure values. Format: docs/ref/manifest.md.

An entry is encoded as the JSON object of its fields in the order of their definition, without blanks; there
is one way to write it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final, NamedTuple, TypeAlias

import msgspec

from fovideo.media.codec import Track
from fovideo.timeline.values import Provenance

_HEX = re.compile("[0-9a-f]*")

VERSION: Final = 1
BLOCK_BYTES: Final = 4096
"""A piece has a CRC for each block of this size (its last block may be shorter)."""

EARLIEST_NS: Final = -62_135_596_800_000_000_000
LATEST_NS: Final = 253_402_300_799_999_999_999

MARK_DIGITS: Final = 16
CRC_DIGITS: Final = 8
HEAD_TRACK: Final = 0
"""Stands for the track of a fragment's head."""


def blocks_of(size: int) -> int:
    """Number of blocks of a piece of `size` bytes."""
    return -(-size // BLOCK_BYTES)


def is_hex(text: str) -> bool:
    """Whether the text is hexadecimal digits alone, in small letters."""
    return _HEX.fullmatch(text) is not None


class _Line(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    """What all entries have in common."""


class Header(_Line, frozen=True, kw_only=True, tag="fovideo-manifest"):
    """The first line. source, target: store ids. created: RFC 3339. lease: number of the takeover under which
    was merged, 0 = none. key: id of the key that signs, "" = not signed.
    """

    version: int
    source: str
    target: str
    created: str
    lease: int
    key: str


class StretchEntry(_Line, frozen=True, kw_only=True, tag="stretch"):
    """One segment file that the merge made in the target; its GOPs follow.

    begin, end: RFC 3339, presentation times of its first and last sample. segment: id, hexadecimal, as in
    the file's name. file: its name in the target, "" where the target was reached by a URL; then the header
    fields are empty too. header_bytes: before its first GOP, with their SHA-256 and CRCs.
    """

    stream: str
    begin: str
    end: str
    gops: int
    frames: int
    bytes: int
    segment: str
    file: str
    provenance: Provenance
    tracks: tuple[Track, ...]
    header_bytes: int
    header_sha256: str
    header_crcs: str


class GopEntry(_Line, frozen=True, kw_only=True, tag="gop"):
    """One row of the target: a GOP, or the piece of one that was inserted.

    Its bytes are pieces: for each fragment its head, then its samples. A sample is a frame of video or audio,
    or all metadata documents of a fragment.

    start_ns: effective decode time of its first frame; stored time = effective - shift_ns. offset, bytes: in
    the segment file. frames: of the primary track. sha256: over the samples as stored. heads_sha256: over the
    heads. fragments: (bytes of the head, number of samples). tracks: (track, number of samples in a row).
    times, dts: of the samples, since the stored start; dts is empty if equal. sizes: of the samples.
    marks: of each piece the first 8 bytes of its SHA-256. crcs: CRC-32C of each block of each piece.
    """

    start_ns: int
    shift_ns: int
    epoch: int
    offset: int
    bytes: int
    frames: int
    sha256: str
    heads_sha256: str
    fragments: tuple[tuple[int, int], ...]
    tracks: tuple[tuple[int, int], ...]
    times: tuple[int, ...]
    dts: tuple[int, ...]
    sizes: tuple[int, ...]
    marks: str
    crcs: str

    def check(self) -> None:
        """Raise ValueError where the fields contradict each other."""
        if any(not EARLIEST_NS <= time_ns <= LATEST_NS for time_ns in (self.start_ns, *span_of(self))):
            raise ValueError("a time that no calendar has")
        samples = len(self.sizes)
        heads, counts = [head for head, _ in self.fragments], [count for _, count in self.fragments]
        runs = [count for _, count in self.tracks]
        if min((*self.sizes, *heads, *counts, *runs, self.offset, self.bytes), default=0) < 0:
            raise ValueError("a size is negative")
        if {samples, len(self.times), len(self.dts) or samples} != {sum(counts)} or sum(runs) != samples:
            raise ValueError("the numbers of samples differ")
        if sum(self.sizes) + sum(heads) != self.bytes:
            raise ValueError("the sizes do not add up")
        if not all(map(is_hex, (self.marks, self.crcs))):
            raise ValueError("a hash is not hexadecimal")
        if len(self.marks) != MARK_DIGITS * (len(heads) + samples):
            raise ValueError("as many marks as pieces are needed")
        if len(self.crcs) != CRC_DIGITS * sum(blocks_of(size) for size in (*self.sizes, *heads)):
            raise ValueError("as many CRCs as blocks are needed")

    def pieces(self) -> Iterator[Piece]:
        """The pieces by offset; of an entry that is checked."""
        tracks = [track for track, count in self.tracks for _ in range(count)]
        samples = iter(enumerate(zip(tracks, self.times, self.sizes, strict=True), 1))
        offset = crc_at = number = 0
        for fragment, (head_bytes, count) in enumerate(self.fragments, 1):
            inside = [(0, (HEAD_TRACK, 0, head_bytes)), *islice(samples, count)]
            for sample, (track, time_ns, size) in inside:
                digits = CRC_DIGITS * blocks_of(size)
                mark = self.marks[number * MARK_DIGITS : (number + 1) * MARK_DIGITS]
                crcs = self.crcs[crc_at : crc_at + digits]
                yield Piece(offset, size, fragment, sample, track, time_ns, mark, crcs)
                offset, crc_at, number = offset + size, crc_at + digits, number + 1


class Piece(NamedTuple):
    """Part of a GOP that is hashed by itself.

    offset: from the GOP's first byte. fragment: from 1. sample: number in the GOP from 1, 0 for a head.
    time_ns: since the stored start. mark, crcs: see GopEntry.
    """

    offset: int
    size: int
    fragment: int
    sample: int
    track: int
    time_ns: int
    mark: str
    crcs: str


class End(_Line, frozen=True, kw_only=True, tag="end"):
    """The last line: how much there was."""

    stretches: int
    gops: int
    frames: int
    bytes: int


Entry: TypeAlias = Header | StretchEntry | GopEntry | End


def span_of(entry: GopEntry) -> tuple[int, int]:
    """Effective presentation times of the first and the last sample, ns."""
    return entry.start_ns + min(entry.times, default=0), entry.start_ns + max(entry.times, default=0)


def joined(spans: Iterable[tuple[int, int]]) -> tuple[int, int]:
    """The span from the earliest to the latest of them; (0, 0) of none."""
    starts, ends = zip(*spans, strict=True) if (spans := list(spans)) else ((0,), (0,))
    return min(starts), max(ends)
