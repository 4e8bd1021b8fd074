"""Insertion of a stretch that another timeline recorded: new segment files, one index transaction."""

from __future__ import annotations

import contextlib
import mmap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from fovideo.errors import PlanStale, SegmentDamaged, StoreError, StoreFull, UsageError
from fovideo.index import Index, Update
from fovideo.media.codec import Codec, Track
from fovideo.media.nal import digest_video, xxh64
from fovideo.segment import Fragment, SegmentHeader, encode_header, relocate, samples, scan
from fovideo.store.apply import apply_changes, name_segment
from fovideo.store.assemble import Assembler, Noted, shift_of
from fovideo.store.commit import Committer
from fovideo.store.writer import disk_error
from fovideo.timeline.endpoint import FileRange, Inserted, Stretch
from fovideo.timeline.values import Gop, check_stream_name


class _Found(NamedTuple):
    """A verified fragment and where its bytes are."""

    part: bytes | FileRange
    fragment: Fragment


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
    found = [each for part in stretch.parts for each in _verified(part, stretch.tracks)]
    if not found:
        raise UsageError("a stretch without fragments", where=stretch.stream)
    made: list[_Made] = []
    naming = False
    try:
        for run in _runs(found, committer.options.segment_bytes):
            made.append(_write(committer, stretch, run))
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


def _verified(part: bytes | FileRange, tracks: tuple[Track, ...]) -> Iterator[_Found]:
    where = part.path if isinstance(part, FileRange) else ""
    with opened(part) as data:
        fragments, end, reason = scan(data, 0)
        if end != len(data) or reason:
            raise SegmentDamaged(reason or "a fragment is cut off", where=where)
        codecs = {track.id: track.codec for track in tracks}
        for fragment in fragments:
            verify_digests(fragment, data, fragment.offset, codecs, where)
            yield _Found(_slice(part, fragment.offset, fragment.size_bytes), fragment)


@contextlib.contextmanager
def opened(part: bytes | FileRange) -> Iterator[memoryview]:
    """The bytes of a part; those of a file are mapped, not read."""
    if isinstance(part, bytes):
        yield memoryview(part)
        return
    with Path(part.path).open("rb") as file:
        start = part.offset // mmap.ALLOCATIONGRANULARITY * mmap.ALLOCATIONGRANULARITY
        skip = part.offset - start
        try:
            data = mmap.mmap(file.fileno(), skip + part.size_bytes, access=mmap.ACCESS_READ, offset=start)
        except ValueError:
            raise SegmentDamaged("the file is shorter than its index says", where=part.path) from None
    view = memoryview(data)[skip:]
    try:
        yield view
    finally:
        view.release()
        with contextlib.suppress(BufferError):  # an error on its way may still refer to a part of it
            data.close()


def _slice(part: bytes | FileRange, offset: int, size_bytes: int) -> bytes | FileRange:
    if isinstance(part, bytes):
        return part if size_bytes == len(part) else part[offset : offset + size_bytes]
    return FileRange(part.path, part.offset + offset, size_bytes)


def verify_digests(
    fragment: Fragment, data: memoryview, offset: int, codecs: dict[int, Codec], where: str
) -> None:
    """Compute the digest of every frame anew. Raises SegmentDamaged where the table says another."""
    payloads = samples(fragment, data, offset)
    for track, digest, payload in zip(
        fragment.frames["track"].tolist(), fragment.frames["digest"].tolist(), payloads, strict=True
    ):
        codec = codecs.get(track)
        if codec is None:
            raise SegmentDamaged(f"a frame of track {track}, which the segment lacks", where=where)
        got = digest_video(payload, codec) if codec.is_video else xxh64(payload)
        if got != digest:
            raise SegmentDamaged(
                f"the digest of a frame differs from its table (fragment at byte {offset})", where=where
            )


def _runs(found: Sequence[_Found], segment_bytes: int) -> Iterator[list[_Found]]:
    """Fragments that go into one file, up to the usual size."""
    run: list[_Found] = []
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


def _write(committer: Committer, stretch: Stretch, run: list[_Found]) -> _Made:
    first = next((each.fragment for each in run if len(each.fragment.frames)), None)
    if first is None:
        raise UsageError("fragments without frames cannot be inserted", where=stretch.stream)
    start_ns = int(first.frames["dts_ns"].min())
    header = SegmentHeader(
        stream=stretch.stream,
        tracks=tuple(sorted(stretch.tracks, key=lambda track: track.id)),
        provenance=stretch.provenance,
        base_ns=start_ns,
        start_ns=start_ns,
        shift_ns=stretch.shift_ns,
        epoch=stretch.epoch,
    )
    number = committer.new_id()
    assembler = Assembler(header, number)
    files = committer.files
    path = committer.folder.incoming_path(number)
    fd = files.create(path)
    try:
        size_bytes = files.write(fd, [encode_header(header)], 0)
        for sequence, each in enumerate(run, 1):
            fragment = each.fragment
            _place(committer, each, header, sequence, fd, size_bytes)
            assembler.add(size_bytes, fragment.size_bytes, stretch.epoch, fragment.frames)
            size_bytes += fragment.size_bytes
        files.sync(fd)
    except BaseException:
        files.close(fd)
        with contextlib.suppress(OSError):
            files.remove(path)
        raise
    files.close(fd)
    assembler.end_row()
    return _Made(number, header, size_bytes, assembler.changes())


def _place(
    committer: Committer, found: _Found, header: SegmentHeader, sequence: int, fd: int, offset: int
) -> None:
    """Write a fragment into another file: a head for that file's clock, the samples as they are."""
    fragment = found.fragment
    with opened(found.part) as data:
        head = relocate(fragment, data, 0, header, sequence, header.epoch)
    committer.files.write(fd, [head], offset)
    rest = _slice(found.part, len(head), fragment.size_bytes - len(head))
    _copy(committer, rest, fd, offset + len(head))


def _copy(committer: Committer, part: bytes | FileRange, fd: int, offset: int) -> int:
    if isinstance(part, bytes):
        return committer.files.write(fd, [part], offset)
    copied = committer.files.copy(Path(part.path), part.offset, fd, offset, part.size_bytes)
    if copied != part.size_bytes:
        raise SegmentDamaged("the file ends before its footage does", where=part.path)
    return copied


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
