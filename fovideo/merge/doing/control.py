"""A hand on a merge that runs: pause it, let it go on, end it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from fovideo.times import NS_PER_S


class MergeControl:
    """Of one merge, or of several one after the other. Thread-safe. All orders take effect between two
    insertions, so nothing is ever left half done.
    """

    def __init__(self, *, clock: Callable[[], int] = time.monotonic_ns) -> None:
        self._changed = threading.Condition()
        self._paused = self._cancelled = False
        self._clock = clock
        self._since_ns = self._rested_ns = 0

    @property
    def paused(self) -> bool:
        return self._paused

    @property
    def cancelled(self) -> bool:
        return self._cancelled

    @property
    def rested_ns(self) -> int:
        """For how long it was paused so far."""
        with self._changed:
            return self._rested_ns + (self._clock() - self._since_ns if self._paused else 0)

    def pause(self) -> None:
        """Stop inserting until resume()."""
        self._set(paused=True)

    def resume(self) -> None:
        self._set(paused=False)

    def cancel(self) -> None:
        """End it: what is inserted stays, is verified and reported. It can be merged on later."""
        self._set(cancelled=True)

    def _set(self, *, paused: bool | None = None, cancelled: bool = False) -> None:
        with self._changed:
            if paused is not None and paused != self._paused:
                self._paused, now_ns = paused, self._clock()
                self._rested_ns += 0 if paused else now_ns - self._since_ns
                self._since_ns = now_ns
            self._cancelled = self._cancelled or cancelled
            self._changed.notify_all()

    def wait(self, ns: int = 0) -> bool:
        """Wait so long, and while it is paused. False: it was cancelled."""
        with self._changed:
            if ns:
                self._changed.wait_for(lambda: self._cancelled, ns / NS_PER_S)
            self._changed.wait_for(lambda: self._cancelled or not self._paused)
            return not self._cancelled
