"""Attesting: read what a merge inserted back from the target, and say what it is, line by line."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

import msgspec

from fovideo.custody.describe import crcs_of, describe
from fovideo.custody.entries import GopEntry, StretchEntry, joined, span_of
from fovideo.custody.parts import bytes_of, name_in
from fovideo.errors import NoSuchStream, NothingThere, SegmentDamaged, StoreError
from fovideo.platform import read_range
from fovideo.segment import read_header
from fovideo.timeline.endpoint import FileRange, Timeline
from fovideo.timeline.values import Gop, Provenance
from fovideo.times import NS_PER_S, format_ns

Progress: TypeAlias = Callable[[int, int], None]
"""Called with the bytes done and the bytes in total."""

_log = logging.getLogger(__name__)

_REACH_NS = NS_PER_S  # B-frames and rounding may move a row's ends


class Taken(msgspec.Struct, frozen=True):
    """A stretch that was inserted: how the target knows it, and where to look (effective times)."""

    stream: str
    provenance: Provenance
    from_ns: int | None = None
    to_ns: int | None = None


def rows_of(target: Timeline, taken: Iterable[Taken]) -> list[list[Gop]]:
    """The rows of these stretches by segment file, by stream, time and segment."""
    streams: dict[str, list[Taken]] = {}
    for each in taken:
        streams.setdefault(each.stream, []).append(each)
    found: list[list[Gop]] = []
    for stream, wanted in sorted(streams.items()):
        try:
            found += _segments(target, stream, wanted)
        except NoSuchStream:  # it has expired
            continue
    return found


def _segments(target: Timeline, stream: str, wanted: Sequence[Taken]) -> list[list[Gop]]:
    starts = [each.from_ns for each in wanted if each.from_ns is not None]
    ends = [each.to_ns for each in wanted if each.to_ns is not None]
    rows = target.gops(
        stream,
        min(starts) - _REACH_NS if len(starts) == len(wanted) else None,
        max(ends) + _REACH_NS if len(ends) == len(wanted) else None,
    )
    provenances = {each.provenance for each in wanted}
    numbers = {number for number, known in target.provenances(stream).items() if known in provenances}
    segments: dict[int, list[Gop]] = {}
    for row in rows:
        if row.provenance in numbers:
            segments.setdefault(row.segment, []).append(row)
    for each in segments.values():
        each.sort(key=lambda row: row.offset)
    return sorted(segments.values(), key=lambda rows: (rows[0].start_ns, rows[0].segment))


def attest(
    target: Timeline, segments: Sequence[Sequence[Gop]], progress: Progress | None = None
) -> Iterator[StretchEntry | GopEntry]:
    """The entries of these rows, read and hashed now: each stretch, followed by its GOPs.

    A stretch that retention removes meanwhile is left out. Raises SegmentDamaged where the target's bytes are
    not whole, and the errors of the timeline.
    """
    done, total = 0, sum(row.size_bytes for rows in segments for row in rows)

    def read(row: Gop) -> GopEntry:
        nonlocal done
        entry = _described(target, row)
        done += row.size_bytes
        if progress is not None:
            progress(done, total)
        return entry

    for rows in segments:
        try:
            entries = [read(row) for row in rows]
            stretch = _stretch(target, rows, entries)
        except (NothingThere, FileNotFoundError):
            _log.warning(
                "%s: the stretch from %s on has expired already, so no manifest lists it",
                rows[0].stream,
                format_ns(rows[0].start_ns),
            )
            continue
        yield stretch
        yield from entries


def _described(target: Timeline, row: Gop) -> GopEntry:
    part = target.read(row.stream, row)
    where = part.path if isinstance(part, FileRange) else target.location
    try:
        return describe(row, bytes_of(part))
    except SegmentDamaged as error:
        raise SegmentDamaged(error.what, where=where, hint="run fovideo check on the target") from None
    except FileNotFoundError:
        raise
    except OSError as error:
        raise StoreError(f"cannot be read: {error.strerror}", where=where) from error


def _stretch(target: Timeline, rows: Sequence[Gop], entries: Sequence[GopEntry]) -> StretchEntry:
    first = rows[0]
    file, header = "", b""
    part = target.read(first.stream, first)
    if isinstance(part, FileRange):
        path = Path(part.path)
        file = name_in(target.location, path)
        header = _header_of(path, first.offset)
    begin_ns, end_ns = joined(map(span_of, entries))
    return StretchEntry(
        stream=first.stream,
        begin=format_ns(begin_ns),
        end=format_ns(end_ns),
        gops=len(entries),
        frames=sum(entry.frames for entry in entries),
        bytes=sum(entry.bytes for entry in entries),
        segment=f"{first.segment:x}",
        file=file,
        provenance=target.provenances(first.stream)[first.provenance],
        tracks=target.tracks(first.stream, first),
        header_bytes=len(header),
        header_sha256=hashlib.sha256(header).hexdigest() if header else "",
        header_crcs=crcs_of(memoryview(header)),
    )


def _header_of(path: Path, size: int) -> bytes:
    """The bytes of a segment file before its first GOP."""
    data = read_range(path, 0, size)
    if read_header(data)[1] != size:
        raise SegmentDamaged(
            f"the index says that the first GOP begins at byte {size}",
            where=str(path),
            hint="run fovideo check on the target",
        )
    return data
