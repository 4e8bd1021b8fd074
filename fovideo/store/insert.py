"""Insertion of a stretch that another timeline recorded: new segment files, one index transaction."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from fovideo.errors import PlanStale, StoreError, StoreFull, UsageError
from fovideo.index import Index, Update
from fovideo.segment import SegmentHeader
from fovideo.store.apply import apply_changes, name_segment
from fovideo.store.assemble import shift_of
from fovideo.store.carry import SMALL_BYTES, Carrier, Made
from fovideo.store.commit import Committer
from fovideo.store.moving import Part, size_of
from fovideo.store.parts import opened, starts_with_key
from fovideo.store.writer import disk_error
from fovideo.timeline.endpoint import SPOOL_ROOM_BYTES, FileRange, Inserted, Stretch
from fovideo.timeline.values import Gop, check_stream_name

__all__ = ["insert", "opened"]


def insert(committer: Committer, index: Index, stretch: Stretch) -> Inserted:
    """Make the stretch durable and visible, all or nothing. Any thread, beside a recorder.

    Raises PlanStale when the stream is at another generation, SegmentDamaged for parts that are not what they
    say, StoreFull, StoreError.
    """
    check_stream_name(stretch.stream)
    if not stretch.provenance.inserted_from:
        raise UsageError("a stretch to insert must say in its provenance where it was merged from")
    _require_generation(_generation(index, stretch.stream), stretch)
    made: list[Made] = []
    paths: list[Path] = []
    naming = False
    try:
        with _carrier(committer, stretch) as carrier:
            runs = list(_runs(stretch.parts, committer.options.segment_bytes))
            for run in runs:
                made.append(_write(committer, carrier, stretch, run, paths, alone=len(runs) == 1))
            carrier.finish()
        if not made:
            raise UsageError("a stretch without fragments", where=stretch.stream)
        for each in made:
            incoming = committer.folder.incoming_path(each.number)
            if each.path != incoming:
                paths.append(incoming)
                committer.files.rename(each.path, incoming)
        committer.files.sync_folder(committer.folder.incoming)
        naming = True
        was, generation = index.update(lambda update: _index(update, committer, stretch, made))
        _require_generation(was, stretch)
    except BaseException as error:
        if not naming or isinstance(error, PlanStale | StoreFull):
            for path in paths:
                with contextlib.suppress(OSError):
                    committer.files.remove(path)
        # Else the index may name the files after all; recovery removes them if it does not.
        if isinstance(error, OSError) and not isinstance(error, StoreError):
            raise disk_error(error, str(committer.folder.root)) from error
        raise
    for each in made:
        committer.place(each.number, _name(committer, each.header, each.number))
    rows = [change for each in made for change in each.changes if isinstance(change, Gop)]
    return Inserted(sum(row.frames for row in rows), sum(row.size_bytes for row in rows), generation)


def _carrier(committer: Committer, stretch: Stretch) -> Carrier:
    threads = sum(map(size_of, stretch.parts)) >= SMALL_BYTES
    return Carrier(committer.files, stretch.tracks, partial(_header, stretch), threads=threads)


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


def _runs(parts: Sequence[Part], segment_bytes: int) -> Iterator[list[Part]]:
    """Parts that go into one file, up to the usual size."""
    run: list[Part] = []
    size = 0
    for part in parts:
        if run and size >= segment_bytes and (size >= 2 * segment_bytes or starts_with_key(part)):
            yield run
            run, size = [], 0
        run.append(part)
        size += size_of(part)
    if run:
        yield run


def _name(committer: Committer, header: SegmentHeader, number: int) -> str:
    start_ns = header.start_ns + shift_of(header, header.start_ns)
    return committer.folder.segment_name(header.stream, start_ns, number)


def _header(stretch: Stretch, start_ns: int) -> SegmentHeader:
    return SegmentHeader(
        stream=stretch.stream,
        tracks=tuple(sorted(stretch.tracks, key=lambda track: track.id)),
        provenance=stretch.provenance,
        base_ns=start_ns,
        start_ns=start_ns,
        shift_ns=stretch.shift_ns,
        epoch=stretch.epoch,
    )


def _write(
    committer: Committer,
    carrier: Carrier,
    stretch: Stretch,
    run: Sequence[Part],
    paths: list[Path],
    *,
    alone: bool,
) -> Made:
    """A segment file with these parts. paths: takes the names of files that are made for it."""
    number, first = committer.new_id(), run[0]
    if alone and isinstance(first, FileRange) and _is_given(committer, stretch):
        try:
            return carrier.take_over(Path(first.path), number, run)
        except UsageError:
            pass  # no room for the header
    path = committer.folder.incoming_path(number)
    paths.append(path)
    return carrier.copy(path, number, run)


def _is_given(committer: Committer, stretch: Stretch) -> bool:
    """Whether the parts lie in one file that may become a segment file of this store."""
    at, path = SPOOL_ROOM_BYTES, ""
    for part in stretch.parts:
        if not isinstance(part, FileRange) or not part.given or part.offset != at:
            return False
        if path and part.path != path:
            return False
        at, path = at + part.size_bytes, part.path
    folder = committer.folder.incoming
    return bool(path) and Path(path).parent.stat().st_dev == folder.stat().st_dev


def _index(update: Update, committer: Committer, stretch: Stretch, made: list[Made]) -> tuple[int, int]:
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
