"""The index of a store: what is where in the segment files. It can be rebuilt from them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from fovideo.index.env import DEFAULT_MAP_BYTES, Environment
from fovideo.index.update import Update
from fovideo.index.view import View

T = TypeVar("T")


class Index:
    """Open index. Thread-safe: any number of views, one update at a time; an update is durable on return.

    A thread REQUIRES to have left its view before it enters another or an update.
    """

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._closed = False

    @classmethod
    def open(cls, folder: Path, *, create: bool = False, map_bytes: int = DEFAULT_MAP_BYTES) -> Index:
        """Takes constant time, however many rows there are. Raises StoreDamaged, StoreFull, StoreError."""
        return cls(Environment.acquire(folder, create=create, map_bytes=map_bytes))

    @property
    def writable(self) -> bool:
        """False where the file system allows reading alone."""
        return self._environment.writable

    @property
    def users(self) -> int:
        """How many open Index objects of this process share the environment."""
        return self._environment.users

    @contextlib.contextmanager
    def view(self) -> Iterator[View]:
        """A consistent snapshot for as long as the context lasts; keep it short."""
        with self._environment.read() as transaction:
            yield View(transaction, self._environment.tables)

    def update(self, apply: Callable[[Update], T]) -> T:
        """Run `apply` in one transaction and make it durable. It must bear being run again from the start."""

        def run(transaction: object) -> T:
            update = Update(transaction, self._environment.tables)
            result = apply(update)
            update.flush()
            return result

        return self._environment.write(run)

    def close(self) -> None:
        """May be called twice."""
        if not self._closed:
            self._closed = True
            self._environment.release()
