"""Rows that a plan would insert, made without inserting them: what a Union shows of the other timelines."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from fovideo.media.codec import Track
from fovideo.merge.doing.cutting import piece_bytes
from fovideo.merge.manifest import Manifest
from fovideo.merge.planning.stretch import shift_at_target_ns
from fovideo.merge.values import Piece, Plan, PlannedStretch
from fovideo.segment import SegmentHeader, parse_fragment
from fovideo.store.assemble import Assembler
from fovideo.timeline.endpoint import FileRange, Timeline
from fovideo.timeline.values import Gop, GopFlag, Provenance

_MARK = 1 << 61  # no store counts its rows that far
_SEGMENT_SHIFT = 44
_PROVENANCES_FROM = 1 << 32
_MOST_ENTRIES = 200_000
_MOST_PROVENANCES = 10_000


@dataclass(frozen=True)
class Entry:
    """A row of a union, and where it comes from. part: its bytes, where they are not the source's own."""

    row: Gop
    source: Timeline
    original: Gop
    tracks: tuple[Track, ...]
    part: bytes | None = None

    def read(self) -> bytes | FileRange:
        return self.source.read(self.original.stream, self.original) if self.part is None else self.part


class Entries:
    """Rows that were shown, so that they can be read also when they were merged meanwhile. Thread-safe.

    The same piece gets the same serials each time, as long as it is remembered; a serial is never used for
    another one, not even by another process: they count on from the time of day.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: OrderedDict[tuple[str, int], Entry] = OrderedDict()
        self._pieces: OrderedDict[tuple[object, ...], tuple[Entry, ...]] = OrderedDict()
        self._provenances: dict[str, OrderedDict[Provenance, int]] = {}
        self._next_serial = _MARK | time.time_ns() >> 4
        self._next_provenance = _PROVENANCES_FROM

    @staticmethod
    def is_ours(serial: int) -> bool:
        """Whether a row is not of the first timeline."""
        return serial >= _MARK

    def get(self, stream: str, serial: int) -> Entry | None:
        with self._lock:
            return self._entries.get((stream, serial))

    def known(self, key: tuple[object, ...]) -> tuple[Entry, ...] | None:
        """The rows that were made of this piece before."""
        with self._lock:
            return self._pieces.get(key)

    def serial(self) -> int:
        """A new serial."""
        with self._lock:
            self._next_serial += 1
            return self._next_serial

    def keep(self, key: tuple[object, ...], entries: Sequence[Entry]) -> None:
        """Remember the rows of a piece, as they are now."""
        with self._lock:
            self._pieces[key] = tuple(entries)
            self._pieces.move_to_end(key)
            for entry in entries:
                self._entries[entry.row.stream, entry.row.serial] = entry
            while len(self._pieces) > _MOST_ENTRIES:
                for entry in self._pieces.popitem(last=False)[1]:
                    self._entries.pop((entry.row.stream, entry.row.serial), None)

    def provenance(self, stream: str, provenance: Provenance) -> int:
        """The number of a provenance."""
        with self._lock:
            known = self._provenances.setdefault(stream, OrderedDict())
            if provenance not in known:
                known[provenance] = self._next_provenance
                self._next_provenance += 1
                while len(known) > _MOST_PROVENANCES:
                    known.popitem(last=False)
            known.move_to_end(provenance)
            return known[provenance]

    def provenances(self, stream: str) -> dict[int, Provenance]:
        with self._lock:
            return {number: each for each, number in self._provenances.get(stream, {}).items()}


def rows_of(entries: Entries, number: int, source: Timeline, manifest: Manifest, made: Plan) -> list[Gop]:
    """The rows that would come into the target, as if they had. number: of the source in its union."""
    originals = {row.serial: row for row in manifest.rows}
    return [
        row
        for stretch in made.stretches
        for piece in stretch.pieces
        for row in _rows(entries, number, source, originals[piece.serial], stretch, piece)
    ]


def _rows(
    entries: Entries, number: int, source: Timeline, original: Gop, stretch: PlannedStretch, piece: Piece
) -> list[Gop]:
    key = (original.stream, number, original.serial, piece.rows, piece.dts_ns)
    found = entries.known(key)
    if found is None:
        tracks = source.tracks(original.stream, original)
        if piece.rows or piece.dts_ns:
            found = tuple(_cut(entries, source, original, tracks, stretch, piece))
        else:
            row = replace(original, serial=entries.serial(), flags=original.flags & ~GopFlag.PENDING)
            found = (Entry(row, source, original, tracks),)
    # The clocks are compared anew each time, so the place of a row may change by some ns.
    provenance, segment = (
        entries.provenance(original.stream, stretch.provenance),
        number << _SEGMENT_SHIFT | original.segment,
    )
    placed = [
        dataclasses.replace(entry, row=_placed(entry.row, stretch, provenance, segment)) for entry in found
    ]
    entries.keep(key, placed)
    return [entry.row for entry in placed]


def _placed(row: Gop, stretch: PlannedStretch, provenance: int, segment: int) -> Gop:
    """The row at its place in the target."""
    shift_ns = shift_at_target_ns(row, stretch.shift_ns, stretch.provenance.correction)
    return replace(
        row,
        start_ns=row.start_ns - row.shift_ns + shift_ns,
        end_ns=row.end_ns - row.shift_ns + shift_ns,
        shift_ns=shift_ns,
        provenance=provenance,
        segment=segment,
    )


def _cut(
    entries: Entries,
    source: Timeline,
    original: Gop,
    tracks: tuple[Track, ...],
    stretch: PlannedStretch,
    piece: Piece,
) -> Iterator[Entry]:
    """Some frames of a row: its bytes cut down as for an insertion, and the rows that these make."""
    data = piece_bytes(source, original, piece, tracks, stretch.provenance)
    assert isinstance(data, bytes)
    header = SegmentHeader(
        stream=original.stream,
        tracks=tracks,
        provenance=stretch.provenance,
        base_ns=0,
        start_ns=original.start_ns - original.shift_ns,
        shift_ns=stretch.shift_ns,
        epoch=stretch.epoch,
    )
    assembler = Assembler(header, 0, interval_ns=original.interval_ns)
    offset = 0
    while offset < len(data):
        fragment = parse_fragment(data, offset)
        assembler.add(offset, fragment.size_bytes, stretch.epoch, fragment.frames)
        offset += fragment.size_bytes
    assembler.end_row()
    for row in assembler.changes():
        if isinstance(row, Gop):
            part = data[row.offset : row.offset + row.size_bytes]
            yield Entry(replace(row, serial=entries.serial(), offset=0), source, original, tracks, part)
