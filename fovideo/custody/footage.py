"""Comparing one stretch of a manifest with the timeline: its segment file, its rows, its bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fovideo.custody.change import Change, ChangeKind
from fovideo.custody.compare import find_spot, gop_change, index_change, told
from fovideo.custody.entries import MARK_DIGITS, GopEntry, StretchEntry
from fovideo.custody.parts import name_in
from fovideo.errors import NoSuchStream, NothingThere, SegmentDamaged
from fovideo.platform import read_range
from fovideo.segment import read_header
from fovideo.timeline.endpoint import FileRange, Timeline
from fovideo.timeline.values import Gop, Provenance
from fovideo.times import NS_PER_S, parse_ns

_REACH_NS = NS_PER_S
_GONE = "not there any more: removed, or expired"


class StretchChecker:
    """Finds what is not as a stretch's entries say. Call begin_changes, then gop_changes of each GOP in
    order, then end_changes.
    """

    def __init__(self, timeline: Timeline, entry: StretchEntry) -> None:
        self._timeline, self._entry = timeline, entry
        self._segment = int(entry.segment, 16)
        self._rows: dict[int, Gop] | None = None
        self._all = False
        self._end = entry.header_bytes
        self._where = entry.file or f"segment {entry.segment} of {entry.stream}"
        self._path: Path | None = None

    def begin_changes(self) -> Iterator[Change]:
        """Changes of what comes before the GOPs."""
        entry = self._entry
        begin_ns, end_ns = parse_ns(entry.begin) - _REACH_NS, parse_ns(entry.end) + _REACH_NS
        self._rows = self._find(begin_ns, end_ns)
        row = next(iter(self._rows.values()), None)
        if row is None:
            self._rows, self._all = self._find(None, None), True
            row = next(iter(self._rows.values()), None)
        if row is None:
            return  # each GOP will say so
        known = self._timeline.provenances(entry.stream).get(row.provenance)
        if known != entry.provenance:
            yield self._change(ChangeKind.INDEX, _provenance_what("index", known, entry.provenance))
        if self._timeline.tracks(entry.stream, row) != entry.tracks:
            yield self._change(ChangeKind.INDEX, "the index has other tracks than the manifest")
        try:
            part = self._timeline.read(entry.stream, row)
        except NothingThere:
            return
        if isinstance(part, FileRange):
            self._path = Path(part.path)
            self._where = name_in(self._timeline.location, self._path)
            yield from self._header_changes(self._path, min(self._rows))

    def gop_changes(self, entry: GopEntry) -> Iterator[Change]:
        """Changes of one GOP."""
        self._end = entry.offset + entry.bytes
        row = self._row(entry.offset)
        data = None if row is None else self._read(row, entry)
        if row is None or data is None:
            yield self._change(ChangeKind.MISSING, _GONE, gop_ns=entry.start_ns)
            return
        found = gop_change(entry, data, self._where, self._entry.stream) or index_change(
            entry, row, data, self._where
        )
        if found is not None:
            yield found

    def end_changes(self) -> Iterator[Change]:
        """Changes behind the last GOP."""
        if self._path is None:
            return
        more = _size_of(self._path) - self._end
        if more > 0:
            what = "added behind what was merged"
            yield self._change(ChangeKind.ADDED, what, offset=self._end, size=more)

    def _find(self, from_ns: int | None, to_ns: int | None) -> dict[int, Gop]:
        """Rows of the segment by their offset."""
        try:
            rows = self._timeline.gops(self._entry.stream, from_ns, to_ns)
        except NoSuchStream:
            return {}
        return {row.offset: row for row in rows if row.segment == self._segment}

    def _row(self, offset: int) -> Gop | None:
        """The row at an offset; looked for at other times too, since those may be what was changed."""
        rows = self._rows or {}
        if offset not in rows and not self._all:
            rows, self._all = self._find(None, None), True
            self._rows = rows
        return rows.get(offset)

    def _read(self, row: Gop, entry: GopEntry) -> memoryview | None:
        """The bytes at the place that the manifest names, as far as they are there; None if nothing is."""
        try:
            part = self._timeline.read(row.stream, row)
            data = (
                read_range(Path(part.path), entry.offset, entry.bytes)
                if isinstance(part, FileRange)
                else part[: entry.bytes]
            )
        except (NothingThere, FileNotFoundError):
            return None
        return memoryview(data) if data else None

    def _header_changes(self, path: Path, first_offset: int) -> Iterator[Change]:
        """A header that was hashed must be the same; else, what it says must be."""
        entry = self._entry
        try:
            data = read_range(path, 0, entry.header_bytes or first_offset)
        except FileNotFoundError:
            return  # each GOP will say so
        if not entry.header_bytes:
            yield from self._meaning_changes(data)
        elif hashlib.sha256(data).hexdigest() != entry.header_sha256:
            mark = entry.header_sha256[:MARK_DIGITS]
            spot = find_spot(memoryview(data), entry.header_bytes, mark, entry.header_crcs)
            now = data[spot.offset : spot.offset + spot.size]
            yield self._change(
                ChangeKind.HEADER,
                f"{told(spot, now)} (the header of the file)",
                offset=spot.offset,
                size=spot.size,
                was=spot.was.hex(),
                now=now.hex() if spot.was else "",
            )

    def _meaning_changes(self, data: bytes) -> Iterator[Change]:
        try:
            header, _ = read_header(data)
        except SegmentDamaged as error:
            yield self._change(ChangeKind.HEADER, error.what)
            return
        if header.provenance != self._entry.provenance:
            what = _provenance_what("file", header.provenance, self._entry.provenance)
            yield self._change(ChangeKind.HEADER, what)
        elif header.tracks != self._entry.tracks:
            yield self._change(ChangeKind.HEADER, "the file has other tracks than the manifest")

    def _change(self, kind: ChangeKind, what: str, **more: Any) -> Change:
        return Change(kind=kind, what=what, where=self._where, stream=self._entry.stream, **more)


def _size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _provenance_what(holder: str, found: Provenance | None, told: Provenance) -> str:
    if found is None:
        return f"the {holder} has no provenance of it"
    for name in told.__struct_fields__:
        if getattr(found, name) != getattr(told, name):
            now, was = getattr(found, name), getattr(told, name)
            return f"the {holder} gives {now!r} as its {name}, the manifest {was!r}"
    return f"the {holder} has another provenance"
