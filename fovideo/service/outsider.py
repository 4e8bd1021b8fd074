"""A server that is not fovideo's: all that can be known of it is whether it answers."""

from __future__ import annotations

import time
from collections.abc import Iterable

from fovideo.peer import CameraHealth, Health, StoreHealth
from fovideo.service.describe import SENDER_REPORT
from fovideo.service.reaching import reach
from fovideo.times import NS_PER_S


class Outsider:
    """Asks as a Probe does, and tells a health in which all cameras are recorded while the server answers."""

    def __init__(self, name: str, target: str, cameras: Iterable[str], *, timeout_ns: int) -> None:
        self._name, self._target, self._cameras = name, target, tuple(cameras)
        self._timeout_s = timeout_ns / NS_PER_S

    def ask(self) -> Health:
        """Raises Unanswered."""
        reach(self._target, self._timeout_s)
        now_ns = time.time_ns()
        camera = CameraHealth(state="live", durable_to_ns=now_ns, clock=SENDER_REPORT)
        return Health(
            name=self._name,
            role="server",
            instance=self._target,
            state="recording",
            now_ns=now_ns,
            cameras=dict.fromkeys(self._cameras, camera),
            store=StoreHealth(id=""),
        )

    def close(self) -> None:
        """Nothing is kept open."""
