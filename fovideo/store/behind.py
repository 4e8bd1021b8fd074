"""Writing behind: the disk has a fragment while the next one is composed."""

from __future__ import annotations

import contextlib
from concurrent.futures import Future, ThreadPoolExecutor

from fovideo.segment import Room
from fovideo.store.files import Files


class Behind:
    """One write at a time, in the order given, by a thread of its own. Not for two threads.

    What a write raised is raised by the next call; whoever has an error must `settle` before it touches the
    files.
    """

    def __init__(self) -> None:
        self._rooms: list[Room] = []
        self._pool: ThreadPoolExecutor | None = None
        self._running: Future[int] | None = None

    def room(self) -> Room:
        """Memory for the next fragment, other than that of the one before it."""
        if len(self._rooms) < 2:
            self._rooms.insert(0, Room())
        else:
            self._rooms.reverse()
        return self._rooms[0]

    def write(self, files: Files, fd: int, whole: memoryview, offset: int) -> None:
        """When the write before it is done, begin with this one; `whole` must stay until the next call."""
        self.wait()
        if self._pool is None:
            self._pool = ThreadPoolExecutor(1, thread_name_prefix="fovideo-behind")
        self._running = self._pool.submit(files.write, fd, [whole], offset)

    def wait(self) -> None:
        """Nothing is being written any more. Raises what the last write raised."""
        running, self._running = self._running, None
        if running is not None:
            running.result()

    def settle(self) -> None:
        """As wait, after an error: that of the last write adds nothing."""
        with contextlib.suppress(OSError):
            self.wait()

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None
