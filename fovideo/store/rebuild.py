"""Rebuilding the index from the segment files alone."""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Sequence
from pathlib import Path

import msgspec

from fovideo.index import SERIALS_PER_SEGMENT, Index, SegmentRow, Update
from fovideo.store.apply import apply_changes, name_segment
from fovideo.store.check import Progress, segment_files
from fovideo.store.files import Files
from fovideo.store.folder import Folder, segment_number
from fovideo.store.report import CheckReport
from fovideo.store.salvage import Rebuilt, read_segment
from fovideo.timeline.values import Gop, GopFlag, Loss

_BATCH = 64


class Kept(msgspec.Struct):
    """What only the old index knew, if it could be read.

    known: rows of each segment in the old index; pending: serials among them that were PENDING.
    reserved: first segment id that no file ever had.
    """

    losses: dict[str, list[Loss]] = {}
    generations: dict[str, int] = {}
    journal: dict[str, bytes] = {}
    known: dict[int, int] = {}
    pending: set[int] = set()
    reserved: int = 0

    def settled(self, serial: int) -> bool:
        """Whether the row was known and not PENDING."""
        number, place = divmod(serial, SERIALS_PER_SEGMENT)
        return place < self.known.get(number, 0) and serial not in self.pending


def keep(index: Index) -> Kept:
    """Save what the segment files do not tell."""
    kept = Kept()
    with index.view() as view:
        kept.journal = view.journals()
        kept.reserved = view.number("segments")
        for stream in view.streams():
            kept.losses[stream.name] = view.losses(stream)
            kept.generations[stream.name] = stream.generation
        kept.known = {row.id: row.rows for row in view.segments()}
        unsettled = [row.id for row in view.segments() if row.pending]
    for number in unsettled:
        with index.view() as view:
            rows = view.segment_gops(number)
        kept.pending.update(gop.serial for gop in rows if gop.flags & GopFlag.PENDING)
    return kept


def rebuild(
    folder: Folder,
    files: Files,
    kept: Kept,
    report: CheckReport,
    *,
    map_bytes: int,
    progress: Progress | None = None,
) -> None:
    """Build a new index beside the old one, then put it in its place.

    REQUIRES the write lock and a closed index.

    Damaged stretches of files are left out: the sound rest goes to a file of the same name, the damaged file
    is kept in the folder "damaged". Counts in the report are made anew; what cannot be mended is added to its
    problems.
    """
    report.segments = report.gops = report.frames = report.size_bytes = 0
    report.sound = True
    new = folder.root / "index.new"
    shutil.rmtree(new, ignore_errors=True)
    files.make_folder(new)
    paths = sorted(segment_files(folder), key=lambda path: (segment_number(path), path.as_posix()))
    total = max(sum(path.stat().st_size for path in paths), 1)
    done = 0
    index = Index.open(new, create=True, map_bytes=map_bytes)
    try:
        previous: dict[tuple[str, str], int] = {}
        seen: set[int] = set()
        for start in range(0, len(paths), _BATCH):
            batch = []
            for path in paths[start : start + _BATCH]:
                done += path.stat().st_size
                rebuilt = read_segment(folder, files, path, report)
                if rebuilt is not None and rebuilt.number in seen:
                    report.add(
                        "double", "another file has the same segment id", rebuilt.name, "remove one of them"
                    )
                elif rebuilt is not None:
                    batch.append(rebuilt)
                    seen.add(rebuilt.number)
                if progress is not None:
                    progress(min(done, total), total)
            index.update(lambda update, batch=batch: _index(update, batch, kept, previous))  # type: ignore[misc]
            for each in batch:
                _count(index, each, report)
        index.update(lambda update: _finish(update, kept, max(seen, default=0)))
    finally:
        index.close()
    _swap(folder, files, new, report)


def _index(
    update: Update, batch: Sequence[Rebuilt], kept: Kept, previous: dict[tuple[str, str], int]
) -> None:
    known = dict(previous)
    for each in batch:
        session = (each.header.stream, each.header.provenance.session + each.header.provenance.inserted_from)
        before = known.get(session, 0) if not each.header.provenance.inserted_from else 0
        row = name_segment(
            update, each.header, each.number, each.name, each.size_bytes, previous=before, sealed=True
        )
        known[session] = each.number
        apply_changes(update, row, each.assembler.changes(), each.assembler.last_epoch)
        stream = update.stream(row.stream)
        for loss in each.losses:
            update.put_loss(stream, loss)
        _settle(update, row, kept)
    previous.update(known)


def _settle(update: Update, row: SegmentRow, kept: Kept) -> None:
    for gop in update.segment_gops(row.id):
        if gop.flags & GopFlag.PENDING and kept.settled(gop.serial):
            update.put_gop(msgspec.structs.replace(gop, flags=gop.flags & ~GopFlag.PENDING))


def _count(index: Index, each: Rebuilt, report: CheckReport) -> None:
    rows = [change for change in each.assembler.changes() if isinstance(change, Gop)]
    report.segments += 1
    report.gops += len(rows)
    report.frames += sum(gop.frames for gop in rows)
    report.size_bytes += each.size_bytes


def _finish(update: Update, kept: Kept, highest: int) -> None:
    update.set_number("segments", max(kept.reserved, highest + 1))
    for name, losses in kept.losses.items():
        stream = update.ensure_stream(name)
        for loss in losses:
            update.put_loss(stream, loss)
    for key, value in kept.journal.items():
        update.set_journal(key, value)
    for known in update.streams():
        update.stream(known.name).generation += kept.generations.get(known.name, 0) + 1


def _swap(folder: Folder, files: Files, new: Path, report: CheckReport) -> None:
    if folder.index.exists():
        stamp = dt.datetime.now(dt.UTC).strftime("%Y%m%dT%H%M%S")
        aside = folder.root / f"index.damaged-{stamp}"
        count = 0
        while aside.exists():
            count += 1
            aside = folder.root / f"index.damaged-{stamp}.{count}"
        files.rename(folder.index, aside)
        report.kept_index = aside.name
    files.rename(new, folder.index)
    files.sync_folder(folder.root)
    report.repaired = True
