"""A store: the timeline that lies in a folder of this machine."""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec
from filelock import FileLock

from fovideo.errors import NotAStore, NothingThere, StoreDamaged, StoreError, UsageError
from fovideo.index import Index, Update
from fovideo.index.env import REPAIR_HINT
from fovideo.media.codec import Track
from fovideo.media.frames import FrameTable
from fovideo.segment import decode_table
from fovideo.store.check import Progress, check
from fovideo.store.commit import Committer
from fovideo.store.expire import Expired, expire
from fovideo.store.files import Files
from fovideo.store.folder import Folder, Marker
from fovideo.store.insert import insert
from fovideo.store.options import StoreOptions
from fovideo.store.recover import recover
from fovideo.store.report import CheckReport, Recovery
from fovideo.store.writer import StreamWriter, disk_error
from fovideo.timeline.endpoint import FileRange, Inserted, Stretch
from fovideo.timeline.order import effective
from fovideo.timeline.values import Gop, GopFlag, Loss, Provenance, StreamInfo, check_stream_name
from fovideo.times import NS_PER_S

log = logging.getLogger(__name__)

LIVE_INTERVALS = 5
_LEAST_LIVE_NS = 5 * NS_PER_S
_WRITER = "writer"


class _Holder(msgspec.Struct):
    """Who writes to the store; left behind by a process that died."""

    pid: int
    since_ns: int


class Store:
    """Implements fovideo.timeline.endpoint.Timeline. Thread-safe; one process writes, any number reads."""

    def __init__(
        self,
        folder: Folder,
        identity: str,
        index: Index,
        lock: FileLock | None,
        options: StoreOptions,
        wall_clock: Callable[[], int],
        files: Files,
    ) -> None:
        """Use Store.open."""
        self._folder, self._identity, self._index, self._lock = folder, identity, index, lock
        self._options, self._wall_clock, self._files = options, wall_clock, files
        self._committer: Committer | None = None
        self._closed = False
        self.recovery = Recovery()

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
        options, files = options or StoreOptions(), files or Files()
        folder = Folder(Path(path))
        try:
            return cls._open(folder, write, create, options, wall_clock, files)
        except StoreError:
            raise
        except OSError as error:
            raise disk_error(error, str(folder.root)) from error

    @classmethod
    def _open(
        cls,
        folder: Folder,
        write: bool,
        create: bool,
        options: StoreOptions,
        wall_clock: Callable[[], int],
        files: Files,
    ) -> Store:
        marker = folder.read_marker()
        if marker is None and not create:
            what = "an empty folder, not a store" if folder.root.exists() else "no such store"
            raise NotAStore(what, where=str(folder.root), hint="check the path")
        with contextlib.ExitStack() as undo:
            lock = None
            if write or marker is None:
                files.make_folder(folder.root.absolute())
                lock = folder.lock()
                if lock is None:
                    raise folder.busy(_holder(folder, options))
                undo.callback(lock.release)
            if marker is None:
                marker = cls._create(folder, options, files)
            if not (folder.index / "data.mdb").exists():
                raise StoreDamaged("the index is missing", where=str(folder.index), hint=REPAIR_HINT)
            index = Index.open(folder.index, map_bytes=options.map_bytes)
            undo.callback(index.close)
            store = cls(folder, marker.id, index, lock if write else None, options, wall_clock, files)
            if write:
                store._begin_writing()
            else:
                store._recover_for_reading(lock)
                if lock is not None:
                    lock.release()
            undo.pop_all()
            return store

    @staticmethod
    def _create(folder: Folder, options: StoreOptions, files: Files) -> Marker:
        files.make_folder(folder.index)
        Index.open(folder.index, create=True, map_bytes=options.map_bytes).close()
        return folder.write_marker(files)

    def _begin_writing(self) -> None:
        self.recovery = recover(self._folder, self._files, self._index)
        holder = msgspec.json.encode(_Holder(os.getpid(), self._wall_clock()))
        self._index.update(lambda update: update.set_meta(_WRITER, holder))
        self._committer = Committer(self._folder, self._files, self._index, self._options, self._wall_clock)

    def _recover_for_reading(self, lock: FileLock | None) -> None:
        with self._index.view() as view:
            unclean = view.meta(_WRITER) is not None
        if not unclean or not self._index.writable:
            return
        held = lock
        try:
            held = lock or self._folder.lock()
            if held is None:
                return
            try:
                self.recovery = recover(self._folder, self._files, self._index)
                self._index.update(lambda update: update.set_meta(_WRITER, None))
            finally:
                if held is not lock:
                    held.release()
        except (StoreError, OSError) as error:
            log.warning("%s is read without recovery: %s", self.location, error)

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Reading

    @property
    def identity(self) -> str:
        return self._identity

    @property
    def location(self) -> str:
        return str(self._folder.root)

    @property
    def options(self) -> StoreOptions:
        return self._options

    def streams(self) -> list[StreamInfo]:
        """All streams, by name."""
        now_ns = self._wall_clock()
        window_ns = max(LIVE_INTERVALS * self._options.durability_ns, _LEAST_LIVE_NS)
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
        return FileRange(str(self._folder.find(row.path, row.id)), gop.offset, gop.size_bytes)

    def losses(self, stream: str, from_ns: int | None = None, to_ns: int | None = None) -> list[Loss]:
        """Losses that meet [from_ns, to_ns), by start."""
        with self._index.view() as view:
            return view.losses(view.stream(stream), from_ns, to_ns)

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
        self._writing()
        return expire(self._folder, self._files, self._index, self._options, now_ns)

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
        try:
            if self._committer is not None:
                self._committer.close()
                self._index.update(lambda update: update.set_meta(_WRITER, None))
        finally:
            self._index.close()
            if self._lock is not None:
                self._lock.release()


def _holder(folder: Folder, options: StoreOptions) -> int:
    """Process id of the writer, 0 if unknown."""
    try:
        index = Index.open(folder.index, map_bytes=options.map_bytes)
    except (StoreError, OSError):
        return 0
    try:
        with index.view() as view:
            note = view.meta(_WRITER)
        return 0 if note is None else msgspec.json.decode(note, type=_Holder).pid
    finally:
        index.close()
