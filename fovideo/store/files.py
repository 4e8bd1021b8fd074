"""The file layer: every change that a store makes to its segment files goes through one object.

Tests put one in its place that fails, fills up, or forgets what was not made durable.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fovideo.platform import (
    copy_file_range,
    fdatasync,
    fdatasync_all,
    fsync_dir,
    start_writing,
    sync_each,
    write_around_cache,
    write_at,
)

_LARGE_BYTES = 1 << 20
_BINARY = getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)


class Files:
    """The real files. Stateless; every method raises OSError as the system gives it."""

    def create(self, path: Path) -> int:
        """Descriptor of a new, empty file; its folder must be there, the file must not."""
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | _BINARY, 0o644)

    def open(self, path: Path) -> int:
        """Descriptor of a file that is there, for reading and writing."""
        return os.open(path, os.O_RDWR | _BINARY)

    def write(self, fd: int, buffers: Sequence[Any], offset: int) -> int:
        """Write all buffers one behind the other; returns the bytes written. A large one alone goes straight
        to the disk, where it lies right for that.
        """
        if len(buffers) == 1 and memoryview(buffers[0]).nbytes >= _LARGE_BYTES:
            return write_around_cache(fd, buffers[0], offset)
        return write_at(fd, buffers, offset)

    def copy(self, source: Path, source_offset: int, fd: int, offset: int, size: int) -> int:
        """Copy part of another file, in the kernel where it can; returns the bytes copied."""
        other = os.open(source, os.O_RDONLY | _BINARY)
        try:
            return copy_file_range(other, source_offset, fd, offset, size)
        finally:
            os.close(other)

    def start_writing(self, fd: int, offset: int, size: int) -> None:
        """Hint that a range is as it shall be: the disk may begin with it before the sync."""
        start_writing(fd, offset, size)

    def truncate(self, fd: int, size: int) -> None:
        os.ftruncate(fd, size)

    def sync(self, fd: int) -> None:
        """Make the file's bytes durable."""
        fdatasync(fd)

    def sync_many(self, fds: Sequence[int]) -> list[OSError | None]:
        """Make the bytes of several files durable: for each None, or what sync raised."""
        if type(self).sync is Files.sync:
            return fdatasync_all(fds)
        return sync_each(self.sync, fds)  # a file layer that syncs in its own way

    def close(self, fd: int) -> None:
        os.close(fd)

    def sync_folder(self, folder: Path) -> None:
        """Make names in a folder durable."""
        fsync_dir(folder)

    def make_folder(self, folder: Path) -> None:
        """The folder and those above it, durably named."""
        if folder.is_dir():
            return
        self.make_folder(folder.parent)
        with contextlib.suppress(FileExistsError):
            folder.mkdir()
            self.sync_folder(folder.parent)

    def rename(self, old: Path, new: Path) -> None:
        """Give a file another name; what had that name is replaced."""
        old.replace(new)

    def remove(self, path: Path) -> None:
        """Remove a file; none there is fine."""
        path.unlink(missing_ok=True)
