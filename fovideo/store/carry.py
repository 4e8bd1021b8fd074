"""Carrying fragments into a segment file: the kernel copies, compiled code checks, the disk begins at once.

The file is filled piece by piece. While the kernel copies one, the piece before it gets its heads and goes to
the disk, and another thread checks every sample in the source; neither holds the GIL.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from fovideo.errors import SegmentDamaged
from fovideo.media.codec import Track
from fovideo.segment import SegmentHeader, encode_header, relocate
from fovideo.store.assemble import Assembler, Noted
from fovideo.store.files import Files
from fovideo.store.parts import Placed, verify, what_tracks_carry
from fovideo.timeline.values import Gop

PIECE_BYTES = 16 << 20
SMALL_BYTES = 4 << 20
"""Less than this is not worth threads."""

_BLOCK_BYTES = 4096  # what file systems share between files
_AHEAD = 2  # pieces that are copied before the oldest gets its heads


class Made(NamedTuple):
    """A segment file that is not yet in the index."""

    number: int
    header: SegmentHeader
    path: Path
    size_bytes: int
    changes: list[Gop | Noted]


class _Crew:
    """Threads for copying, checking and syncing, one each, so that each goes through the disk in order."""

    def __init__(self, threads: bool) -> None:
        self._threads = threads
        self._pools: dict[str, ThreadPoolExecutor] = {}

    def dismiss(self) -> None:
        """Forget what has not begun, and wait for what has."""
        for pool in self._pools.values():
            pool.shutdown(cancel_futures=True)

    def give(self, job: str, work: Callable[..., Any], *args: Any) -> Future[Any]:
        """Have work(*args) done by the thread of that job, or at once without threads."""
        if self._threads:
            pool = self._pools.get(job)
            if pool is None:
                pool = self._pools[job] = ThreadPoolExecutor(1, thread_name_prefix=f"fovideo-{job}")
            return pool.submit(work, *args)
        done: Future[Any] = Future()
        done.set_result(work(*args))
        return done


class Carrier:
    """Fills segment files; `finish` waits until all of them are checked and durable."""

    def __init__(self, files: Files, tracks: Sequence[Track], *, threads: bool) -> None:
        self._files, self._crew, self._tracks = files, _Crew(threads), tracks
        self._carries = what_tracks_carry(tracks)
        self._waiting: list[Future[Any]] = []
        self._open: list[int] = []

    def __enter__(self) -> Carrier:
        return self

    def __exit__(self, *_: object) -> None:
        """Waits for what is going on, and lets go of what is not finished."""
        self._crew.dismiss()
        for fd in self._open:
            with contextlib.suppress(OSError):
                self._files.close(fd)
        self._open.clear()

    def copy(self, path: Path, number: int, header: SegmentHeader, run: Sequence[Placed]) -> Made:
        """A new file at the path with these fragments: samples copied, heads made for its clock."""
        begin = encode_header(header, block_bytes=_BLOCK_BYTES, phase=run[0].offset % _BLOCK_BYTES)
        fd = self._files.create(path)
        self._open.append(fd)
        self._files.write(fd, [begin], 0)
        made = self._fill(fd, path, number, header, run, len(begin), copies=True)
        self._sync_later(fd)
        return made

    def take_over(self, path: Path, number: int, header: SegmentHeader, run: Sequence[Placed]) -> Made:
        """The file in which the fragments lie becomes the segment file; they are checked where they are.

        REQUIRES that they lie one behind the other. UsageError if there is no room for a header before them.
        """
        begin = encode_header(header, size_bytes=run[0].offset)
        fd = self._files.open(path)
        self._open.append(fd)
        made = self._fill(fd, path, number, header, run, len(begin), copies=False)
        self._files.write(fd, [begin], 0)
        self._sync_later(fd)
        return made

    def finish(self) -> None:
        """Raises SegmentDamaged if any sample is not what it should be, OSError."""
        for each in self._waiting:
            each.result()
        self._waiting.clear()

    def _sync_later(self, fd: int) -> None:
        self._waiting.append(self._crew.give("sync", self._sync, fd))

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
        run: Sequence[Placed],
        start: int,
        *,
        copies: bool,
    ) -> Made:
        assembler = Assembler(header, number)
        going: deque[tuple[Sequence[Placed], int, Future[Any] | None]] = deque()
        at, sequence = start, 0

        def land() -> None:
            nonlocal sequence
            piece, piece_at, copying = going.popleft()
            where, size = piece_at, 0
            heads = []
            for placed in piece:
                fragment = placed.fragment
                sequence += 1
                heads.append(
                    relocate(
                        fragment, placed.data, placed.offset, header, sequence, header.epoch, verify=False
                    )
                )
                assembler.add(where, fragment.size_bytes, header.epoch, fragment.frames)
                where += fragment.size_bytes
                size += fragment.size_bytes
            if copying is not None:
                copying.result()
            where = piece_at
            for placed, head in zip(piece, heads, strict=True):
                self._files.write(fd, [head], where)
                where += placed.fragment.size_bytes
            self._files.start_writing(fd, piece_at, size)

        for piece in _pieces(run):
            size = sum(each.fragment.size_bytes for each in piece)
            copying = self._crew.give("copy", self._copy, piece, fd, at) if copies else None
            self._waiting.append(self._crew.give("check", verify, piece, self._carries, self._tracks))
            going.append((piece, at, copying))
            at += size
            if len(going) > _AHEAD:
                land()
        while going:
            land()
        assembler.end_row()
        return Made(number, header, path, at, assembler.changes())

    def _copy(self, piece: Sequence[Placed], fd: int, at: int) -> None:
        path, data, start, _ = piece[0]
        size = sum(each.fragment.size_bytes for each in piece)
        if not path:
            self._files.write(fd, [data[start : start + size]], at)
        elif self._files.copy(Path(path), start, fd, at, size) != size:
            raise SegmentDamaged("the file ends before its footage does", where=path)


def _pieces(run: Sequence[Placed]) -> Iterator[Sequence[Placed]]:
    """What lies together in one buffer, in pieces of a size that is worth a call."""
    first, size = 0, 0
    for number, placed in enumerate(run):
        before = run[number - 1]
        apart = placed.data is not before.data or before.offset + before.fragment.size_bytes != placed.offset
        if number > first and (apart or size >= PIECE_BYTES):
            yield run[first:number]
            first, size = number, 0
        size += placed.fragment.size_bytes
    if first < len(run):
        yield run[first:]
