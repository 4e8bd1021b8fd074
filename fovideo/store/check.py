"""Is a store sound? Reads every byte and compares files, frame tables and index."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import numpy as np

from fovideo.errors import SegmentDamaged
from fovideo.index import Index, SegmentRow, SegmentState, View
from fovideo.segment import SegmentHeader, decode_table, read_header
from fovideo.store.assemble import Assembler
from fovideo.store.folder import Folder, segment_number
from fovideo.store.mapped import mapped
from fovideo.store.parts import verify_digests
from fovideo.store.report import CheckReport
from fovideo.store.walk import Damage, walk
from fovideo.timeline.values import Gop, GopFlag

Progress: TypeAlias = Callable[[int, int], None]
"""Called with the bytes done and the bytes in total."""

_REPAIR = "fovideo check --repair mends it"
_ADOPT = "fovideo check --repair takes it into the index"
_REFILL = "merge from a store that has this footage"


def check(folder: Folder, index: Index, progress: Progress | None = None) -> CheckReport:
    """Compare index and files. The store may be written meanwhile; a segment is judged as of one instant."""
    report = CheckReport(location=str(folder.root))
    with index.view() as view:
        begun = view.transaction
        total = max(view.number("bytes"), 1)
        numbers = [row.id for row in view.segments() if row.state is not SegmentState.DOOMED]
    done = 0
    sums: dict[str, list[int]] = {}
    for number in numbers:
        with index.view() as view:
            row = view.segment(number)
            rows = view.segment_gops(number)
        if row is None or row.state is SegmentState.DOOMED:
            continue
        found = CheckReport(location=report.location)
        _check_segment(folder, index, row, rows, found)
        if found.problems and not _still_there(index, number):
            continue  # it expired while it was being read
        report.problems += found.problems
        report.sound = report.sound and found.sound
        report.segments += 1
        report.gops += len(rows)
        report.frames += sum(gop.frames for gop in rows)
        report.size_bytes += row.size_bytes
        tally = sums.setdefault(row.stream, [0, 0])
        tally[0] += sum(gop.frames for gop in rows)
        tally[1] += sum(gop.size_bytes for gop in rows)
        done += row.size_bytes
        if progress is not None:
            progress(min(done, total), total)
    _check_orphans(folder, index, report)
    with index.view() as view:
        if view.transaction == begun:
            _check_counters(view, sums, report)
    return report


def _still_there(index: Index, number: int) -> bool:
    with index.view() as view:
        row = view.segment(number)
    return row is not None and row.state is not SegmentState.DOOMED


def _check_segment(
    folder: Folder, index: Index, row: SegmentRow, rows: list[Gop], report: CheckReport
) -> None:
    path = folder.find(row.path, row.id)
    try:
        with mapped(path) as data:
            if len(data) < row.size_bytes:
                what = f"{len(data)} bytes, where the index says {row.size_bytes}"
                report.add("short", what, row.path, _REFILL)
            elif len(data) > row.size_bytes and row.state is SegmentState.SEALED:
                report.add("long", f"{len(data) - row.size_bytes} bytes more than indexed", row.path, _REPAIR)
            _check_bytes(index, row, rows, data[: row.size_bytes], report)
    except OSError as error:
        report.add("missing", f"the file cannot be read: {error.strerror}", row.path, _REFILL)


def _check_bytes(
    index: Index, row: SegmentRow, rows: list[Gop], data: memoryview, report: CheckReport
) -> None:
    try:
        header, start = read_header(data)
    except SegmentDamaged as error:
        report.add("header", error.what, row.path, _REFILL)
        return
    assembler = Assembler(header, row.id)
    for item in walk(data, start):
        if isinstance(item, Damage):
            report.add(
                "damage", f"{item.end - item.offset} bytes are damaged: {item.reason}", row.path, _REFILL
            )
            assembler.end_row()
            continue
        codecs = {track.id: track.codec for track in header.tracks}
        try:
            verify_digests(item, data, item.offset, codecs, row.path)
        except SegmentDamaged as error:
            report.add("digest", error.what, row.path, _REFILL)
        assembler.add(item.offset, item.size_bytes, item.epoch, item.frames, item.notes)
    expected = [change for change in assembler.changes() if isinstance(change, Gop)]
    _compare(row.path, expected, rows, report)
    _check_reference(index, row, header, report)


def _compare(where: str, expected: list[Gop], rows: list[Gop], report: CheckReport) -> None:
    by_serial = {gop.serial: gop for gop in rows}
    for gop in expected:
        row = by_serial.pop(gop.serial, None)
        if row is None:
            report.add("row", f"a GOP at byte {gop.offset} is not in the index", where, _REPAIR)
        elif not _same(gop, row):
            report.add(
                "row", f"the index says something else of the GOP at byte {gop.offset}", where, _REPAIR
            )
    for row in by_serial.values():
        report.add("row", f"the index names a GOP at byte {row.offset} that is not there", where, _REPAIR)


def _same(gop: Gop, row: Gop) -> bool:
    """Equal but for what later notes and merges change (shift, PENDING) or the instant (COMPLETE) decides.

    GAPS depends on the interval, which recovery knows from fewer frames.
    """
    loose = GopFlag.PENDING | GopFlag.COMPLETE | GopFlag.GAPS
    fixed = (gop.offset, gop.size_bytes, gop.epoch, gop.frames, gop.flags & ~loose)
    if fixed != (row.offset, row.size_bytes, row.epoch, row.frames, row.flags & ~loose):
        return False
    if gop.start_ns - gop.shift_ns != row.start_ns - row.shift_ns:
        return False
    return gop.table == row.table or bool(np.array_equal(decode_table(gop.table), decode_table(row.table)))


def _check_reference(index: Index, row: SegmentRow, header: SegmentHeader, report: CheckReport) -> None:
    with index.view() as view:
        stream = view.find_stream(row.stream)
        if stream is None or row.stream != header.stream:
            report.add("stream", f"recorded for stream {header.stream!r}", row.path, _REPAIR)
            return
        if view.tracks(stream, row.tracks) != header.tracks:
            report.add("tracks", "the index has other tracks", row.path, _REPAIR)
        if view.provenances(stream).get(row.provenance) != header.provenance:
            report.add("provenance", "the index has another provenance", row.path, _REPAIR)


def segment_files(folder: Folder) -> Iterator[Path]:
    """Every file that a store keeps footage in, those in the making included."""
    yield from sorted(folder.incoming.glob("*.mp4"))
    yield from sorted(folder.segments.glob("*/*/*.mp4"))


def _check_orphans(folder: Folder, index: Index, report: CheckReport) -> None:
    for path in segment_files(folder):
        if path.parent == folder.incoming:
            continue  # being written now, or left by a crash and taken at the next opening
        number = segment_number(path)
        with index.view() as view:
            row = view.segment(number) if number >= 0 else None
        name = path.relative_to(folder.root).as_posix()
        if (row is None or row.path != name) and path.exists():
            report.add("orphan", "a segment file that the index does not name", name, _ADOPT)


def _check_counters(view: View, sums: dict[str, list[int]], report: CheckReport) -> None:
    for stream in view.streams():
        frames, size_bytes = sums.get(stream.name, [0, 0])
        if (stream.frames, stream.size_bytes) != (frames, size_bytes):
            what = f"counts {stream.frames} frames in {stream.size_bytes} bytes, has {frames} in {size_bytes}"
            report.add("counter", what, stream.name, _REPAIR)
    if view.count("gops") != report.gops:
        report.add(
            "row", f"{view.count('gops')} rows, of which {report.gops} have a segment", "index", _REPAIR
        )
