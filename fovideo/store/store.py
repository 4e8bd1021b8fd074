"""A store: the timeline that lies in a folder of this machine."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from fovideo.errors import NothingThere, StoreError, StoreFull, UsageError
from fovideo.index import Update
from fovideo.media.codec import Track
from fovideo.media.frames import FrameTable
from fovideo.segment import decode_table
from fovideo.store.check import Progress, check
from fovideo.store.commit import Committer
from fovideo.store.expire import Expired, expire
from fovideo.store.files import Files
from fovideo.store.insert import insert
from fovideo.store.opening import Opened, open_folder
from fovideo.store.options import StoreOptions
from fovideo.store.report import CheckReport, Recovery
from fovideo.store.writer import StreamWriter, disk_error
from fovideo.timeline.endpoint import FileRange, Inserted, Stretch
from fovideo.timeline.order import effective
from fovideo.timeline.values import Gop, GopFlag, Loss, Provenance, StreamInfo, check_stream_name
from fovideo.times import NS_PER_S

_LIVE_INTERVALS = 5
_LEAST_LIVE_NS = 5 * NS_PER_S


class Store:
    """Implements fovideo.timeline.endpoint.Timeline. Thread-safe; one process writes, any number reads."""

    def __init__(self, opened: Opened, options: StoreOptions, wall_clock: Callable[[], int]) -> None:
        """Use Store.open."""
        self._opened, self._options, self._wall_clock = opened, options, wall_clock
        self._folder, self._index = opened.folder, opened.index
        self._committer: Committer | None = None
        if opened.lock is not None:
            self._committer = Committer(opened.folder, opened.files, opened.index, options, wall_clock)
        self._closed = False

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        *,
        write: bool = False,
        create: bool = False,
        options: StoreOptions | None = None,
        wall_clock: Callable[[], int] = time.time_ns,
        files: Files | None = None,
    ) -> Store:
        """Open the store in a folder.

        write: take the write lock, and recover what a dead writer left. Without it the store is read; if a
        writer died and nobody holds the lock, it is recovered first. create: make a store of a missing or
        empty folder. files: the file layer, for tests.
        Raises NotAStore, StoreBusy (write only), StoreDamaged, StoreFull, StoreError.
        """
        options, files, folder = options or StoreOptions(), files or Files(), Path(path)
        try:
            opened = open_folder(
                folder, write=write, create=create, options=options, files=files, now_ns=wall_clock()
            )
        except StoreError:
            raise
        except OSError as error:
            raise disk_error(error, str(folder)) from error
        return cls(opened, options, wall_clock)

    @property
    def recovery(self) -> Recovery:
        """What had to be mended when the store was opened."""
        return self._opened.recovery

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Reading

    @property
    def identity(self) -> str:
        return self._opened.identity

    @property
    def location(self) -> str:
        return str(self._folder.root)

    @property
    def spool(self) -> Path | None:
        """Folder for files that are to be given away to `insert`; None if this store is only read."""
        return None if self._committer is None else self._folder.incoming

    @property
    def options(self) -> StoreOptions:
        return self._options

    def streams(self) -> list[StreamInfo]:
        """All streams, by name."""
        now_ns = self._wall_clock()
        window_ns = max(_LIVE_INTERVALS * self._options.durability_ns, _LEAST_LIVE_NS)
        with self._index.view() as view:
            found = [(row, view.info(row)) for row in view.streams()]
        return [
            info if now_ns - row.live_wall_ns <= window_ns else msgspec.structs.replace(info, live_edge_ns=0)
            for row, info in found
        ]

    def gops(self, stream: str, from_ns: int | None = None, to_ns: int | None = None) -> list[Gop]:
        """Rows whose [start_ns, end_ns) meets [from_ns, to_ns), by (start_ns, serial). NoSuchStream."""
        with self._index.view() as view:
            return view.gops(view.stream(stream), from_ns, to_ns)

    def gop(self, stream: str, serial: int) -> Gop:
        """The row with this serial as it is now. Raises NothingThere."""
        with self._index.view() as view:
            row = view.gop(serial)
        if row is None or row.stream != stream:
            raise NothingThere(f"no row {serial}", where=stream, hint="it may have expired")
        return row

    def frames(self, stream: str, gop: Gop) -> FrameTable:
        """The row's frame table with effective times, in the order of its samples in the file."""
        return effective(decode_table(gop.table), gop.shift_ns)

    def provenances(self, stream: str) -> dict[int, Provenance]:
        """Provenance of each Gop.provenance number."""
        with self._index.view() as view:
            return view.provenances(view.stream(stream))

    def tracks(self, stream: str, gop: Gop) -> tuple[Track, ...]:
        """Tracks under which a row was recorded."""
        with self._index.view() as view:
            row = view.segment(gop.segment)
            if row is None:
                raise NothingThere("the row has expired", where=stream)
            return view.tracks(view.stream(stream), row.tracks)

    def read(self, stream: str, gop: Gop) -> FileRange:
        """Where the row's fragments lie. The file may be removed by retention afterwards."""
        with self._index.view() as view:
            row = view.segment(gop.segment)
        if row is None or row.stream != stream:
            raise NothingThere("the row has expired", where=stream)
        return FileRange(self._folder.locate(row.path, row.id), gop.offset, gop.size_bytes)

    def losses(self, stream: str, from_ns: int | None = None, to_ns: int | None = None) -> list[Loss]:
        """Losses that meet [from_ns, to_ns), by start."""
        with self._index.view() as view:
            return view.losses(view.stream(stream), from_ns, to_ns)

    def unsettled(self, stream: str | None = None) -> list[Gop]:
        """Rows that are PENDING, of one stream or of all, by (stream, start_ns, serial).

        Looks only at the segments that hold some, however much the store holds beside.
        """
        with self._index.view() as view:
            segments = [*view.oldest(pending=True, limit=sys.maxsize), *view.unsealed()]
            rows = [
                row
                for segment in segments
                if segment.pending and stream in (None, segment.stream)
                for row in view.segment_gops(segment.id)
                if row.flags & GopFlag.PENDING
            ]
        return sorted(rows, key=lambda row: (row.stream, row.start_ns, row.serial))

    def write_latency_ns(self) -> int:
        """How long commits take now: the longest of the last ones, 0 if there was none lately."""
        return 0 if self._committer is None else self._committer.latency_ns()

    # Writing

    def _writing(self) -> Committer:
        if self._committer is None:
            raise UsageError(
                "the store was opened for reading", where=self.location, hint="open it with write=True"
            )
        return self._committer

    def writer(self, stream: str, provenance: Provenance, *, pending: bool = False) -> StreamWriter:
        """Writer for one session of a camera. pending: footage to be merged into another store later."""
        check_stream_name(stream)
        if not provenance.store:
            provenance = msgspec.structs.replace(provenance, store=self.identity)
        return self._writing().writer(stream, provenance, pending=pending)

    def commit(self) -> None:
        """Make all that was appended durable, then visible: every stream in one go.

        Raises StoreFull or StoreError when some of it could not be; that is kept for the next commit.
        """
        self._writing().commit()

    def insert(self, stretch: Stretch) -> Inserted:
        """Add a stretch of another timeline; durable and visible on return, all or nothing."""
        return insert(self._writing(), self._index, stretch)

    def settle(self, stream: str, gops: Iterable[int]) -> None:
        """Clear PENDING of the rows with these serials; serials that are gone are passed over."""
        self._writing()
        serials = list(gops)

        def apply(update: Update) -> None:
            known = update.stream(stream)
            changed = False
            for serial in serials:
                row = update.gop(serial)
                if row is not None and row.stream == stream and row.flags & GopFlag.PENDING:
                    update.put_gop(msgspec.structs.replace(row, flags=row.flags & ~GopFlag.PENDING))
                    changed = True
            known.generation += changed

        self._index.update(apply)

    def expire(self, now_ns: int) -> Expired:
        """Retention by age and quota (see StoreOptions), oldest first, by whole segments."""
        committer = self._writing()
        try:
            freed = expire(self._folder, self._opened.files, self._index, self._options, now_ns)
        except StoreFull:
            with committer.lock:  # appends would take the room that the reserve gives
                if not self._opened.reserve.give_up():
                    raise
                freed = expire(self._folder, self._opened.files, self._index, self._options, now_ns)
        self._opened.reserve.fill()
        return freed

    def check(self, *, progress: Progress | None = None) -> CheckReport:
        """Read every byte of the store and compare it with the index. To repair: store.check_store."""
        return check(self._folder, self._index, progress)

    def journal(self, key: str) -> bytes | None:
        """What was noted under this key (progress of merges)."""
        with self._index.view() as view:
            return view.journal(key)

    def note(self, key: str, value: bytes | None) -> None:
        """Note something durably under a key of at most 500 bytes; None removes it."""
        self._writing()
        self._index.update(lambda update: update.set_journal(key, value))

    def close(self) -> None:
        """Commit, close, give the lock back. May be called twice."""
        if self._closed:
            return
        self._closed = True
        clean = False
        try:
            if self._committer is not None:
                self._committer.close()
            clean = True
        finally:
            self._opened.close(clean=clean)
