"""A camera's reader in a worker, as its recorder sees it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from fovideo.camera.config import CameraConfig
from fovideo.camera.session_start import SessionStart
from fovideo.camera.shard.messages import Known, News, Pressure, Session, State
from fovideo.camera.state import CameraState, ReaderStatus
from fovideo.errors import CameraError
from fovideo.ring import Ring

if TYPE_CHECKING:
    from fovideo.camera.reader import StateListener
    from fovideo.camera.shard.worker import Shard


class ShardReader:
    """Used like fovideo.camera.reader.Reader. Counters go on when the worker is started again.

    The ring must stay open until `join` says that the reader has ended. key: what the shard calls it.
    """

    def __init__(
        self,
        camera: CameraConfig,
        ring: Ring,
        shard: Shard,
        *,
        on_state: StateListener,
        on_session: Callable[[SessionStart], None],
        on_pressure: Callable[[], None],
        now_ns: Callable[[], int],
    ) -> None:
        self.camera, self.ring, self.key = camera, ring, 0
        self.shard, self._now_ns = shard, now_ns
        self._on_state, self._on_session, self._on_pressure = on_state, on_session, on_pressure
        self._ended = threading.Event()
        self._before = self._now = ReaderStatus(
            state=CameraState.STOPPED,
            since_ns=now_ns(),
            session="",
            sessions=0,
            failures={},
            frames=0,
            bytes=0,
            dropped_frames=0,
            last_receipt_ns=0,
            error="",
        )

    def start(self) -> None:
        """Begin reading; the worker is started if it does not run."""
        self.shard.read(self)

    def stop(self) -> None:
        """Tell the worker to end with this camera."""
        self.shard.leave(self)

    def join(self, timeout_s: float | None = None) -> bool:
        """Wait for the reader's end. False when it still runs (and may still use the ring)."""
        return self._ended.wait(timeout_s)

    def check(self, now_ns: int) -> None:
        """The worker notices a frozen camera itself."""

    def status(self) -> ReaderStatus:
        now, before = self._now, self._before
        failures = {
            state: now.failures.get(state, 0) + before.failures.get(state, 0)
            for state in (now.failures | before.failures)
        }
        return msgspec.structs.replace(
            now,
            failures=failures,
            frames=now.frames + before.frames,
            bytes=now.bytes + before.bytes,
            dropped_frames=now.dropped_frames + before.dropped_frames,
            lost_packets=now.lost_packets + before.lost_packets,
        )

    # by the shard's thread

    def hear(self, news: News) -> None:
        """What the worker says of this camera."""
        match news:
            case Known(status=status, ended=ended):
                self._now = status
                if ended:
                    self._ended.set()
            case State(state=state, error=error):
                self._enter(state, error)
            case Session(start=start):
                self._now = msgspec.structs.replace(
                    self._now, sessions=self._now.sessions + 1, session=start.session
                )
                self._on_session(start)
            case Pressure():
                self._on_pressure()

    def lost(self, reason: str) -> None:
        """The worker died. What it had put into the ring is there."""
        self._before = msgspec.structs.replace(self.status(), failures=dict(self.status().failures))
        failures = self._before.failures
        failures[CameraState.UNREACHABLE] = failures.get(CameraState.UNREACHABLE, 0) + 1
        self._now = msgspec.structs.replace(
            self._now, failures={}, frames=0, bytes=0, dropped_frames=0, lost_packets=0
        )
        self._enter(CameraState.UNREACHABLE, reason)
        self._on_pressure()  # write what is there

    def gone(self) -> None:
        """There is no worker for it any more, and there will be none."""
        self._ended.set()

    def _enter(self, state: CameraState, error: str) -> None:
        if state is not self._now.state:
            self._now = msgspec.structs.replace(self._now, state=state, since_ns=self._now_ns(), error=error)
        self._on_state(state, CameraError(error) if error else None)
