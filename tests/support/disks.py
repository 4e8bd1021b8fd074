"""Disks that fail: file layers to put under a store.

A PowerCut goes through every `except Exception`, as the end of a process does.
"""

from __future__ import annotations

import contextlib
import errno
import os
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fovideo.store import Files, Store


class PowerCut(BaseException):
    """The machine is gone."""


class ForgetfulDisk(Files):
    """Counts the operations, dies at one of them, and then forgets what nobody made durable.

    forget() does to the folder what a power cut may do: of bytes written since the last sync of a file some
    prefix stays, parts of it as zeros; a file whose name was not made durable may be gone; a rename may not
    have happened; a removed file may be back.
    """

    def __init__(self, graveyard: Path, die_at: int = -1) -> None:
        self.steps = 0
        self.die_at = die_at
        self.graveyard = graveyard
        self.paths: dict[int, Path] = {}
        self.safe: dict[Path, int] = {}
        self.names: dict[Path, set[Path]] = {}
        self.renames: dict[Path, list[tuple[Path, Path]]] = {}
        self.removed: dict[Path, list[tuple[Path, Path]]] = {}

    def step(self) -> None:
        if self.steps == self.die_at:
            raise PowerCut
        self.steps += 1

    def create(self, path: Path) -> int:
        self.step()
        fd = super().create(path)
        self.paths[fd] = path
        self.safe[path] = 0
        self.names.setdefault(path.parent, set()).add(path)
        return fd

    def open(self, path: Path) -> int:
        self.step()
        fd = super().open(path)
        self.paths[fd] = path
        self.safe.setdefault(path, path.stat().st_size)
        return fd

    def write(self, fd: int, buffers: Sequence[Any], offset: int) -> int:
        self.step()
        if self.steps == self.die_at:  # die within it
            whole = b"".join(bytes(buffer) for buffer in buffers)
            super().write(fd, [whole[: len(whole) // 2]], offset)
            raise PowerCut
        return super().write(fd, buffers, offset)

    def copy(self, source: Path, source_offset: int, fd: int, offset: int, size: int) -> int:
        self.step()
        return super().copy(source, source_offset, fd, offset, size)

    def truncate(self, fd: int, size: int) -> None:
        self.step()
        super().truncate(fd, size)
        path = self.paths[fd]
        self.safe[path] = min(self.safe.get(path, 0), size)

    def sync(self, fd: int) -> None:
        self.step()
        super().sync(fd)
        self.safe[self.paths[fd]] = os.fstat(fd).st_size

    def close(self, fd: int) -> None:
        self.paths.pop(fd, None)
        super().close(fd)

    def sync_folder(self, folder: Path) -> None:
        self.step()
        super().sync_folder(folder)
        self.names.pop(folder, None)
        self.renames.pop(folder, None)
        self.removed.pop(folder, None)

    def make_folder(self, folder: Path) -> None:
        self.step()
        super().make_folder(folder)

    def rename(self, old: Path, new: Path) -> None:
        self.step()
        super().rename(old, new)
        if old in self.safe:
            self.safe[new] = self.safe.pop(old)
        for names in self.names.values():
            if old in names:
                names.discard(old)
                names.add(new)
        self.paths = {fd: new if path == old else path for fd, path in self.paths.items()}
        self.renames.setdefault(new.parent, []).append((old, new))

    def remove(self, path: Path) -> None:
        self.step()
        if path.exists():
            grave = self.graveyard / f"{len(list(self.graveyard.iterdir()))}"
            os.link(path, grave)
            self.removed.setdefault(path.parent, []).append((path, grave))
            for names in self.names.values():
                names.discard(path)
        super().remove(path)

    def forget(self, chance: random.Random) -> None:
        for fd in list(self.paths):
            with contextlib.suppress(OSError):
                os.close(fd)
        self.paths.clear()
        for path, safe in self.safe.items():
            if path.exists() and path.stat().st_size > safe:
                self._lose_bytes(path, safe, chance)
        for names in self.names.values():
            for path in names:
                if chance.random() < 0.5:
                    path.unlink(missing_ok=True)
        for moves in self.renames.values():
            for old, new in reversed(moves):
                if chance.random() < 0.5 and new.exists() and old.parent.is_dir() and not old.exists():
                    new.rename(old)
        for graves in self.removed.values():
            for path, grave in graves:
                if chance.random() < 0.5 and path.parent.is_dir() and not path.exists():
                    os.link(grave, path)

    def _lose_bytes(self, path: Path, safe: int, chance: random.Random) -> None:
        size = path.stat().st_size
        keep = chance.randint(safe, size)
        os.truncate(path, keep)
        if keep > safe and chance.random() < 0.5:
            start = chance.randint(safe, keep - 1)
            with path.open("r+b") as file:
                file.seek(start)
                file.write(bytes(min(keep - start, chance.randint(1, 4096))))


class FullDisk(Files):
    """Has room for a number of bytes; then writes fail, in part."""

    def __init__(self, room: int) -> None:
        self.room = room

    def write(self, fd: int, buffers: Sequence[Any], offset: int) -> int:
        whole = b"".join(bytes(buffer) for buffer in buffers)
        if len(whole) > self.room:
            super().write(fd, [whole[: self.room]], offset)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.room -= len(whole)
        return super().write(fd, [whole], offset)

    def copy(self, source: Path, source_offset: int, fd: int, offset: int, size: int) -> int:
        if size > self.room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.room -= size
        return super().copy(source, source_offset, fd, offset, size)


class UnsafeDisk(Files):
    """Fails to make files durable, as many times as it is told; remembers which it was asked for again."""

    def __init__(self) -> None:
        self.failures = 0
        self.failed: set[int] = set()
        self.retried = 0

    def create(self, path: Path) -> int:
        fd = super().create(path)
        self.failed.discard(fd)
        return fd

    def sync(self, fd: int) -> None:
        self.retried += fd in self.failed
        if self.failures > 0:
            self.failures -= 1
            self.failed.add(fd)
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        super().sync(fd)


def abandon(store: Store) -> None:
    """Let go of a store as the end of its process would: nothing is written any more."""
    store._closed = True
    store._opened.close(clean=False)
