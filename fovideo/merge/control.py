"""A hand on a merge that runs: pause it, let it go on, end it."""

from __future__ import annotations

import threading

from fovideo.times import NS_PER_S


class MergeControl:
    """Of one merge, or of several one after the other. Thread-safe. All orders take effect between two
    insertions, so nothing is ever left half done.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._paused = self._cancelled = False

    @property
    def paused(self) -> bool:
        return self._paused

    @property
    def cancelled(self) -> bool:
        return self._cancelled

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
            self._paused = self._paused if paused is None else paused
            self._cancelled = self._cancelled or cancelled
            self._changed.notify_all()

    def wait(self, ns: int = 0) -> bool:
        """Wait so long, and while it is paused. False: it was cancelled."""
        with self._changed:
            if ns:
                self._changed.wait_for(lambda: self._cancelled, ns / NS_PER_S)
            self._changed.wait_for(lambda: self._cancelled or not self._paused)
            return not self._cancelled
