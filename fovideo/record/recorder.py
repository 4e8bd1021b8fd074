"""The recorder: a reader thread per camera, one writer thread per store, one that notices frozen cameras."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from fovideo.camera.clocks import Clocks
from fovideo.camera.config import CameraConfig
from fovideo.camera.reader import Reader
from fovideo.camera.session_start import SessionStart
from fovideo.camera.state import CameraState
from fovideo.errors import CameraError, StoreError, UsageError
from fovideo.record.events import Event, Mode, SessionBegan, StateChanged, StoreFailed, StoreRecovered
from fovideo.record.lane import Intent, Lane
from fovideo.record.status import CameraStatus, StoreStatus
from fovideo.ring import Ring
from fovideo.times import NS_PER_S

if TYPE_CHECKING:
    from fovideo.store import Store

_log = logging.getLogger(__name__)

_WATCH_S = 0.1
_LONGEST_RETRY_S = 5.0
_STOP_S = 0.5


class _Channel:
    """A camera's reader and lane."""

    def __init__(self, reader: Reader, lane: Lane) -> None:
        self.reader, self.lane = reader, lane
        self.leaving = False
        self.left = threading.Event()


class Recorder:
    """Records cameras into a store, or keeps their newest seconds in memory (standby).

    Made for embedding: no signals, no global state, no event loop. All methods may be called by any thread.
    on_event is called by the recorder's threads: it must return soon, and may call all but flush, remove
    and close. An exception in it is logged and ignored.
    """

    def __init__(
        self,
        store: Store,
        *,
        name: str,
        durability_ns: int = NS_PER_S,
        on_event: Callable[[Event], None] | None = None,
        clocks: Clocks | None = None,
        chance: random.Random | None = None,
    ) -> None:
        """
        store: open for writing; stays open after close.
        name: goes into the provenance of what is recorded.
        durability_ns: a crash loses at most this much of what was received.
        """
        if durability_ns <= 0:
            raise UsageError("durability must be positive")
        self.store, self.name = store, name
        self._interval_s = durability_ns / 2 / NS_PER_S
        self._on_event = on_event
        self._clocks = clocks or Clocks()
        self._chance = chance or random.Random()
        self._lock = threading.Lock()
        self._channels: dict[str, _Channel] = {}
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._ticked = threading.Condition()
        self._requested = self._done = 0
        self._threads: list[threading.Thread] = []
        self._commits = self._store_failures = self._last_commit_ns = self._failing_since_ns = 0
        self._store_error: StoreError | None = None

    # cameras

    def add(
        self, camera: CameraConfig, *, mode: Mode = Mode.RECORD, lease: int = 0, pending: bool = False
    ) -> None:
        """Begin with a camera; its stream has its name. UsageError if there is one of that name."""
        ring = Ring(camera.ring_bytes)
        intent = Intent(mode, lease, pending)
        lane = Lane(
            camera.name,
            ring,
            self.store,
            recorder=self.name,
            preroll_ns=camera.preroll_ns,
            intent=intent,
            emit=self._emit,
        )

        def on_state(state: CameraState, error: CameraError | None) -> None:
            self._emit(StateChanged(camera.name, state, "" if error is None else str(error)))

        def on_session(start: SessionStart) -> None:
            self._emit(SessionBegan(camera.name, start.session))

        reader = Reader(
            camera,
            ring,
            on_state=on_state,
            on_session=on_session,
            on_pressure=self._wake.set,
            clocks=self._clocks,
            chance=self._chance,
        )
        with self._lock:
            if self._stopping.is_set():
                raise UsageError("the recorder is closed")
            if camera.name in self._channels:
                raise UsageError("there is a camera of this name already", where=camera.name)
            self._channels[camera.name] = _Channel(reader, lane)
            if self._threads:
                reader.start()

    def remove(self, name: str) -> None:
        """End with a camera: what it delivered is written first. UsageError if there is none of that name."""
        channel = self._channel(name)
        channel.reader.stop()
        channel.reader.join(_STOP_S)
        channel.leaving = True
        if not self._threads:
            self._tick()
        self._wake.set()
        while not channel.left.wait(_WATCH_S):
            if self._stopping.is_set():
                return

    def set_mode(self, name: str, mode: Mode, *, lease: int = 0, pending: bool = False) -> None:
        """Record, or stand by. Takes effect within moments; `flush` waits for it.

        To RECORD: what the ring holds (the pre-roll) is written first. To STANDBY: what came so far is.
        lease, pending: see Provenance.lease and GopFlag.PENDING; new ones begin a new segment.
        """
        self._channel(name).lane.want(Intent(mode, lease, pending))
        self._wake.set()

    def _channel(self, name: str) -> _Channel:
        with self._lock:
            channel = self._channels.get(name)
        if channel is None:
            raise UsageError("no camera of this name", where=name)
        return channel

    # life

    def start(self) -> None:
        """Start all threads. UsageError when called twice."""
        with self._lock:
            if self._threads or self._stopping.is_set():
                raise UsageError("a recorder is started once")
            self._threads = [
                threading.Thread(target=self._write, name=f"writer-{self.name}", daemon=True),
                threading.Thread(target=self._watch, name=f"watch-{self.name}", daemon=True),
            ]
            for channel in self._channels.values():
                channel.reader.start()
            for thread in self._threads:
                thread.start()

    def flush(self, timeout_s: float | None = None) -> bool:
        """Wait until what was received or ordered by set_mode is durable; False if it took longer.

        Frames whose place in decode order is not known yet (a run of B-frames) do not count.
        """
        with self._ticked:
            self._requested += 1
            mine = self._requested
            self._wake.set()
            return self._ticked.wait_for(lambda: self._done >= mine or not self._running, timeout_s) and (
                self._done >= mine
            )

    def close(self) -> None:
        """Stop the cameras, write what they delivered, end all threads. May be called twice.

        Raises StoreError when the store did not take the last frames.
        """
        with self._lock:
            if self._stopping.is_set():
                return
            channels = list(self._channels.values())
            for channel in channels:
                channel.reader.stop()
            deadline_ns = self._clocks.monotonic_ns() + round(_STOP_S * NS_PER_S)
            for channel in channels:
                channel.reader.join(max(deadline_ns - self._clocks.monotonic_ns(), 0) / NS_PER_S)
                channel.leaving = True
            self._stopping.set()
        self._wake.set()
        for thread in self._threads:
            thread.join()
        if not self._threads:
            self._tick()
        if self._store_error is not None:
            raise self._store_error

    def __enter__(self) -> Recorder:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def _running(self) -> bool:
        return bool(self._threads) and self._threads[0].is_alive()

    # what is known

    def status(self) -> dict[str, CameraStatus]:
        """All cameras, by name."""
        with self._lock:
            channels = dict(self._channels)
        return {name: _status(channel) for name, channel in channels.items()}

    def store_status(self) -> StoreStatus:
        error = self._store_error
        return StoreStatus(
            commits=self._commits,
            failures=self._store_failures,
            last_commit_ns=self._last_commit_ns,
            error="" if error is None else str(error),
        )

    def _emit(self, event: Event) -> None:
        if self._on_event is None:
            return
        try:
            self._on_event(event)
        except Exception:
            _log.exception("the event listener failed")

    # threads

    def _watch(self) -> None:
        while not self._stopping.wait(_WATCH_S):
            now_ns = self._clocks.monotonic_ns()
            with self._lock:
                channels = list(self._channels.values())
            for channel in channels:
                channel.reader.check(now_ns)

    def _write(self) -> None:
        retry_s = self._interval_s
        while True:
            if self._store_error is not None:
                self._stopping.wait(retry_s)
                retry_s = min(retry_s * 2, _LONGEST_RETRY_S)
            else:
                self._wake.wait(self._interval_s)
                retry_s = self._interval_s
            self._wake.clear()
            last = self._stopping.is_set()
            with self._ticked:
                requested = self._requested
            worked = self._tick()
            with self._ticked:
                if worked:
                    self._done = requested
                self._ticked.notify_all()
            if last:
                break
        with self._ticked:
            self._ticked.notify_all()

    def _tick(self) -> bool:
        """Drain all lanes and commit. True when the store took everything."""
        now_ns = self._clocks.monotonic_ns()
        with self._lock:
            channels = list(self._channels.items())
        failure: StoreError | None = None
        drained = []
        for name, channel in channels:
            try:
                self._drain(channel, now_ns)
                drained.append((name, channel))
            except StoreError as error:
                failure = failure or error
            except Exception as error:
                # One camera's stream must not stop the others.
                _log.exception("camera %s: its frames cannot be written", name)
                channel.lane.give_up(error)
        if failure is not None or self._store_error is not None or any(c.lane.writing for _, c in channels):
            try:
                self.store.commit()
                self._commits += 1
                self._last_commit_ns = self._clocks.wall_ns()
                for _, channel in channels:
                    channel.lane.committed()
            except StoreError as error:
                failure = failure or error
        self._judge(failure, now_ns)
        if failure is None or self._stopping.is_set():
            for name, channel in drained:
                if channel.leaving:
                    self._leave(name, channel)
        return failure is None

    @staticmethod
    def _drain(channel: _Channel, now_ns: int) -> None:
        leaving = channel.leaving
        channel.lane.drain(now_ns)
        if leaving:
            channel.lane.finish(now_ns)

    def _leave(self, name: str, channel: _Channel) -> None:
        with self._lock:
            self._channels.pop(name, None)
        if channel.reader.join(0):
            channel.lane.ring.close()
        channel.left.set()

    def _judge(self, failure: StoreError | None, now_ns: int) -> None:
        before, self._store_error = self._store_error, failure
        if failure is not None:
            self._store_failures += 1
            if before is None:
                self._failing_since_ns = now_ns
                _log.error("%s: the store takes nothing: %s", self.name, failure)
                self._emit(StoreFailed(str(failure)))
        elif before is not None:
            _log.warning("%s: the store works again", self.name)
            self._emit(StoreRecovered(now_ns - self._failing_since_ns))


def _status(channel: _Channel) -> CameraStatus:
    lane, reader = channel.lane, channel.reader.status()
    closed = lane.ring.closed
    return CameraStatus(
        camera=lane.name,
        mode=lane.mode,
        lease=lane.lease,
        state=reader.state,
        session=reader.session,
        sessions=reader.sessions,
        frames=reader.frames,
        bytes=reader.bytes,
        dropped_frames=reader.dropped_frames,
        lost_frames=lane.lost_frames,
        written_frames=lane.written_frames,
        written_bytes=lane.written_bytes,
        last_receipt_ns=reader.last_receipt_ns,
        durable_to_ns=lane.durable_to_ns,
        clock=lane.clock,
        error=reader.error or lane.error,
        ring_used_bytes=0 if closed else lane.ring.used_bytes,
        ring_bytes=0 if closed else lane.ring.capacity_bytes,
        failures=lane.failures,
        reader=reader,
    )
