"""Comparing one stretch of a manifest with the timeline: its segment file, its rows, its bytes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fovideo.custody.change import Change, ChangeKind
from fovideo.custody.compare import find_spot, gop_change, index_change
from fovideo.custody.describe import mark_of
from fovideo.custody.entries import MARK_DIGITS, GopEntry, StretchEntry
from fovideo.errors import NoSuchStream, NothingThere, SegmentDamaged
from fovideo.segment import read_header
from fovideo.store.insert import opened
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
        part = self._timeline.read(entry.stream, row)
        if isinstance(part, FileRange):
            self._path = Path(part.path)
            self._where = self._path.relative_to(self._timeline.location).as_posix()
            yield from self._header_changes(self._path)

    def gop_changes(self, entry: GopEntry) -> Iterator[Change]:
        """Changes of one GOP."""
        self._end = entry.offset + entry.bytes
        row = self._row(entry.offset)
        data = None if row is None else self._read(row, entry)
        if row is None or data is None:
            yield self._change(ChangeKind.MISSING, _GONE, gop_ns=entry.start_ns)
            return
        with opened(data) as view:
            found = gop_change(entry, view, self._where, self._entry.stream)
            if found is None:
                found = index_change(entry, row, view, self._where)
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

    def _read(self, row: Gop, entry: GopEntry) -> bytes | FileRange | None:
        """The bytes at the place that the manifest names, as far as they are there; None if nothing is."""
        try:
            part = self._timeline.read(row.stream, row)
        except NothingThere:
            return None
        if not isinstance(part, FileRange):
            return part[: entry.bytes]
        size = min(entry.bytes, _size_of(Path(part.path)) - entry.offset)
        return FileRange(part.path, entry.offset, size) if size > 0 else None

    def _header_changes(self, path: Path) -> Iterator[Change]:
        """A header that was hashed must be the same; else, what it says must be."""
        entry = self._entry
        size = min(entry.header_bytes, _size_of(path))
        if not entry.header_bytes:
            yield from self._meaning_changes(path)
            return
        with opened(FileRange(str(path), 0, size)) if size else opened(b"") as data:
            mark = entry.header_sha256[:MARK_DIGITS]
            if size == entry.header_bytes and mark_of(data) == mark:
                return
            spot = find_spot(data, entry.header_bytes, mark, entry.header_crcs)
            now = bytes(data[spot.offset : spot.offset + spot.size]).hex() if spot.was else ""
        what = f"changed from {spot.was.hex()} to {now}" if spot.was else "changed somewhere in there"
        yield self._change(
            ChangeKind.HEADER,
            f"{what} (the header of the file)",
            offset=spot.offset,
            size=spot.size,
            was=spot.was.hex(),
            now=now,
        )

    def _meaning_changes(self, path: Path) -> Iterator[Change]:
        try:
            with opened(FileRange(str(path), 0, _size_of(path))) as data:
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
