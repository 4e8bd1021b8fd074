"""Recovery: after a crash, bring index and files together. Only segments that were being written are read.

Whole fragments behind what the index knows are added; a torn end is cut off and reported.
"""

from __future__ import annotations

import logging
from pathlib import Path

import msgspec

from fovideo.errors import SegmentDamaged
from fovideo.index import Index, SegmentRow, SegmentState, Update
from fovideo.store.apply import apply_changes, name_segment
from fovideo.store.files import Files
from fovideo.store.folder import Folder, segment_number
from fovideo.store.report import Cut, Recovery
from fovideo.store.tail import FileTail, look
from fovideo.timeline.values import Loss

log = logging.getLogger(__name__)


class _Job(msgspec.Struct):
    """A segment to bring in order. path: where its file is; name: where it belongs; tail None: it is gone."""

    number: int
    path: Path
    name: str
    row: SegmentRow | None
    tail: FileTail | None


def recover(folder: Folder, files: Files, index: Index) -> Recovery:
    """Repair what a dead writer left. REQUIRES the write lock. Idempotent: may itself be cut off anywhere.

    Files are made durable first, then one transaction takes what they hold, then torn ends are cut and files
    moved to their places, then another transaction seals the segments.
    """
    report = Recovery()
    with index.view() as view:
        unsealed = {row.id: row for row in view.unsealed()}
        live = any(stream.live_edge_ns for stream in view.streams())
    incoming = {segment_number(path): path for path in sorted(folder.incoming.glob("*.mp4"))}
    jobs: list[_Job] = []
    doomed = [row for row in unsealed.values() if row.state is SegmentState.DOOMED]
    for number in sorted({*unsealed, *incoming}):
        with index.view() as view:
            row = unsealed.get(number) or view.segment(number)
        path = incoming.get(number)
        if row is None and path is not None:
            _adopt(folder, files, number, path, jobs, report)
        elif row is not None and row.state is SegmentState.OPEN:
            _finish(folder, index, row, jobs, report)
        elif row is not None and row.state is SegmentState.SEALED and path is not None:
            _place(folder, files, path, row.path)
    _make_durable(folder, files, jobs)
    if jobs:
        index.update(lambda update: _take(update, jobs))
    for job in jobs:
        _tidy(folder, files, job)
    for row in doomed:
        files.remove(folder.find(row.path, row.id))
    if jobs or doomed or live:
        index.update(lambda update: _seal(update, jobs, doomed))
    if not report.clean:
        log.warning("%s: its writer had died: %s", folder.root, report)
    return report


def _adopt(folder: Folder, files: Files, number: int, path: Path, jobs: list[_Job], report: Recovery) -> None:
    """A file that the index does not name: what is whole in it is footage all the same."""
    report.segments += 1
    name = path.relative_to(folder.root).as_posix()
    tail = None
    try:
        tail = look(path, number) if number > 0 else None
    except SegmentDamaged as error:
        report.cuts.append(Cut(name, "", path.stat().st_size, 0, error.what))
    if tail is not None and tail.header.provenance.inserted_from:
        report.dropped_insertions += 1
        tail = None
    if tail is not None:
        _report(tail, name, report)
    if tail is None or not tail.added:
        files.remove(path)
        return
    header = tail.header
    name = folder.segment_name(header.stream, header.start_ns, number)
    jobs.append(_Job(number, path, name, None, tail))


def _finish(folder: Folder, index: Index, row: SegmentRow, jobs: list[_Job], report: Recovery) -> None:
    """A segment that was open: what the index does not know yet, and what is torn."""
    report.segments += 1
    path = folder.find(row.path, row.id)
    with index.view() as view:
        rows = view.segment_gops(row.id)
    try:
        tail = look(path, row.id, indexed_bytes=row.size_bytes, rows=rows, made=row.rows)
    except (OSError, SegmentDamaged) as error:
        log.error("%s is lost: %s", path, error)
        report.missing.append(row.path)
        jobs.append(_Job(row.id, path, row.path, row, None))
        return
    _report(tail, row.path, report)
    jobs.append(_Job(row.id, path, row.path, row, tail))


def _report(tail: FileTail, name: str, report: Recovery) -> None:
    report.recovered_frames += tail.added_frames
    if tail.torn_bytes:
        frames = 0 if tail.loss is None else tail.loss.frames
        report.cuts.append(Cut(name, tail.header.stream, tail.torn_bytes, frames, tail.reason))


def _make_durable(folder: Folder, files: Files, jobs: list[_Job]) -> None:
    for job in jobs:
        if job.tail is not None:
            fd = files.open(job.path)
            try:
                files.sync(fd)
            finally:
                files.close(fd)
    if any(job.row is None for job in jobs):
        files.sync_folder(folder.incoming)


def _take(update: Update, jobs: list[_Job]) -> None:
    for job in jobs:
        tail = job.tail
        if tail is None:
            if job.row is not None:
                _forget(update, job.row)
            continue
        for gop in tail.gone:
            update.drop_gop(gop.serial)
        row = name_segment(
            update, tail.header, job.number, job.name, tail.size_bytes, previous=0, sealed=False
        )
        apply_changes(update, row, tail.assembler.changes(), tail.assembler.last_epoch)
        stream = update.stream(row.stream)
        stream.generation += bool(tail.gone)
        if tail.loss is not None:
            update.put_loss(stream, tail.loss)


def _forget(update: Update, row: SegmentRow) -> None:
    """Its file is gone or unreadable."""
    stream = update.stream(row.stream)
    for gop in update.segment_gops(row.id):
        update.drop_gop(gop.serial)
        update.put_loss(stream, Loss(gop.start_ns, gop.end_ns, gop.frames, "cut"))
    stream.generation += 1
    update.drop_segment(row.id)


def _tidy(folder: Folder, files: Files, job: _Job) -> None:
    if job.tail is None:
        return
    if job.tail.torn_bytes:
        fd = files.open(job.path)
        try:
            files.truncate(fd, job.tail.size_bytes)
            files.sync(fd)
        finally:
            files.close(fd)
    if job.path != folder.root / job.name:
        _place(folder, files, job.path, job.name)


def _place(folder: Folder, files: Files, path: Path, name: str) -> None:
    target = folder.root / name
    files.make_folder(target.parent)
    files.rename(path, target)


def _seal(update: Update, jobs: list[_Job], doomed: list[SegmentRow]) -> None:
    for job in jobs:
        row = update.segment(job.number)
        if row is not None:
            row.state = SegmentState.SEALED
    for gone in doomed:
        update.drop_segment(gone.id)
    for known in update.streams():
        if known.live_edge_ns:
            stream = update.stream(known.name)
            stream.live_edge_ns = stream.live_wall_ns = 0
