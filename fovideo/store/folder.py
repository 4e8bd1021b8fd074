"""The folder of a store: marker, lock, and where its files lie. Layout: docs/ref/store.md."""

from __future__ import annotations

import datetime as dt
import os
import uuid
from pathlib import Path

import msgspec
from filelock import FileLock, Timeout

from fovideo.decoding import from_json
from fovideo.errors import NotAStore, StoreBusy, StoreDamaged, StoreError
from fovideo.store.files import Files

FORMAT, VERSION = "fovideo-store", 1
_OURS = frozenset(("write.lock", "index", "segments", "incoming", "reserve", "damaged", "store.json.new"))
_EPOCH = dt.datetime(1970, 1, 1)
_LATEST_NS = 253_402_300_799_000_000_000


class Marker(msgspec.Struct, frozen=True):
    """store.json"""

    format: str
    version: int
    id: str


class Folder:
    """Paths of a store. Names inside the store are relative, with "/"."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._root_text = root.as_posix()
        self.marker = root / "store.json"
        self.lock_file = root / "write.lock"
        self.index = root / "index"
        self.segments = root / "segments"
        self.incoming = root / "incoming"

    def read_marker(self) -> Marker | None:
        """The marker, None where there is no store yet (nothing there, or a creation that was cut off).

        Raises NotAStore for a folder or file that is something else.
        """
        where = str(self.root)
        try:
            text = self.marker.read_bytes()
        except FileNotFoundError:
            self._require_free()
            return None
        except NotADirectoryError:
            raise NotAStore("a file, not the folder of a store", where=where, hint="name a folder") from None
        except OSError as error:
            raise StoreError(f"cannot be read: {error.strerror}", where=where) from error
        try:
            marker = from_json(text, Marker)
        except msgspec.MsgspecError as error:
            raise NotAStore(f"store.json says nothing useful: {error}", where=where) from None
        if marker.format != FORMAT:
            raise NotAStore(
                f"store.json is of a {marker.format!r}", where=where, hint="choose another folder"
            )
        if marker.version != VERSION:
            raise NotAStore(
                f"store version {marker.version} is unknown", where=where, hint="a newer fovideo wrote it"
            )
        return marker

    def _require_free(self) -> None:
        """Only what an unfinished creation leaves may lie in a folder without a marker."""
        where = str(self.root)
        try:
            names = {entry.name for entry in self.root.iterdir()}
        except FileNotFoundError:
            return
        except NotADirectoryError:
            raise NotAStore("a file, not the folder of a store", where=where, hint="name a folder") from None
        except OSError as error:
            raise StoreError(f"cannot be read: {error.strerror}", where=where) from error
        foreign = sorted(name for name in names - _OURS if not name.startswith("index."))
        if foreign:
            raise NotAStore(
                f"not a fovideo store: it has no store.json, but {foreign[0]!r}",
                where=where,
                hint="choose an empty or new folder, or check the path",
            )
        if self.segments.is_dir() and any(self.segments.iterdir()):
            raise StoreDamaged(
                "store.json is missing", where=where, hint="restore it with: fovideo check --repair"
            )

    def write_marker(self, files: Files, identity: str = "") -> Marker:
        """Turn the folder into a store. The marker comes last: a creation cut off can be done again."""
        marker = Marker(FORMAT, VERSION, identity or uuid.uuid4().hex)
        for folder in (self.segments, self.incoming, self.index):
            files.make_folder(folder)
        new = self.root / "store.json.new"
        files.remove(new)
        fd = files.create(new)
        try:
            files.write(fd, [msgspec.json.encode(marker) + b"\n"], 0)
            files.sync(fd)
        finally:
            files.close(fd)
        files.rename(new, self.marker)
        files.sync_folder(self.root)
        return marker

    def lock(self) -> FileLock | None:
        """The write lock, held; None while somebody else holds it. Freed when its process dies."""
        lock = FileLock(self.lock_file, thread_local=False)
        try:
            lock.acquire(blocking=False)
        except Timeout:
            return None
        except RuntimeError:  # filelock's word for "held by another object of this thread"
            return None
        return lock

    def busy(self, pid: int) -> StoreBusy:
        holder = (
            f"process {pid}" if pid and pid != os.getpid() else "this process" if pid else "another process"
        )
        return StoreBusy(
            f"{holder} is writing to it", where=str(self.root), hint="stop it, or ask it through its URL"
        )

    def segment_name(self, stream: str, start_ns: int, segment: int) -> str:
        """Where a segment that starts at this (effective) time lies."""
        seconds, rest_ns = divmod(min(max(start_ns, 0), _LATEST_NS), 1_000_000_000)
        at = _EPOCH + dt.timedelta(seconds=seconds)
        return f"segments/{stream}/{at:%Y-%m-%d}/{at:%H%M%S}.{rest_ns // 1_000_000:03d}-{segment:x}.mp4"

    def incoming_path(self, segment: int) -> Path:
        """Where a segment lies until the index names it."""
        return self.incoming / f"{segment:x}.mp4"

    def find(self, name: str, segment: int) -> Path:
        """Path of a segment's file, whichever of its two names it has now."""
        return Path(self.locate(name, segment))

    def locate(self, name: str, segment: int) -> str:
        """The same as text, quicker."""
        final = f"{self._root_text}/{name}"
        if not os.path.lexists(final):
            incoming = f"{self._root_text}/incoming/{segment:x}.mp4"
            if os.path.lexists(incoming):
                return incoming
        return final


def segment_number(path: Path) -> int:
    """Segment id in a file's name, -1 if it has none."""
    try:
        return int(path.stem.rpartition("-")[2], 16) if path.suffix == ".mp4" else -1
    except ValueError:
        return -1
