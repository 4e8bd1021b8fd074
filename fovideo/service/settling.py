"""The thread in which a spare settles with the others: it lets the arbiter work, and tells the watches."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from msgspec.structs import replace

from fovideo.failover import Claim, Ruled
from fovideo.service.arbiter import CYCLE_NS, Arbiter
from fovideo.times import NS_PER_S

_log = logging.getLogger(__name__)


class Settling:
    """tell: hands a ruling to the watch of a server. on_left: its cameras that no spare has room for."""

    def __init__(
        self,
        arbiter: Arbiter,
        *,
        tell: Callable[[str, Ruled], None],
        on_left: Callable[[str, tuple[str, ...]], None],
    ) -> None:
        self.arbiter = arbiter
        self._tell, self._on_left = tell, on_left
        self._wake, self._stopping = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="settling", daemon=True)
        self._told: dict[str, Ruled] = {}
        self._left: dict[str, tuple[str, ...]] = {}

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """What is claimed is given up at once if the service answers, else when its time is over."""
        self._stopping.set()
        self._wake.set()
        if self._thread.ident is not None:
            self._thread.join()
        self.arbiter.close()

    def claim(self, server: str, order: Claim, known: int) -> None:
        """A watch wants or has cameras. Returns at once."""
        self.arbiter.wish(server, order.number, order.cameras, time.monotonic_ns(), known)
        self._wake.set()

    def forget(self, server: str) -> None:
        """The watch of a server has begun anew: tell it everything again."""
        self._told.pop(server, None)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.wait(CYCLE_NS / NS_PER_S)
            self._wake.clear()
            if self._stopping.is_set():
                return
            try:
                self.cycle()
            except Exception:
                # A spare that settles nothing decides for itself.
                _log.exception("settling with the other spares went wrong")

    def cycle(self) -> None:
        """Settle once, and tell what has changed."""
        for server, ruling in self.arbiter.cycle(time.monotonic_ns()).items():
            plain = replace(ruling, now_ns=0)
            if self._told.get(server) != plain:
                self._told[server] = plain
                self._tell(server, replace(ruling, now_ns=time.monotonic_ns()))
            left = self.arbiter.left(server)
            if left != self._left.get(server, ()):
                self._left[server] = left
                self._on_left(server, left)
