"""Recovery: after a crash, bring index and files together. Only segments that were being written are read.

Whole fragments behind what the index knows are added; a torn end is cut off and reported.
"""

from __future__ import annotations

import contextlib
import logging
import mmap
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from fovideo.errors import SegmentDamaged
from fovideo.index import SERIALS_PER_SEGMENT, Index, SegmentRow, SegmentState, Update
from fovideo.media.frames import FrameTable
from fovideo.segment import SegmentHeader, read_header, scan
from fovideo.store.apply import apply_changes, name_segment
from fovideo.store.assemble import Assembler, shift_of
from fovideo.store.files import Files
from fovideo.store.folder import Folder, segment_number
from fovideo.store.report import Cut, Recovery
from fovideo.store.torn import torn_frames
from fovideo.timeline.values import GopFlag, Loss

log = logging.getLogger(__name__)


@contextlib.contextmanager
def mapped(path: Path) -> Iterator[memoryview]:
    """The bytes of a file, mapped; an empty view for an empty file."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if not size:
            yield memoryview(b"")
            return
        data = mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ)
    view = memoryview(data)
    try:
        yield view
    finally:
        view.release()
        with contextlib.suppress(BufferError):  # an error on its way may still refer to a part of it
            data.close()


class Found(msgspec.Struct):
    """A segment file after a look at its end."""

    header: SegmentHeader
    assembler: Assembler
    size_bytes: int
    loss: Loss | None


def recover(folder: Folder, files: Files, index: Index) -> Recovery:
    """Repair what a dead writer left. REQUIRES the write lock. Idempotent: may itself be cut off anywhere."""
    report = Recovery()
    with index.view() as view:
        unsealed = {row.id: row for row in view.unsealed()}
        live = any(stream.live_edge_ns for stream in view.streams())
    incoming = {segment_number(path): path for path in sorted(folder.incoming.glob("*.mp4"))}
    for number in sorted({*unsealed, *incoming}):
        row = unsealed.get(number)
        if row is None:
            with index.view() as view:
                row = view.segment(number)
        path = incoming.get(number)
        if row is None and path is not None:
            _adopt(folder, files, index, number, path, report)
        elif row is not None and row.state is SegmentState.DOOMED:
            files.remove(folder.find(row.path, number))
            index.update(lambda update, number=number: update.drop_segment(number))  # type: ignore[misc]
        elif row is not None:
            if row.state is SegmentState.OPEN:
                _finish(folder, files, index, row, report)
            if path is not None and path.exists():
                _place(folder, files, path, row.path)
    if live:
        index.update(_nobody_is_live)
    if not report.clean:
        log.warning("recovered %s: %s", folder.root, report)
    return report


def _nobody_is_live(update: Update) -> None:
    for known in update.streams():
        if known.live_edge_ns:
            stream = update.stream(known.name)
            stream.live_edge_ns = stream.live_wall_ns = 0


def _place(folder: Folder, files: Files, path: Path, name: str) -> None:
    target = folder.root / name
    files.make_folder(target.parent)
    files.rename(path, target)


def _adopt(folder: Folder, files: Files, index: Index, number: int, path: Path, report: Recovery) -> None:
    """A file that the index does not name: what is whole in it is footage all the same."""
    report.segments += 1
    found = None
    if number > 0:
        with mapped(path) as data, contextlib.suppress(SegmentDamaged):
            header, size_bytes = read_header(data)
            found = Found(header, Assembler(header, number), size_bytes, None)
    if found is not None and found.header.provenance.inserted_from:
        report.dropped_insertions += 1
        files.remove(path)
        return
    if found is None:
        report.cuts.append(Cut(_name(folder, path), "", path.stat().st_size, 0, "the header is cut off"))
        files.remove(path)
        return
    added = _take_tail(found, files, path, _name(folder, path), report)
    if not added:
        files.remove(path)
        return
    header = found.header
    name = folder.segment_name(header.stream, header.start_ns, number)
    files.sync_folder(folder.incoming)
    index.update(lambda update: _index(update, found, number, name))
    _place(folder, files, path, name)


def _name(folder: Folder, path: Path) -> str:
    return path.relative_to(folder.root).as_posix()


def _finish(folder: Folder, files: Files, index: Index, row: SegmentRow, report: Recovery) -> None:
    """A segment that was open: add what the index does not know yet, cut what is torn, seal."""
    report.segments += 1
    path = folder.find(row.path, row.id)
    with index.view() as view:
        rows = view.segment_gops(row.id)
    try:
        with mapped(path) as data:
            header, _ = read_header(data, verify=False)
            length = len(data)
    except (OSError, SegmentDamaged) as error:
        log.error("%s is lost: %s", path, error)
        report.missing.append(row.path)
        index.update(lambda update: _forget(update, row))
        return
    kept = [gop for gop in rows if gop.offset + gop.size_bytes <= length]
    assembler = Assembler(header, row.id, rows=row.rows)
    found = Found(header, assembler, row.size_bytes, None)
    if len(kept) < len(rows):
        # The disk lost what it had called durable: go back to where its file still follows the index.
        first = rows[len(kept)]
        found.size_bytes = first.offset
        assembler.rows = first.serial % SERIALS_PER_SEGMENT
    elif rows and not rows[-1].flags & GopFlag.COMPLETE:
        assembler.resume(rows[-1])
    _take_tail(found, files, path, row.path, report)
    gone = rows[len(kept) :]

    def apply(update: Update) -> None:
        for gop in gone:
            update.drop_gop(gop.serial)
        _index(update, found, row.id, row.path)
        if gone:
            update.stream(row.stream).generation += 1

    index.update(apply)


def _forget(update: Update, row: SegmentRow) -> None:
    stream = update.stream(row.stream)
    for gop in update.segment_gops(row.id):
        update.drop_gop(gop.serial)
        update.put_loss(stream, Loss(gop.start_ns, gop.end_ns, gop.frames, "cut"))
    stream.generation += 1
    update.drop_segment(row.id)


def _take_tail(found: Found, files: Files, path: Path, name: str, report: Recovery) -> int:
    """Add the whole fragments behind found.size_bytes, cut off the rest; returns how many fragments."""
    with mapped(path) as data:
        fragments, end, reason = scan(data, found.size_bytes)
        lost = torn_frames(data, end) if end < len(data) else None
        torn_bytes = len(data) - end
    for fragment in fragments:
        found.assembler.add(
            fragment.offset, fragment.size_bytes, fragment.epoch, fragment.frames, fragment.notes
        )
        mine = fragment.frames["track"] == found.assembler.track.id
        report.recovered_frames += int(mine.sum())
    found.assembler.end_row()
    found.size_bytes = end
    fd = files.open(path)
    try:
        if torn_bytes:
            files.truncate(fd, end)
        files.sync(fd)
    finally:
        files.close(fd)
    if torn_bytes:
        found.loss = _loss_of(found, lost)
        frames = 0 if found.loss is None else found.loss.frames
        report.cuts.append(Cut(name, found.header.stream, torn_bytes, frames, reason))
    return len(fragments)


def _loss_of(found: Found, lost: FrameTable | None) -> Loss | None:
    """The loss that a torn fragment leaves, if its frame table survived to tell."""
    if lost is None:
        return None
    mine = lost[lost["track"] == found.assembler.track.id]
    if not len(mine):
        return None
    header = found.header
    shift_ns = shift_of(header, header.start_ns)
    start, end = int(mine["dts_ns"].min()) + shift_ns, int(mine["dts_ns"].max()) + shift_ns
    return Loss(start, end + max(found.assembler.interval_ns, 1), len(mine), "cut")


def _index(update: Update, found: Found, number: int, name: str) -> None:
    row = name_segment(update, found.header, number, name, found.size_bytes, previous=0, sealed=True)
    apply_changes(update, row, found.assembler.changes(), found.assembler.last_epoch)
    if found.loss is not None:
        update.put_loss(update.stream(row.stream), found.loss)
