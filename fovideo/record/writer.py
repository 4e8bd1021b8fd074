"""The writer thread of a store: drains all lanes, commits, lets go of memory, again and again."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from fovideo.camera.clocks import Clocks
from fovideo.errors import StoreError
from fovideo.record.channel import Channel
from fovideo.record.events import Event, StoreFailed, StoreRecovered
from fovideo.record.status import StoreStatus
from fovideo.times import NS_PER_S

if TYPE_CHECKING:
    from fovideo.store import Store

_log = logging.getLogger(__name__)

_LONGEST_RETRY_S = 5.0


class Writer:
    """One per store. `run` is the thread; wake, flush, stop and status are for any thread.

    channels: a snapshot of all channels. on_left: a channel was drained for the last time.
    """

    def __init__(
        self,
        store: Store,
        name: str,
        *,
        interval_ns: int,
        clocks: Clocks,
        channels: Callable[[], list[Channel]],
        on_left: Callable[[Channel], None],
        emit: Callable[[Event], None],
    ) -> None:
        self._store, self._name, self._clocks = store, name, clocks
        self._interval_s = interval_ns / NS_PER_S
        self._channels, self._on_left, self._emit = channels, on_left, emit
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._ticked = threading.Condition()
        self._requested = self._done = 0
        self._over = False
        self._commits = self._failures = self._last_commit_ns = self._failing_since_ns = 0
        self.error: StoreError | None = None

    def wake(self) -> None:
        """There is something to do before the interval is over."""
        self._wake.set()

    def stop(self) -> None:
        """Drain for the last time, then end."""
        self._stopping.set()
        self._wake.set()

    def flush(self, timeout_s: float | None) -> bool:
        """Wait for a whole round that begins from now on; False when there was none in time."""
        with self._ticked:
            self._requested += 1
            mine = self._requested
            self._wake.set()
            self._ticked.wait_for(lambda: self._done >= mine or self._over, timeout_s)
            return self._done >= mine

    def status(self) -> StoreStatus:
        error = self.error
        return StoreStatus(
            commits=self._commits,
            failures=self._failures,
            last_commit_ns=self._last_commit_ns,
            error="" if error is None else str(error),
        )

    def run(self) -> None:
        """Until stopped. While the store fails it is tried again with growing pauses."""
        retry_s = self._interval_s
        last = False
        while not last:
            if self.error is not None:
                self._stopping.wait(retry_s)
                retry_s = min(retry_s * 2, _LONGEST_RETRY_S)
            else:
                self._wake.wait(self._interval_s)
                retry_s = self._interval_s
            self._wake.clear()
            last = self._stopping.is_set()
            with self._ticked:
                requested = self._requested
            worked = self.tick()
            with self._ticked:
                self._done = requested if worked else self._done
                self._over = last
                self._ticked.notify_all()

    def tick(self) -> bool:
        """One round. True when the store took everything. For the writer thread, or while there is none."""
        now_ns = self._clocks.monotonic_ns()
        channels = self._channels()
        failure: StoreError | None = None
        last = []
        for channel in channels:
            try:
                if channel.drain(now_ns):
                    last.append(channel)
            except StoreError as error:
                failure = failure or error
            except Exception as error:
                # One camera's stream must not stop the others.
                _log.exception("camera %s: its frames cannot be written", channel.lane.name)
                channel.lane.give_up(error)
        failure = self._commit(channels) or failure
        self._judge(failure, now_ns)
        if failure is None or self._stopping.is_set():
            for channel in last:
                channel.leave()
                self._on_left(channel)
        return failure is None

    def _commit(self, channels: list[Channel]) -> StoreError | None:
        if self.error is None and not any(channel.lane.writing for channel in channels):
            return None
        try:
            self._store.commit()
        except StoreError as error:
            return error
        self._commits += 1
        self._last_commit_ns = self._clocks.wall_ns()
        for channel in channels:
            channel.lane.committed()
        return None

    def _judge(self, failure: StoreError | None, now_ns: int) -> None:
        before, self.error = self.error, failure
        if failure is not None:
            self._failures += 1
            if before is None:
                self._failing_since_ns = now_ns
                _log.error("%s: the store takes nothing: %s", self._name, failure)
                self._emit(StoreFailed(str(failure)))
        elif before is not None:
            _log.warning("%s: the store works again", self._name)
            self._emit(StoreRecovered(now_ns - self._failing_since_ns))
