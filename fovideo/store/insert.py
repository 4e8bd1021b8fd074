"""Insertion of a stretch that another timeline recorded: new segment files, one index transaction."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from fovideo.errors import PlanStale, SegmentDamaged, StoreError, StoreFull, UsageError
from fovideo.index import Index, Update
from fovideo.segment import SegmentHeader, encode_header, relocate
from fovideo.store.apply import apply_changes, name_segment
from fovideo.store.assemble import Assembler, Noted, shift_of
from fovideo.store.commit import Committer
from fovideo.store.parts import Placed, Sources, opened, verify
from fovideo.store.writer import disk_error
from fovideo.timeline.endpoint import Inserted, Stretch
from fovideo.timeline.values import Gop, check_stream_name

__all__ = ["insert", "opened"]


class _Made(NamedTuple):
    """A segment file that is durable but not yet in the index."""

    number: int
    header: SegmentHeader
    size_bytes: int
    changes: list[Gop | Noted]


def insert(committer: Committer, index: Index, stretch: Stretch) -> Inserted:
    """Make the stretch durable and visible, all or nothing. Any thread, beside a recorder.

    Raises PlanStale when the stream is at another generation, SegmentDamaged for parts that are not what they
    say, StoreFull, StoreError.
    """
    check_stream_name(stretch.stream)
    if not stretch.provenance.inserted_from:
        raise UsageError("a stretch to insert must say in its provenance where it was merged from")
    _require_generation(_generation(index, stretch.stream), stretch)
    made: list[_Made] = []
    naming = False
    try:
        with Sources() as sources:
            for run in _runs(sources.placed(stretch.parts), committer.options.segment_bytes):
                made.append(_write(committer, stretch, run))
        if not made:
            raise UsageError("a stretch without fragments", where=stretch.stream)
        committer.files.sync_folder(committer.folder.incoming)
        naming = True
        was, generation = index.update(lambda update: _index(update, committer, stretch, made))
        _require_generation(was, stretch)
    except BaseException as error:
        if not naming or isinstance(error, PlanStale | StoreFull):
            for each in made:
                with contextlib.suppress(OSError):
                    committer.files.remove(committer.folder.incoming_path(each.number))
        # Else the index may name the files after all; recovery removes them if it does not.
        if isinstance(error, OSError) and not isinstance(error, StoreError):
            raise disk_error(error, str(committer.folder.root)) from error
        raise
    for each in made:
        committer.place(each.number, _name(committer, each.header, each.number))
    rows = [change for each in made for change in each.changes if isinstance(change, Gop)]
    return Inserted(sum(row.frames for row in rows), sum(row.size_bytes for row in rows), generation)


def _generation(index: Index, stream: str) -> int:
    with index.view() as view:
        known = view.find_stream(stream)
    return 0 if known is None else known.generation


def _require_generation(generation: int, stretch: Stretch) -> None:
    if stretch.generation not in (-1, generation):
        raise PlanStale(
            f"the stream has changed since the merge was planned (generation {generation}, "
            f"planned against {stretch.generation})",
            where=stretch.stream,
            hint="plan again",
        )


def _runs(found: Iterable[Placed], segment_bytes: int) -> Iterator[list[Placed]]:
    """Fragments that go into one file, up to the usual size."""
    run: list[Placed] = []
    size = 0
    for each in found:
        fragment = each.fragment
        if run and ((size >= segment_bytes and fragment.key_start) or size >= 2 * segment_bytes):
            yield run
            run, size = [], 0
        run.append(each)
        size += fragment.size_bytes
    if run:
        yield run


def _name(committer: Committer, header: SegmentHeader, number: int) -> str:
    start_ns = header.start_ns + shift_of(header, header.start_ns)
    return committer.folder.segment_name(header.stream, start_ns, number)


def _header(stretch: Stretch, run: list[Placed]) -> SegmentHeader:
    first = next((each.fragment for each in run if len(each.fragment.frames)), None)
    if first is None:
        raise UsageError("fragments without frames cannot be inserted", where=stretch.stream)
    start_ns = int(first.frames["dts_ns"].min())
    return SegmentHeader(
        stream=stretch.stream,
        tracks=tuple(sorted(stretch.tracks, key=lambda track: track.id)),
        provenance=stretch.provenance,
        base_ns=start_ns,
        start_ns=start_ns,
        shift_ns=stretch.shift_ns,
        epoch=stretch.epoch,
    )


def _write(committer: Committer, stretch: Stretch, run: list[Placed]) -> _Made:
    """A new file with these fragments: samples copied as they are, heads made for the clock of that file."""
    header = _header(stretch, run)
    number = committer.new_id()
    assembler = Assembler(header, number)
    files, path = committer.files, committer.folder.incoming_path(number)
    begin = encode_header(header)
    fd = files.create(path)
    try:
        files.write(fd, [begin], 0)
        with ThreadPoolExecutor(1, thread_name_prefix="fovideo-copy") as pool:
            # The kernel copies while this thread reads the same pages to verify them.
            copying = pool.submit(_copy, committer, run, fd, len(begin))
            for each in run:
                verify(each, stretch.tracks)
            copying.result()
        at = len(begin)
        for sequence, each in enumerate(run, 1):
            fragment = each.fragment
            files.write(fd, [relocate(fragment, each.data, each.offset, header, sequence, header.epoch)], at)
            assembler.add(at, fragment.size_bytes, stretch.epoch, fragment.frames)
            at += fragment.size_bytes
        files.sync(fd)
    except BaseException:
        files.close(fd)
        with contextlib.suppress(OSError):
            files.remove(path)
        raise
    files.close(fd)
    assembler.end_row()
    return _Made(number, header, at, assembler.changes())


def _copy(committer: Committer, run: list[Placed], fd: int, at: int) -> None:
    """Copy the fragments one behind the other, what lies together in one go."""
    first = 0
    while first < len(run):
        path, data, start, _ = run[first]
        end, last = start, first
        while last < len(run) and (run[last].data is data and run[last].offset == end):
            end += run[last].fragment.size_bytes
            last += 1
        if not path:
            committer.files.write(fd, [data[start:end]], at)
        elif committer.files.copy(Path(path), start, fd, at, end - start) != end - start:
            raise SegmentDamaged("the file ends before its footage does", where=path)
        at += end - start
        first = last


def _index(update: Update, committer: Committer, stretch: Stretch, made: list[_Made]) -> tuple[int, int]:
    """Name the segments, if the generation is the one planned against. Returns it, and that afterwards."""
    known = update.find_stream(stretch.stream)
    was = 0 if known is None else known.generation
    if stretch.generation not in (-1, was):
        return was, was
    stream = update.ensure_stream(stretch.stream)
    interval_ns = stream.interval_ns
    for each in made:
        name = _name(committer, each.header, each.number)
        row = name_segment(update, each.header, each.number, name, each.size_bytes, previous=0, sealed=True)
        apply_changes(update, row, each.changes, each.header.epoch)
    stream.interval_ns = interval_ns or stream.interval_ns
    stream.generation += 1
    return was, stream.generation
