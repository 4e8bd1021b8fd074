"""Reading a segment file for a rebuild: what is sound is kept, what is damaged is set aside."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

import msgspec

from fovideo.errors import SegmentDamaged
from fovideo.segment import Fragment, SegmentHeader, encode_header, read_header
from fovideo.store.assemble import Assembler, shift_of
from fovideo.store.files import Files
from fovideo.store.folder import Folder, segment_number
from fovideo.store.mapped import mapped
from fovideo.store.report import CheckReport, Problem
from fovideo.store.walk import Damage, walk
from fovideo.timeline.values import Loss


class Rebuilt(msgspec.Struct):
    """A segment file as read: its rows are in the assembler. losses: what damage has taken."""

    number: int
    name: str
    header: SegmentHeader
    assembler: Assembler
    size_bytes: int
    losses: list[Loss]


def read_segment(folder: Folder, files: Files, path: Path, report: CheckReport) -> Rebuilt | None:
    """Read a segment file and put it in its place; None when nothing of it can be used.

    A torn end is cut off. A file that is damaged elsewhere is copied without the damage and set aside itself.
    What is set aside is added to the report.
    """
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
    rebuilt = Rebuilt(number, name, header, Assembler(header, number), 0, _losses(header, items))
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
    folder: Folder, files: Files, path: Path, rebuilt: Rebuilt, sound: Sequence[Fragment]
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
