"""Opening the folder of a store: marker, lock, index, recovery."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec
from filelock import FileLock

from fovideo.decoding import from_json
from fovideo.errors import NotAStore, StoreDamaged, StoreError, StoreFull
from fovideo.index import Index
from fovideo.index.env import REPAIR_HINT
from fovideo.store.files import Files
from fovideo.store.folder import Folder, Marker
from fovideo.store.options import StoreOptions
from fovideo.store.recover import recover
from fovideo.store.report import Recovery
from fovideo.store.reserve import Reserve
from fovideo.timeline.endpoint import SPOOL_PREFIX

log = logging.getLogger(__name__)

T = TypeVar("T")

_WRITER = "writer"


class _Holder(msgspec.Struct):
    """Who writes to the store; left behind by a process that died."""

    pid: int
    since_ns: int


class Opened:
    """An open store without what reads and writes it. lock: held if and only if the store may be written."""

    def __init__(
        self, folder: Folder, identity: str, index: Index, lock: FileLock | None, files: Files
    ) -> None:
        self.folder, self.identity, self.index, self.lock, self.files = folder, identity, index, lock, files
        self.reserve = Reserve(folder.root / "reserve")
        self.recovery = Recovery()

    def begin_writing(self, now_ns: int) -> None:
        """Recover, and say who writes. On a full disk the reserve gives the room for it."""
        holder = msgspec.json.encode(_Holder(os.getpid(), now_ns))
        for path in self.folder.incoming.glob(f"{SPOOL_PREFIX}*"):
            with contextlib.suppress(OSError):
                path.unlink()  # what came over the network for an insertion that never was

        def begin() -> Recovery:
            recovery = recover(self.folder, self.files, self.index)
            self.index.update(lambda update: update.set_meta(_WRITER, holder))
            return recovery

        self.recovery = self.relieved(begin)
        self.reserve.fill()

    def relieved(self, attempt: Callable[[], T]) -> T:
        """Run something that may find the disk full; then once more with the room of the reserve."""
        try:
            return attempt()
        except StoreFull:
            if not self.reserve.give_up():
                raise
            return attempt()

    def recover_for_reading(self, held: FileLock | None) -> None:
        """Recover if the last writer died and nobody holds the lock (or `held` does); else read as it is."""
        with self.index.view() as view:
            unclean = view.meta(_WRITER) is not None
        if not unclean or not self.index.writable:
            return
        try:
            lock = held or self.folder.lock()
            if lock is None:
                return
            try:
                self.recovery = recover(self.folder, self.files, self.index)
                self.index.update(lambda update: update.set_meta(_WRITER, None))
            finally:
                if held is None:
                    lock.release()
        except (StoreError, OSError) as error:
            log.warning("%s is read without recovery: %s", self.folder.root, error)

    def close(self, *, clean: bool) -> None:
        """Let go of index and lock. clean: everything has been committed."""
        try:
            if self.lock is not None and clean:
                self.relieved(lambda: self.index.update(lambda update: update.set_meta(_WRITER, None)))
        finally:
            self.index.close()
            if self.lock is not None:
                self.lock.release()


def open_folder(
    path: Path, *, write: bool, create: bool, options: StoreOptions, files: Files, now_ns: int
) -> Opened:
    """Raises NotAStore, StoreBusy (write only), StoreDamaged, StoreFull, StoreError, OSError."""
    folder = Folder(path)
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
            marker = _create(folder, options, files)
        if not (folder.index / "data.mdb").exists():
            raise StoreDamaged("the index is missing", where=str(folder.index), hint=REPAIR_HINT)
        index = Index.open(folder.index, map_bytes=options.map_bytes)
        undo.callback(index.close)
        opened = Opened(folder, marker.id, index, lock if write else None, files)
        if write:
            opened.begin_writing(now_ns)
        else:
            opened.recover_for_reading(lock)
            if lock is not None:
                lock.release()
        undo.pop_all()
        return opened


def _create(folder: Folder, options: StoreOptions, files: Files) -> Marker:
    files.make_folder(folder.index)
    Index.open(folder.index, create=True, map_bytes=options.map_bytes).close()
    return folder.write_marker(files)


def _holder(folder: Folder, options: StoreOptions) -> int:
    """Process id of the writer, 0 if unknown."""
    try:
        index = Index.open(folder.index, map_bytes=options.map_bytes)
    except (StoreError, OSError):
        return 0
    try:
        with index.view() as view:
            note = view.meta(_WRITER)
        return 0 if note is None else from_json(note, _Holder).pid
    finally:
        index.close()
