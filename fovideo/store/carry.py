"""Carrying fragments into a segment file: each is read once, and checked, given its new head and written
while it is still in the cache.

The disk begins at once with what is written, on the word of another thread, which waits for it in the end,
too. The caller's does all else: handing pieces of a millisecond from thread to thread costs more than it
saves.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from fovideo.media.codec import Track
from fovideo.segment import SegmentHeader, encode_header
from fovideo.store.assemble import Assembler, Noted
from fovideo.store.files import Files
from fovideo.store.moving import Mover, Part, size_of
from fovideo.store.parts import start_of
from fovideo.timeline.values import Gop

PIECE_BYTES = 1 << 20
"""What is read, checked and written at a time, unless one part is larger: it stays in the cache."""

SMALL_BYTES = 4 << 20
"""Less than this is not worth threads."""

_BLOCK_BYTES = 4096  # what file systems share between files
_BEGIN_BYTES = 8 << 20  # written before the disk is told to begin with it


class Made(NamedTuple):
    """A segment file that is not yet in the index."""

    number: int
    header: SegmentHeader
    path: Path
    size_bytes: int
    changes: list[Gop | Noted]


class Carrier:
    """Fills segment files; `finish` waits until all of them are durable.

    header_from: the header of a file whose first frame has this stored decode time. SegmentDamaged for parts
    that are not what they say.
    """

    def __init__(
        self,
        files: Files,
        tracks: Sequence[Track],
        header_from: Callable[[int], SegmentHeader],
        *,
        threads: bool,
    ) -> None:
        self._files, self._tracks = files, tracks
        self._syncer = ThreadPoolExecutor(1, thread_name_prefix="fovideo-sync") if threads else None
        self._header_from = header_from
        self._waiting: list[Future[Any]] = []
        self._open: list[int] = []

    def __enter__(self) -> Carrier:
        return self

    def __exit__(self, *_: object) -> None:
        """Waits for what is going on, and lets go of what is not finished."""
        if self._syncer is not None:
            self._syncer.shutdown(cancel_futures=True)
        for fd in self._open:
            with contextlib.suppress(OSError):
                self._files.close(fd)
        self._open.clear()

    def copy(self, path: Path, number: int, parts: Sequence[Part]) -> Made:
        """A new file at the path with these parts: samples copied, heads made for its clock."""
        start_ns, offset = start_of(parts)
        header = self._header_from(start_ns)
        begin = encode_header(header, block_bytes=_BLOCK_BYTES, phase=offset % _BLOCK_BYTES)
        fd = self._files.create(path)
        self._open.append(fd)
        self._files.write(fd, [begin], 0)
        made = self._fill(fd, path, number, header, parts, len(begin), copies=True)
        self._later(self._sync, fd)
        return made

    def take_over(self, path: Path, number: int, parts: Sequence[Part]) -> Made:
        """The file in which the parts lie becomes the segment file; they are checked where they are.

        REQUIRES that they lie one behind the other. UsageError if there is no room for a header before them.
        """
        start_ns, offset = start_of(parts)
        header = self._header_from(start_ns)
        begin = encode_header(header, size_bytes=offset)
        fd = self._files.open(path)
        self._open.append(fd)
        made = self._fill(fd, path, number, header, parts, len(begin), copies=False)
        self._files.write(fd, [begin], 0)
        self._later(self._sync, fd)
        return made

    def finish(self) -> None:
        """Raises OSError if anything could not be made durable."""
        for each in self._waiting:
            each.result()
        self._waiting.clear()

    def _sync(self, fd: int) -> None:
        self._files.sync(fd)
        self._open.remove(fd)
        self._files.close(fd)

    def _fill(
        self,
        fd: int,
        path: Path,
        number: int,
        header: SegmentHeader,
        parts: Sequence[Part],
        start: int,
        *,
        copies: bool,
    ) -> Made:
        assembler = Assembler(header, number)
        at = begun = start
        with Mover(self._files, fd, header, self._tracks, start, copies=copies) as mover:
            for piece in _pieces(parts):
                for each in mover.take(piece):
                    assembler.add(at, each.size_bytes, header.epoch, each.frames)
                    at += each.size_bytes
                if at - begun >= _BEGIN_BYTES:
                    self._later(self._files.start_writing, fd, begun, at - begun)
                    begun = at
        self._later(self._files.start_writing, fd, begun, at - begun)
        assembler.end_row()
        return Made(number, header, path, at, assembler.changes())

    def _later(self, work: Callable[..., Any], *args: Any) -> None:
        """Done by another thread, in order, or at once for what is not worth one."""
        if self._syncer is None:
            work(*args)
        else:
            self._waiting.append(self._syncer.submit(work, *args))


def _pieces(parts: Sequence[Part]) -> Iterator[Sequence[Part]]:
    first, size = 0, 0
    for number, part in enumerate(parts):
        if number > first and size + size_of(part) > PIECE_BYTES:
            yield parts[first:number]
            first, size = number, 0
        size += size_of(part)
    if first < len(parts):
        yield parts[first:]
