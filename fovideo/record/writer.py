"""The writer thread of a store: drains all lanes, commits, lets go of memory, again and again."""

from __future__ import annotations

import errno
import logging
import os
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from fovideo.camera.clocks import Clocks
from fovideo.errors import StoreError, StoreFull
from fovideo.record.channel import Channel
from fovideo.record.events import Event, StoreFailed, StoreRecovered
from fovideo.record.haste import Haste
from fovideo.record.status import StoreStatus
from fovideo.times import NS_PER_S

if TYPE_CHECKING:
    from fovideo.store import Store

_log = logging.getLogger(__name__)

_LONGEST_RETRY_S = 5.0
_FORGETTING = 0.75


def _trouble(error: StoreError) -> str:
    """What is wrong with a store that takes nothing: "full", "read-only" or "failing"."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, StoreFull) or getattr(cause, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
            return "full"
        if getattr(cause, "errno", None) == errno.EROFS or os.strerror(errno.EROFS) in str(cause):
            return "read-only"
        cause = cause.__cause__ or cause.__context__
    return "failing"


class Rhythm:
    """How long to wait between rounds so that frames are durable in time, with as few rounds as that allows.

    A frame that comes just after its lane was drained waits for the rest of that round, the pause and a whole
    round: two rounds and the pause. Rounds are taken to last as long as the longest of late. A tenth is kept
    for what a round may last longer, and for what waits in a socket to be read; a pause is never short of an
    eighth.
    """

    def __init__(self, durability_ns: int) -> None:
        self._durability_ns = durability_ns
        self._round_ns = durability_ns // 8

    @property
    def pause_ns(self) -> int:
        """Before the next round."""
        spare_ns = self._durability_ns // 10
        return max(self._durability_ns - spare_ns - 2 * self._round_ns, self._durability_ns // 8)

    def took(self, round_ns: int) -> None:
        """A round took this long."""
        self._round_ns = max(round_ns, round(self._round_ns * _FORGETTING), self._durability_ns // 24)


class Writer:
    """One per store. `run` is the thread; wake, flush, stop and status are for any thread.

    channels: a snapshot of all channels. on_left: a channel was drained for the last time.
    """

    def __init__(
        self,
        store: Store,
        name: str,
        *,
        durability_ns: int,
        clocks: Clocks,
        channels: Callable[[], list[Channel]],
        on_left: Callable[[Channel], None],
        emit: Callable[[Event], None],
    ) -> None:
        self._store, self._name, self._clocks = store, name, clocks
        self._rhythm, self._haste = Rhythm(durability_ns), Haste(name, durability_ns)
        self._channels, self._on_left, self._emit = channels, on_left, emit
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._ticked = threading.Condition()
        self._requested = self._done = 0
        self._over = False
        self._began_ns = 0
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
            trouble="" if error is None else _trouble(error),
            busy_ns=self._clocks.monotonic_ns() - began_ns if (began_ns := self._began_ns) else 0,
        )

    def run(self) -> None:
        """Until stopped. While the store fails it is tried again with growing pauses."""
        retry_s = 0.0
        last = False
        while not last:
            pause_s = self._rhythm.pause_ns / NS_PER_S
            if self.error is not None:
                retry_s = min(max(retry_s * 2, pause_s), _LONGEST_RETRY_S)
                self._stopping.wait(retry_s)
            else:
                retry_s = 0.0
                self._wake.wait(pause_s)
            self._wake.clear()
            last = self._stopping.is_set()
            with self._ticked:
                requested = self._requested
            began_ns = self._began_ns = self._clocks.monotonic_ns()
            worked = self.tick()
            self._began_ns = 0
            ended_ns = self._clocks.monotonic_ns()
            self._rhythm.took(ended_ns - began_ns)
            lanes = [channel.lane for channel in self._channels() if not channel.lane.left]
            self._haste.took(ended_ns - began_ns, ended_ns, lanes)
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
