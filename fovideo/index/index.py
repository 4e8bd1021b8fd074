"""The index of a store: what is where in the segment files. It can be rebuilt from them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from fovideo.index.env import DEFAULT_MAP_BYTES, Environment, Reading
from fovideo.index.update import Known, Update
from fovideo.index.view import View

T = TypeVar("T")


class _Viewing(Reading):
    """Context of a view."""

    __slots__ = ()

    def __enter__(self) -> View:
        return View(super().__enter__(), self._environment.tables)


class Index:
    """Open index. Thread-safe: any number of views, one update at a time; an update is durable on return.

    A thread REQUIRES to have left its view before it enters another or an update.
    """

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._closed = False
        self._known: Known | None = None  # of the last update; taken and given by one update at a time

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

    def view(self) -> _Viewing:
        """Context of a consistent snapshot (View), for as long as it lasts; keep it short."""
        return _Viewing(self._environment)

    def update(self, apply: Callable[[Update], T]) -> T:
        """Run `apply` in one transaction and make it durable. It must bear being run again from the start."""

        made: list[Known] = []

        def run(transaction: object) -> T:
            known, self._known = self._known, None  # its rows change: of no use if this one fails
            update = Update(transaction, self._environment.tables, known)
            result = apply(update)
            update.flush()
            made[:] = [update.known]
            return result

        result = self._environment.write(run)
        self._known = made[0]
        return result

    def close(self) -> None:
        """May be called twice."""
        if not self._closed:
            self._closed = True
            self._environment.release()
