"""A file at the pace of its own clock."""

from __future__ import annotations

import threading

from fovideo.camera.clocks import Clocks
from fovideo.ring import NO_TIME
from fovideo.times import NS_PER_S


class Pace:
    """Waits until frames are due, the first one at once. Without `realtime` everything is due at once."""

    def __init__(self, clocks: Clocks, stopping: threading.Event, *, realtime: bool) -> None:
        self._clocks, self._stopping, self._realtime = clocks, stopping, realtime
        self._offset: int | None = None

    def wait(self, pts_ns: int) -> bool:
        """Wait until a frame of this pts is due. True when stopping."""
        if not self._realtime or pts_ns == NO_TIME:
            return self._stopping.is_set()
        now_ns = self._clocks.monotonic_ns()
        if self._offset is None:
            self._offset = now_ns - pts_ns
        return self._stopping.wait(max(self._offset + pts_ns - now_ns, 0) / NS_PER_S)
