"""Rebuilding the index from the segment files alone."""

from __future__ import annotations

import contextlib
import datetime as dt
import shutil
from collections.abc import Sequence
from pathlib import Path

import msgspec

from fovideo.errors import SegmentDamaged
from fovideo.index import SERIALS_PER_SEGMENT, Index, SegmentRow, Update
from fovideo.segment import Fragment, SegmentHeader, encode_header, read_header
from fovideo.store.apply import apply_changes, name_segment
from fovideo.store.assemble import Assembler, shift_of
from fovideo.store.check import Progress, segment_files
from fovideo.store.files import Files
from fovideo.store.folder import Folder, segment_number
from fovideo.store.mapped import mapped
from fovideo.store.report import CheckReport, Problem
from fovideo.store.walk import Damage, walk
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


class _Rebuilt(msgspec.Struct):
    """A segment file as read."""

    number: int
    name: str
    header: SegmentHeader
    assembler: Assembler
    size_bytes: int
    losses: list[Loss]


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
                rebuilt = _read(folder, files, path, report)
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


def _read(folder: Folder, files: Files, path: Path, report: CheckReport) -> _Rebuilt | None:
    number = segment_number(path)
    name = path.relative_to(folder.root).as_posix()
    try:
        with mapped(path) as data:
            header, start = read_header(data, verify=False)
            whole = _is_whole(data)
            items = list(walk(data, start))
    except (SegmentDamaged, OSError) as error:
        what = error.what if isinstance(error, SegmentDamaged) else str(error.strerror)
        aside = _set_aside(folder, files, path)
        report.problems.append(_problem("header", what, name, aside))
        return None
    if number <= 0:
        report.add("name", "a file name without a segment id", name, "move it out of the store")
        return None
    damaged = [item for item in items if isinstance(item, Damage)]
    sound = [item for item in items if isinstance(item, Fragment)]
    if not sound:
        aside = _set_aside(folder, files, path)
        report.problems.append(_problem("empty", "no sound footage", name, aside))
        return None
    if path.parent == folder.incoming:
        start_ns = header.start_ns + shift_of(header, header.start_ns)
        name = folder.segment_name(header.stream, start_ns, number)
    rebuilt = _Rebuilt(number, name, header, Assembler(header, number), 0, _losses(header, items))
    if whole and (not damaged or (len(damaged) == 1 and damaged[0].last)):
        rebuilt.size_bytes = sound[-1].offset + sound[-1].size_bytes
        if damaged:
            _truncate(files, path, rebuilt.size_bytes)
        places = [item.offset for item in sound]
    else:
        places = _salvage(folder, files, path, rebuilt, sound)
        path = folder.incoming_path(number)
    for item, offset in zip(sound, places, strict=True):
        rebuilt.assembler.add(offset, item.size_bytes, item.epoch, item.frames, item.notes)
    rebuilt.assembler.end_row()
    target = folder.root / name
    if path != target:
        files.make_folder(target.parent)
        files.rename(path, target)
    return rebuilt


def _is_whole(data: memoryview) -> bool:
    try:
        read_header(data)
    except SegmentDamaged:
        return False
    return True


def _problem(kind: str, what: str, where: str, aside: str) -> Problem:
    return Problem(kind, what, where, f"kept as {aside}; merge from a store that has this footage")


def _set_aside(folder: Folder, files: Files, path: Path) -> str:
    """Move a damaged file out of the way; returns its new name."""
    aside = folder.root / "damaged"
    files.make_folder(aside)
    target = aside / path.name
    count = 0
    while target.exists():
        count += 1
        target = aside / f"{path.stem}.{count}{path.suffix}"
    files.rename(path, target)
    return target.relative_to(folder.root).as_posix()


def _truncate(files: Files, path: Path, size_bytes: int) -> None:
    fd = files.open(path)
    try:
        files.truncate(fd, size_bytes)
        files.sync(fd)
    finally:
        files.close(fd)


def _salvage(
    folder: Folder, files: Files, path: Path, rebuilt: _Rebuilt, sound: Sequence[Fragment]
) -> list[int]:
    """Copy the sound fragments to a new file and set the damaged one aside; returns their new offsets."""
    source = path
    if path.parent == folder.incoming:
        source = path.with_suffix(".damaged")
        files.rename(path, source)
    target = folder.incoming_path(rebuilt.number)
    fd = files.create(target)
    places = []
    try:
        at = files.write(fd, [encode_header(rebuilt.header)], 0)
        for item in sound:
            places.append(at)
            at += files.copy(source, item.offset, fd, at, item.size_bytes)
        files.sync(fd)
    except BaseException:
        with contextlib.suppress(OSError):
            files.remove(target)
        raise
    finally:
        files.close(fd)
    files.sync_folder(folder.incoming)
    rebuilt.size_bytes = at
    _set_aside(folder, files, source)
    return places


def _losses(header: SegmentHeader, items: Sequence[Fragment | Damage]) -> list[Loss]:
    """What damage between two sound fragments has taken."""
    shift_ns = shift_of(header, header.start_ns)
    found = []
    end_ns: int | None = None
    broken = False
    for item in items:
        if isinstance(item, Damage):
            broken = True
        elif len(item.frames):
            start_ns = int(item.frames["dts_ns"].min())
            if broken and end_ns is not None and start_ns > end_ns:
                found.append(Loss(end_ns + shift_ns, start_ns + shift_ns, 0, "damaged"))
            broken, end_ns = False, int(item.frames["dts_ns"].max())
    return found


def _index(
    update: Update, batch: Sequence[_Rebuilt], kept: Kept, previous: dict[tuple[str, str], int]
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


def _count(index: Index, each: _Rebuilt, report: CheckReport) -> None:
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
