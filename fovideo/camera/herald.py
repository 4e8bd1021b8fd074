"""Telling in Python what threads that read cameras must not wait to tell: the interpreter's lock may be busy.

One thread for all cameras of the process, while any of them is being read.
"""

from __future__ import annotations

import itertools
import logging
import os
import threading
from collections.abc import Callable

_log = logging.getLogger(__name__)
_NUMBER_BYTES = 8
_AT_ONCE = 512  # divides what a pipe holds


class Herald:
    """Calls whoever a number belongs to when that number comes through its pipe (fov_news.h).

    All methods may be called by any thread; `leave` not from what the herald calls.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: dict[int, Callable[[], None]] = {}
        self._numbers = itertools.count(1)
        self._thread: threading.Thread | None = None
        self._write_fd = -1

    def join(self, listener: Callable[[], None]) -> tuple[int, int]:
        """Descriptor to write to, never waiting, and the number to write in 8 native bytes.

        listener: called by the herald's thread; must return soon.
        """
        with self._lock:
            if not self._listeners:
                read_fd, self._write_fd = os.pipe()
                os.set_blocking(self._write_fd, False)
                self._thread = threading.Thread(
                    target=self._run, args=(read_fd,), name="camera-herald", daemon=True
                )
                self._thread.start()
            number = next(self._numbers)
            self._listeners[number] = listener
            return self._write_fd, number

    def leave(self, number: int) -> None:
        """Nothing will be written under this number any more; what was may come to nobody's ears."""
        with self._lock:
            del self._listeners[number]
            if self._listeners or self._thread is None:
                return
            thread, self._thread = self._thread, None
            os.close(self._write_fd)
        thread.join()

    def _run(self, read_fd: int) -> None:
        try:
            while data := os.read(read_fd, _AT_ONCE * _NUMBER_BYTES):
                for number in memoryview(data).cast("Q"):
                    listener = self._listeners.get(number)
                    if listener is not None:
                        self._call(listener)
        finally:
            os.close(read_fd)

    def _call(self, listener: Callable[[], None]) -> None:
        try:
            listener()
        except Exception:
            _log.exception("what a camera had to tell was not taken")
