"""One LMDB environment per folder and process: opening, sharing, growing, and errors in fovideo's terms."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar, Final, TypeVar

import lmdb

from fovideo.errors import StoreDamaged, StoreError, StoreFull
from fovideo.index.gate import Gate

T = TypeVar("T")

TABLES: Final = (
    "streams",  # name → StreamRow
    "tracks",  # stream id, number → tuple of Track
    "provenances",  # stream id, number → ProvenanceRow
    "segments",  # segment id → SegmentRow
    "unsealed",  # ids of segments that are not SEALED → nothing
    "ages",  # PENDING or not, end_ns, segment id → nothing: sealed segments, oldest first
    "gops",  # stream id, start_ns, serial → Gop
    "serials",  # serial → key in gops
    "losses",  # stream id, start_ns, end_ns, reason → Loss
    "journal",  # text → bytes: progress of merges
    "meta",  # text → bytes
)

DEFAULT_MAP_BYTES: Final = 1 << 30 if sys.platform == "win32" else 1 << 38
"""Largest size of an index before it is mapped anew. Only reserved; on Windows the file takes it."""

_READERS = 1022
_SLACK_PAGES = 16  # pages that were taken and given back at the end of the file need never have been written
_DAMAGED = (
    lmdb.CorruptedError,
    lmdb.PageNotFoundError,
    lmdb.InvalidError,
    lmdb.PanicError,
    lmdb.VersionMismatchError,
)
REPAIR_HINT: Final = "rebuild it from the segment files: fovideo check --repair"


class Environment:
    """An open LMDB environment. LMDB allows one per folder in a process, so users share it and are counted.

    Thread-safe. A thread REQUIRES to hold no read transaction when it begins another transaction.
    """

    _shared: ClassVar[dict[str, Environment]] = {}
    _sharing: ClassVar[threading.Lock] = threading.Lock()

    def __init__(self, folder: Path, map_bytes: int, *, create: bool) -> None:
        self.folder = folder
        self._users = 0
        self._pid = os.getpid()
        self._writing = threading.RLock()
        self._gate = Gate()
        self._lmdb = self._open(map_bytes, create)
        try:
            self._verify_length()
            self.tables: dict[str, Any] = self._open_tables(create)
        except BaseException:
            self._lmdb.close()
            raise

    @classmethod
    def acquire(cls, folder: Path, *, create: bool, map_bytes: int = DEFAULT_MAP_BYTES) -> Environment:
        """The environment of this folder, opened if it is not. Every acquire needs a release.

        Raises StoreDamaged for an index that cannot be read, StoreFull, StoreError.
        """
        name = str(folder.resolve())
        with cls._sharing:
            known = cls._shared.get(name)
            if known is not None and known._pid != os.getpid():
                known = None  # inherited through fork: unusable here, and closing it would hurt the parent
            if known is None:
                with translated(folder):
                    known = cls._shared[name] = cls(folder, map_bytes, create=create)
            known._users += 1
            return known

    def release(self) -> None:
        with self._sharing:
            self._users -= 1
            if self._users == 0:
                self._shared.pop(str(self.folder.resolve()), None)
                with self._writing:
                    self._lmdb.close()

    @property
    def users(self) -> int:
        return self._users

    @property
    def writable(self) -> bool:
        return not bool(self._lmdb.flags()["readonly"])

    def _open(self, map_bytes: int, create: bool) -> Any:
        options: dict[str, Any] = {
            "map_size": map_bytes,
            "max_dbs": len(TABLES),
            "max_readers": _READERS,
            "max_spare_txns": 8,
            "create": create,
            "mode": 0o644,
        }
        try:
            return lmdb.open(str(self.folder), **options)
        except (lmdb.ReadonlyError, PermissionError) as error:
            denied: BaseException = error
        except lmdb.Error as error:
            if getattr(error, "code", 0) not in (errno.EACCES, errno.EROFS, errno.EPERM) and not isinstance(
                error.__cause__, PermissionError
            ):
                raise
            denied = error
        try:
            return lmdb.open(str(self.folder), readonly=True, **(options | {"create": False}))
        except lmdb.Error:
            raise denied from None

    def _verify_length(self) -> None:
        """A file shorter than its pages would kill the process at the first look behind its end."""
        pages = self._lmdb.info()["last_pgno"] + 1 - _SLACK_PAGES
        file = self.folder / "data.mdb"
        if file.stat().st_size < pages * self._lmdb.stat()["psize"]:
            raise StoreDamaged("the index is cut off", where=str(file), hint=REPAIR_HINT)

    def _open_tables(self, create: bool) -> dict[str, Any]:
        try:
            return {
                name: self._lmdb.open_db(name.encode(), create=create and self.writable) for name in TABLES
            }
        except (lmdb.NotFoundError, lmdb.ReadonlyError):
            raise StoreDamaged("the index lacks tables", where=str(self.folder), hint=REPAIR_HINT) from None

    def read(self) -> Reading:
        """A read transaction: one consistent snapshot. Keep it short; old pages are not reused meanwhile."""
        return Reading(self)

    def begin(self) -> Any:
        """A read transaction inside the gate. Every begin needs an end."""
        self._gate.enter()
        try:
            return self._begin()
        except lmdb.MapResizedError:
            self._gate.leave()
        except BaseException:
            self._gate.leave()
            raise
        self._resize(0)
        self._gate.enter()
        try:
            return self._begin()
        except BaseException:
            self._gate.leave()
            raise

    def _begin(self) -> Any:
        try:
            return self._lmdb.begin()
        except lmdb.ReadersFullError:
            self._lmdb.reader_check()
            return self._lmdb.begin()

    def end(self, transaction: Any) -> None:
        """End a read transaction."""
        try:
            transaction.abort()
        finally:
            self._gate.leave()

    def write(self, apply: Callable[[Any], T]) -> T:
        """Run `apply` in a write transaction and make it durable. It may run twice: when the map had to grow.

        Writers of all threads wait for each other. An exception from `apply` undoes everything.
        """
        with self._writing, translated(self.folder):
            while True:
                try:
                    return self._attempt(apply)
                except lmdb.MapFullError:
                    self._resize(self._lmdb.info()["map_size"] * 2)
                except lmdb.MapResizedError:
                    self._resize(0)

    def _attempt(self, apply: Callable[[Any], T]) -> T:
        transaction = self._lmdb.begin(write=True)
        try:
            result = apply(transaction)
            transaction.commit()
        except BaseException:
            # py-lmdb 3 lets an abort wait until no other thread is inside a call, which may be never.
            with self._gate.alone():
                transaction.abort()
            raise
        return result

    def _resize(self, map_bytes: int) -> None:
        """Map anew. 0 = to the size another process gave it."""
        with self._gate.alone():
            self._lmdb.set_mapsize(map_bytes)


class Reading:
    """Context of a read transaction."""

    __slots__ = ("_environment", "_transaction")

    def __init__(self, environment: Environment) -> None:
        self._environment = environment

    def __enter__(self) -> Any:
        try:
            self._transaction = self._environment.begin()
        except lmdb.Error as error:
            raise translation(error, self._environment.folder) from error
        return self._transaction

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        self._environment.end(self._transaction)
        if isinstance(error, lmdb.Error):
            raise translation(error, self._environment.folder) from error


@contextlib.contextmanager
def translated(folder: Path) -> Iterator[None]:
    """LMDB's errors as fovideo's."""
    try:
        yield
    except lmdb.Error as error:
        raise translation(error, folder) from error


def translation(error: BaseException, folder: Path) -> StoreError:
    """LMDB's error as fovideo's."""
    where = str(folder)
    if isinstance(error, _DAMAGED):
        return StoreDamaged(f"the index cannot be read: {error}", where=where, hint=REPAIR_HINT)
    code = getattr(error, "code", 0)
    if isinstance(error, lmdb.DiskError) or code == errno.ENOSPC or "No space left" in str(error):
        return StoreFull("no room for the index", where=where, hint="free some space on the disk")
    return StoreError(f"the index failed: {error}", where=where)
