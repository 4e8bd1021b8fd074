"""The recorder: a reader thread per camera, one writer thread per store, one that notices frozen cameras."""

from __future__ import annotations

import logging
import random
import threading
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

from fovideo.camera.clocks import Clocks
from fovideo.camera.config import CameraConfig
from fovideo.camera.native import Ingest
from fovideo.camera.reader import Reader
from fovideo.camera.session_start import SessionStart
from fovideo.camera.shard import Shard, ShardReader, can_shard
from fovideo.camera.state import CameraState
from fovideo.errors import CameraError, UsageError
from fovideo.platform import give_memory_back, usable_memory_bytes
from fovideo.record.channel import Channel
from fovideo.record.events import Event, Mode, SessionBegan, StateChanged, tell
from fovideo.record.lane import Intent, Lane
from fovideo.record.memory import shares
from fovideo.record.status import CameraStatus, StoreStatus
from fovideo.record.tap import Tap
from fovideo.record.writer import Writer
from fovideo.ring import Ring
from fovideo.times import NS_PER_S

if TYPE_CHECKING:
    from fovideo.store import Store

_log = logging.getLogger(__name__)

# Of a ring: pages that stay cost nothing to fill again. Half a second of 2 Mbit/s beside libavformat, which
# takes memory itself; else what a round brings.
_KEPT_BYTES = {"pyav": 128 << 10, "native": 320 << 10}
_WATCH_S = 0.1
_OPENED_NS = 5 * NS_PER_S  # after the last camera was opened, what that took is given back
_STOP_S = 0.5


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
        workers: int = 0,
        memory_bytes: int = 0,
    ) -> None:
        """
        store: open for writing; stays open after close.
        name: goes into the provenance of what is recorded.
        durability_ns: a crash loses at most this much of what was received.
        workers: processes that share the network cameras; one that crashes takes down only its own, and is
            started again. 0, or where rings cannot be shared between processes: threads of this one.
        memory_bytes: for frames of all cameras that are not durable yet, and their pre-rolls in standby; they
            share it in proportion to their ring_bytes. 0 = half of what the process may use. A camera whose
            share is full loses frames up to a keyframe that fits, which are counted and reported.
        """
        if durability_ns <= 0:
            raise UsageError("durability must be positive")
        if memory_bytes < 0:
            raise UsageError("memory must not be negative")
        if workers < 0:
            raise UsageError(f"{workers} workers", hint="0 = cameras are read by this process")
        self.store, self.name = store, name
        self._on_event = on_event
        self._clocks = clocks or Clocks()
        self._chance = chance or random.Random()
        self._memory_bytes = int(memory_bytes) or usable_memory_bytes() // 2
        self._lock = threading.Lock()
        self._channels: dict[str, Channel] = {}
        self._ingest: Ingest | None = None  # made for the first camera that is read natively
        if workers and not can_shard():
            _log.warning("rings cannot be shared between processes here: no workers")
            workers = 0
        self._shards = [Shard(number) for number in range(workers)]
        self._opened_ns = 0
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._writer = Writer(
            store,
            name,
            durability_ns=durability_ns,
            clocks=self._clocks,
            channels=self._all_channels,
            on_left=self._forget,
            emit=self._emit,
        )

    # cameras

    def add(
        self, camera: CameraConfig, *, mode: Mode = Mode.RECORD, lease: int = 0, pending: bool = False
    ) -> None:
        """Begin with a camera; its stream has its name. UsageError if there is one of that name."""
        ring = Ring(camera.ring_bytes, keep_bytes=min(_KEPT_BYTES[camera.ingest], camera.ring_bytes // 8))
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
            self._opened_ns = self._clocks.monotonic_ns()
            self._emit(SessionBegan(camera.name, start.session))

        with self._lock:
            if self._stopping.is_set():
                raise UsageError("the recorder is closed")
            if camera.name in self._channels:
                raise UsageError("there is a camera of this name already", where=camera.name)
            reader: Reader | ShardReader
            if self._shards and not camera.is_file:
                reader = ShardReader(
                    camera,
                    ring,
                    self._emptiest_shard(),
                    on_state=on_state,
                    on_session=on_session,
                    on_pressure=self._writer.wake,
                    now_ns=self._clocks.monotonic_ns,
                )
            else:
                if camera.ingest == "native" and self._ingest is None:
                    self._ingest = Ingest()
                reader = Reader(
                    camera,
                    ring,
                    on_state=on_state,
                    on_session=on_session,
                    on_pressure=self._writer.wake,
                    clocks=self._clocks,
                    chance=self._chance,
                    ingest=self._ingest,
                )
            self._channels[camera.name] = Channel(reader, lane)
            self._share_memory()
            if self._threads:
                reader.start()

    def remove(self, name: str, timeout_s: float | None = None) -> bool:
        """End with a camera: what it delivered is written first. UsageError if there is none of that name.

        False when it takes longer, as it does while the store takes nothing: it then ends later.
        """
        channel = self._channel(name)
        channel.reader.stop()
        channel.reader.join(_STOP_S)
        channel.leaving = True
        if not self._threads:
            self._writer.tick()
        self._writer.wake()
        deadline_ns = None if timeout_s is None else self._clocks.monotonic_ns() + round(timeout_s * NS_PER_S)
        while not channel.left.wait(_WATCH_S) and not self._stopping.is_set():
            if deadline_ns is not None and self._clocks.monotonic_ns() > deadline_ns:
                return False
        return True

    def set_mode(self, name: str, mode: Mode, *, lease: int = 0, pending: bool = False) -> None:
        """Record, or stand by. Takes effect within moments; `flush` waits for it.

        To RECORD: what the ring holds (the pre-roll) is written first. To STANDBY: what came so far is.
        lease, pending: see Provenance.lease and GopFlag.PENDING; new ones begin a new segment.
        """
        self._channel(name).lane.want(Intent(mode, lease, pending))
        self._writer.wake()

    def tap(self, name: str) -> Tap:
        """The camera's frames as they arrive, also in standby; see Tap. UsageError: no camera of that name.

        Recording is not slowed by it, whatever is done with the frames. Close it when done.
        """
        return self._channel(name).lane.tap()

    def _emptiest_shard(self) -> Shard:
        """By cameras that are known, started or not."""
        count = Counter(
            channel.reader.shard.number
            for channel in self._channels.values()
            if isinstance(channel.reader, ShardReader)
        )
        return min(self._shards, key=lambda shard: count[shard.number])

    @property
    def workers(self) -> list[int]:
        """Process ids of the workers that run."""
        return [shard.pid for shard in self._shards if shard.pid is not None]

    def _channel(self, name: str) -> Channel:
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
                threading.Thread(target=self._writer.run, name=f"writer-{self.name}", daemon=True),
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
        return bool(self._threads) and self._writer.flush(timeout_s)

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
        if self._ingest is not None:
            self._ingest.close()
        for shard in self._shards:
            shard.close()
        self._writer.stop()
        for thread in self._threads:
            thread.join()
        with self._lock:
            self._channels = {channel.lane.name: channel for channel in channels}
        if not self._threads:
            self._writer.tick()
        if self._writer.error is not None:
            raise self._writer.error

    def __enter__(self) -> Recorder:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # what is known

    def status(self) -> dict[str, CameraStatus]:
        """All cameras, by name; once closed, how each of them ended."""
        with self._lock:
            channels = dict(self._channels)
        return {name: channel.status() for name, channel in channels.items()}

    @property
    def memory_bytes(self) -> int:
        """What the rings of all cameras may hold together."""
        return self._memory_bytes

    def store_status(self) -> StoreStatus:
        return self._writer.status()

    def _all_channels(self) -> list[Channel]:
        with self._lock:
            return list(self._channels.values())

    def _forget(self, channel: Channel) -> None:
        with self._lock:
            self._channels.pop(channel.lane.name, None)
            self._share_memory()

    def _share_memory(self) -> None:
        """Among the cameras that there are now; `_lock` is held."""
        rings = {name: channel.lane.ring for name, channel in self._channels.items()}
        wanted = {name: ring.capacity_bytes for name, ring in rings.items() if not ring.closed}
        for name, size in shares(wanted, self._memory_bytes).items():
            if size != rings[name].allowed_bytes:
                rings[name].restrict(size if size < wanted[name] else 0)

    def _emit(self, event: Event) -> None:
        tell(self._on_event, event)

    def _watch(self) -> None:
        while not self._stopping.wait(_WATCH_S):
            now_ns = self._clocks.monotonic_ns()
            for channel in self._all_channels():
                channel.reader.check(now_ns)
            if self._opened_ns and now_ns - self._opened_ns > _OPENED_NS:
                self._opened_ns = 0
                give_memory_back()
