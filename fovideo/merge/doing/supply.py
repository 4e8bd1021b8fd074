"""Supply: the bytes of planned stretches, batch by batch; those of a remote source are fetched ahead.

While one batch is inserted, the next comes over the network into a file beside the target's segments, which
the target takes over instead of copying it. What lies in local files stays there, for the kernel to copy.
"""

from __future__ import annotations

import contextlib
import itertools
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, Protocol, runtime_checkable

from fovideo.media.codec import VIDEO_TRACK, Track
from fovideo.merge.doing.cutting import piece_bytes
from fovideo.merge.values import Piece, PlannedStretch
from fovideo.timeline.endpoint import SPOOL_PREFIX, FileRange, Stretch, Timeline
from fovideo.timeline.values import Gop

CARRIED_BYTES = 64 << 20
"""What a batch holds in memory, or fetches, at most (but for one row)."""

_FETCHED_BYTES = 1 << 20  # less is read row by row
_FETCHED_ROWS = 4000


@runtime_checkable
class Fetching(Protocol):
    """A timeline from which many rows can be had at once."""

    def fetch(self, stream: str, rows: Sequence[Gop], path: Path) -> tuple[FileRange, ...]: ...


@runtime_checkable
class Spooling(Protocol):
    """A timeline that takes files over which lie in its folder."""

    @property
    def spool(self) -> Path | None: ...


class Batch(NamedTuple):
    """What one insertion brings of a planned stretch. last: the stretch is whole with it."""

    planned: PlannedStretch
    tracks: tuple[Track, ...]
    parts: tuple[bytes | FileRange, ...]
    last: bool

    def stretch(self, stream: str, generation: int) -> Stretch:
        """What to insert, planned against this generation."""
        return Stretch(
            stream=stream,
            tracks=self.tracks,
            provenance=self.planned.provenance,
            generation=generation,
            shift_ns=self.planned.shift_ns,
            epoch=self.planned.epoch,
            parts=self.parts,
        )


class _Job(NamedTuple):
    planned: PlannedStretch
    pieces: Sequence[Piece]
    last: bool


class Supply:
    """Of one stream. rows: the source's, by serial. Leaving the context removes what was fetched in vain."""

    def __init__(self, source: Timeline, target: Timeline, stream: str, rows: Mapping[int, Gop]) -> None:
        self._source, self._target, self._stream, self._rows = source, target, stream, rows
        self._fetching = source if isinstance(source, Fetching) else None
        self._spool = target.spool if isinstance(target, Spooling) else None
        self._pool: ThreadPoolExecutor | None = None
        self._paths: list[Path] = []

    def __enter__(self) -> Supply:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
        self._clean()

    def batches(self, stretches: Iterable[PlannedStretch]) -> Iterator[Batch]:
        """The stretches in order, each in as many batches as keep memory bounded."""
        jobs = itertools.chain.from_iterable(map(self._jobs, stretches))
        if self._fetching is None:
            yield from map(self._batch, jobs)
            return
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="fovideo-fetch")
        going: Future[Batch] | None = None
        for job in jobs:
            following = self._pool.submit(self._batch, job)
            if going is not None:
                yield going.result()
                # It has been inserted: what it brought was taken over, or is needed no more.
                self._clean(keep=1)
            going = following
        if going is not None:
            yield going.result()

    def _jobs(self, planned: PlannedStretch) -> Iterator[_Job]:
        batch: list[Piece] = []
        carried = 0
        for number, piece in enumerate(planned.pieces, 1):
            batch.append(piece)
            local = self._fetching is None and not piece.rows
            carried += 0 if local else self._rows[piece.serial].size_bytes
            last = number == len(planned.pieces)
            if last or carried >= CARRIED_BYTES or (not local and len(batch) >= _FETCHED_ROWS):
                yield _Job(planned, batch, last)
                batch, carried = [], 0

    def _batch(self, job: _Job) -> Batch:
        planned = job.planned
        tracks = self._with_leading(self._source.tracks(self._stream, self._rows[planned.pieces[0].serial]))
        rows = [self._rows[piece.serial] for piece in job.pieces]
        whole = not any(piece.rows for piece in job.pieces)
        size_bytes = sum(row.size_bytes for row in rows)
        if self._fetching is not None and self._spool is not None and whole and size_bytes >= _FETCHED_BYTES:
            path = self._spool / f"{SPOOL_PREFIX}{uuid.uuid4().hex}"
            self._paths.append(path)
            return Batch(planned, tracks, self._fetching.fetch(self._stream, rows, path), job.last)
        parts: list[bytes | FileRange] = []
        for number, (row, piece) in enumerate(zip(rows, job.pieces, strict=True)):
            known = _behind(parts[-1], rows[number - 1], row) if parts and not piece.rows else None
            parts.append(known or piece_bytes(self._source, row, piece, tracks, planned.provenance))
        return Batch(planned, tracks, tuple(parts), job.last)

    def _with_leading(self, tracks: tuple[Track, ...]) -> tuple[Track, ...]:
        """With the video of the target's where there is none: what comes beside that is not counted as it."""
        if any(track.id == VIDEO_TRACK for track in tracks):
            return tracks
        infos = (info for info in self._target.streams() if info.name == self._stream)
        theirs = next((info.tracks for info in infos), ())
        least = min(track.id for track in tracks)
        leading = min(theirs, key=lambda track: track.id, default=None)
        return tracks if leading is None or leading.id >= least else (leading, *tracks)

    def _clean(self, keep: int = 0) -> None:
        """Remove fetched files but for the latest."""
        while len(self._paths) > keep:
            with contextlib.suppress(OSError):
                self._paths.pop(0).unlink()


def _behind(part: bytes | FileRange, before: Gop, row: Gop) -> FileRange | None:
    """Where a row lies that follows another in its file, if that one lies where the index says."""
    if not isinstance(part, FileRange) or (part.offset, part.size_bytes) != (
        before.offset,
        before.size_bytes,
    ):
        return None
    if row.segment != before.segment or row.offset != part.offset + part.size_bytes:
        return None
    return FileRange(part.path, row.offset, row.size_bytes)
