"""Reading a manifest: line by line, each checked against the chain before it is believed."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import msgspec

from fovideo.custody.chain import FIRST_LINK, Line, decode_line, next_link
from fovideo.custody.entries import (
    CRC_DIGITS,
    VERSION,
    Entry,
    GopEntry,
    Header,
    StretchEntry,
    blocks_of,
    is_hex,
    joined,
    span_of,
)
from fovideo.decoding import from_json
from fovideo.errors import ManifestDamaged, UsageError
from fovideo.timeline.values import check_stream_name
from fovideo.times import format_ns, parse_ns

_LONGEST_LINE_BYTES = 1 << 26
_KEY_ID = re.compile(r"sha256:[0-9a-f]{64}")
_BROKEN = "it was changed, or lines were removed, added or moved before it"


class Numbered(NamedTuple):
    """An entry and the number of its line, from 1."""

    number: int
    entry: Entry


class Seal(NamedTuple):
    """What the last line tells. link: of the whole manifest. signature: base64, "" = not signed."""

    link: bytes
    signature: str


class _Opening(msgspec.Struct):
    kind: str = ""
    version: int = 0


class ManifestReader:
    """The entries of a manifest file, in order, ending with End. After the last one `seal` is set.

    Every entry fits the chain up to it and the grammar; what the entries say of the footage is not checked.
    Raises UsageError for a file that cannot be read or is no manifest, ManifestDamaged where it was changed.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.seal: Seal | None = None

    def __iter__(self) -> Iterator[Numbered]:
        self.seal = None
        try:
            with self.path.open("rb") as file:
                yield from self._entries(file)
        except OSError as error:
            raise UsageError(f"cannot be read: {error.strerror}", where=str(self.path)) from None

    def _entries(self, file: BinaryIO) -> Iterator[Numbered]:
        link, number = FIRST_LINK, 0
        grammar = _Grammar()
        while text := file.readline(_LONGEST_LINE_BYTES):
            number += 1
            if number == 1:
                self._recognise(text)
            if self.seal is not None:
                raise self._damaged(number, "the manifest ended before")
            line = self._line(number, text)
            link = next_link(link, line.body)
            if link != line.link:
                raise self._damaged(number, f"breaks the chain: {_BROKEN}")
            try:
                grammar.take(line.entry)
            except ValueError as error:
                raise self._damaged(number, str(error)) from None
            if line.signature is not None:
                self.seal = Seal(link, line.signature)
            yield Numbered(number, line.entry)
        if not number:
            raise UsageError("an empty file, not a custody manifest", where=str(self.path))
        if self.seal is None:
            raise self._damaged(number, "the last one, but no end: lines were removed")

    def _recognise(self, text: bytes) -> None:
        try:
            opening = from_json(text, _Opening)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            opening = _Opening()
        if opening.kind != "fovideo-manifest":
            raise UsageError("not a custody manifest of fovideo", where=str(self.path))
        if opening.version != VERSION:
            raise UsageError(
                f"manifest version {opening.version} is unknown",
                where=str(self.path),
                hint="a newer fovideo wrote it",
            )

    def _line(self, number: int, text: bytes) -> Line:
        if not text.endswith(b"\n"):
            raise self._damaged(number, "cut off")
        try:
            return decode_line(text[:-1])
        except ValueError as error:
            raise self._damaged(number, str(error)) from None

    def _damaged(self, number: int, what: str) -> ManifestDamaged:
        return ManifestDamaged(what, where=f"{self.path}: line {number}")


class _Grammar:
    """header (stretch gop*)* end, with totals that are those of the parts."""

    def __init__(self) -> None:
        self._header = False
        self._stretch: StretchEntry | None = None
        self._offset = 0
        self._spans: list[tuple[int, int]] = []
        self._part = [0, 0, 0]
        self._total = [0, 0, 0, 0]

    def take(self, entry: Entry) -> None:
        """Raises ValueError for an entry that cannot follow."""
        if isinstance(entry, Header) == self._header:
            raise ValueError("a header belongs into the first line, and nowhere else")
        if isinstance(entry, Header):
            self._header = True
            if format_ns(parse_ns(entry.created)) != entry.created:
                raise ValueError("not a time in UTC")
            if entry.key and _KEY_ID.fullmatch(entry.key) is None:
                raise ValueError("not the id of a key")
        elif isinstance(entry, GopEntry):
            self._take_gop(entry)
        else:
            self._close()
            if isinstance(entry, StretchEntry):
                self._open(entry)
            elif self._total != [entry.stretches, entry.gops, entry.frames, entry.bytes]:
                raise ValueError("the totals do not add up")

    def _open(self, entry: StretchEntry) -> None:
        if f"{int(entry.segment, 16):x}" != entry.segment:
            raise ValueError("not the id of a segment")
        digits = CRC_DIGITS * blocks_of(entry.header_bytes)
        if entry.header_bytes < 0 or len(entry.header_crcs) != digits or not is_hex(entry.header_crcs):
            raise ValueError("as many CRCs as blocks are needed")
        if not check_stream_name(entry.stream) or not entry.file.isprintable():
            raise ValueError("not the name of a file")
        self._stretch, self._offset = entry, entry.header_bytes
        self._spans, self._part = [], [0, 0, 0]

    def _take_gop(self, entry: GopEntry) -> None:
        entry.check()
        if self._stretch is None:
            raise ValueError("a GOP that belongs to no stretch")
        if self._offset and entry.offset != self._offset:
            raise ValueError("a GOP that does not follow the one before in the file")
        self._offset = entry.offset + entry.bytes
        self._spans.append(span_of(entry))
        for index, value in enumerate((1, entry.frames, entry.bytes)):
            self._part[index] += value

    def _close(self) -> None:
        """The stretch is over: it has what it said."""
        stretch = self._stretch
        if stretch is None:
            return
        begin, end = (format_ns(edge) for edge in joined(self._spans))
        if [stretch.gops, stretch.frames, stretch.bytes] != self._part or not stretch.gops:
            raise ValueError("the stretch before has not what it says")
        if (stretch.begin, stretch.end) != (begin, end):
            raise ValueError("the stretch before has other times than it says")
        for index, value in enumerate((1, *self._part)):
            self._total[index] += value
        self._stretch = None
