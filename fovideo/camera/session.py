"""One session with a camera: every unit goes into the ring with the facts as seen; nothing is decided.

The session belongs to the thread that runs it; `interrupt` and `check` may be called by others.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import msgspec
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream

from fovideo.camera.config import CameraConfig
from fovideo.camera.interrupt import can_interrupt, interrupt
from fovideo.camera.metadata import Documents
from fovideo.camera.open import Opened, open_camera
from fovideo.camera.reach import reach
from fovideo.camera.session_start import SessionStart
from fovideo.camera.tracks import SourceTrack
from fovideo.camera.translate import translated
from fovideo.errors import CameraError, CameraFrozen, CameraUnreachable
from fovideo.media.codec import METADATA_TRACK, VIDEO_TRACK
from fovideo.media.frames import FrameFlag
from fovideo.media.nal import packing_of
from fovideo.ring import NO_TIME, Kind, Ring
from fovideo.times import NS_PER_S

_FULL = 0.5  # share of the ring at which the consumer is woken, and a file waits
_ROOM_POLL_S = 0.02


class Clocks(msgspec.Struct, frozen=True):
    """The machine's clocks, handed in."""

    monotonic_ns: Callable[[], int] = time.monotonic_ns
    wall_ns: Callable[[], int] = time.time_ns


class Counters:
    """What a camera's reader thread counts, over all sessions. Written by that thread only, read by any."""

    def __init__(self) -> None:
        self.sessions = 0
        self.frames = 0
        self.bytes = 0
        self.dropped_frames = 0
        self.last_receipt_ns = 0
        self.last_video_ns = 0


class Session:
    """One connection to a camera, from opening to its end."""

    def __init__(
        self,
        camera: CameraConfig,
        ring: Ring,
        *,
        number: int,
        name: str,
        stopping: threading.Event,
        counters: Counters,
        clocks: Clocks,
        on_live: Callable[[SessionStart], None],
        on_pressure: Callable[[], None],
    ) -> None:
        """number, name: of the session: in this ring, and as 16 hex digits. on_live: the first frame came.
        on_pressure: the ring fills up and should be drained."""
        self._camera, self._ring, self._number, self._name = camera, ring, number, name
        self._stopping, self._counters, self._clocks = stopping, counters, clocks
        self._on_live, self._on_pressure = on_live, on_pressure
        self._lock = threading.Lock()
        self._container: InputContainer | None = None
        self._interruptible = False
        self._announced = False
        self._deadline_from_ns = 0

    def run(self) -> None:
        """Deliver until the file ends or the session is stopped. Raises CameraError for everything else."""
        if not self._camera.is_file:
            reach(
                self._camera,
                stopping=self._stopping.is_set,
                timeout_ns=self._camera.open_timeout_ns,
                now_ns=self._clocks.monotonic_ns,
            )
            if self._stopping.is_set():
                return
        opened = self._open()
        try:
            with translated(self._camera, opening=False):
                self._deliver(opened)
        except CameraFrozen:
            if not self._stopping.is_set():
                raise
        finally:
            with self._lock:
                self._container = None
            opened.container.close()
            if self._announced:
                self._push_note(Kind.END, b"")
        if not self._stopping.is_set() and not self._camera.is_file:
            raise CameraUnreachable("the camera ended the stream", where=self._camera.source)

    def interrupt(self) -> None:
        """Make a blocked read return, if it can be. Any thread."""
        with self._lock:
            if self._container is not None and self._interruptible:
                interrupt(self._container)

    def check(self, now_ns: int) -> None:
        """Interrupt the session if it has been silent for too long. Any thread, a few times a second."""
        if self._camera.is_file or not self._deadline_from_ns:
            return
        if now_ns - max(self._deadline_from_ns, self._counters.last_receipt_ns) > self._camera.freeze_ns:
            self.interrupt()

    def _open(self) -> Opened:
        opened = open_camera(self._camera)
        interruptible = can_interrupt(opened.container)
        if not interruptible and not self._camera.is_file:
            opened.container.close()
            opened = open_camera(self._camera, read_timeout_ns=self._camera.freeze_ns)
        with self._lock:
            self._container, self._interruptible = opened.container, interruptible
        self._deadline_from_ns = self._clocks.monotonic_ns()
        return opened

    def _deliver(self, opened: Opened) -> None:
        container, tracks = opened.container, {source.index: source for source in opened.tracks}
        has_video = any(source.track.id == VIDEO_TRACK for source in opened.tracks)
        start = self._session_start(opened)
        documents = Documents()
        pace = _Pace(self._camera, self._clocks, self._stopping)
        for packet in container.demux([container.streams[index] for index in tracks]):
            receipt_ns = self._clocks.monotonic_ns()
            if self._stopping.is_set():
                return
            if not packet.size:
                continue
            source = tracks[packet.stream_index]
            pts_ns = _pts_ns(packet, source)
            if not self._announced:
                self._announce(start)
                self._counters.last_video_ns = receipt_ns
                self._on_live(start)
            if self._camera.is_file:
                if pace.wait(pts_ns) or self._wait_for_room(packet.size):
                    return
                receipt_ns = self._clocks.monotonic_ns()
            if source.track.id == METADATA_TRACK:
                for document, its_pts_ns, its_wall_ns in documents.add(
                    bytes(packet), pts_ns, _wall_ns(packet)
                ):
                    self._push(source, document, its_pts_ns, its_wall_ns, receipt_ns)
            else:
                corrupt = bool(packet.is_corrupt)
                self._push(source, packet, pts_ns, _wall_ns(packet), receipt_ns, corrupt=corrupt)
            if source.track.id == VIDEO_TRACK:
                self._counters.last_video_ns = receipt_ns
            elif has_video and not self._camera.is_file:
                self._check_video(receipt_ns)

    def _check_video(self, now_ns: int) -> None:
        if now_ns - self._counters.last_video_ns > self._camera.freeze_ns:
            raise CameraFrozen("video is silent while other tracks go on", where=self._camera.source)

    def _session_start(self, opened: Opened) -> SessionStart:
        rate = next((_rate(opened.container, s) for s in opened.tracks if s.track.id == VIDEO_TRACK), 0)
        return SessionStart(
            tracks=tuple(source.track for source in opened.tracks),
            source=self._camera.source,
            session=self._name,
            wall_at_start_ns=self._clocks.wall_ns(),
            receipt_at_start_ns=self._clocks.monotonic_ns(),
            container_start_ns=opened.container_start_ns,
            live=not self._camera.is_file,
            is_file=self._camera.is_file,
            interval_ns=rate,
        )

    def _push(
        self,
        source: SourceTrack,
        payload: Packet[Stream] | bytes,
        pts_ns: int,
        wall_ns: int,
        receipt_ns: int,
        *,
        corrupt: bool = False,
    ) -> None:
        track, counters = source.track, self._counters
        size = payload.size if isinstance(payload, Packet) else len(payload)
        flags = FrameFlag.CORRUPT if corrupt else 0
        pushed = self._ring.push_unit(
            kind=Kind.FRAME,
            track=track.id,
            pts_ns=pts_ns,
            wall_ns=wall_ns,
            receipt_ns=receipt_ns,
            session=self._number,
            payload=payload,
            packing=packing_of(track.codec, annexb=not source.nal_length_size),
            flags=flags if track.codec.is_video else flags | FrameFlag.KEY,
            length_size=source.nal_length_size or 4,
        )
        counters.last_receipt_ns = receipt_ns
        counters.frames += 1
        if pushed:
            counters.bytes += size
        else:
            counters.dropped_frames += 1
        if not pushed or self._ring.used_bytes > _FULL * self._ring.capacity_bytes:
            self._on_pressure()

    def _announce(self, start: SessionStart) -> None:
        if not self._push_note(Kind.FORMAT, start.encode()):
            raise CameraError("no room in memory for a new session: the disk is too slow", where=start.source)
        self._announced = True

    def _push_note(self, kind: Kind, payload: bytes) -> bool:
        return self._ring.push_unit(
            kind=kind,
            track=0,
            pts_ns=NO_TIME,
            wall_ns=NO_TIME,
            receipt_ns=self._clocks.monotonic_ns(),
            session=self._number,
            payload=payload,
        )

    def _wait_for_room(self, size_bytes: int) -> bool:
        """A file can wait for the disk. True when stopping."""
        ring = self._ring
        while ring.used_bytes and ring.used_bytes + size_bytes > _FULL * ring.capacity_bytes:
            self._on_pressure()
            if self._stopping.wait(_ROOM_POLL_S):
                return True
        return self._stopping.is_set()


class _Pace:
    """Delivers a file at the pace of its own clock, when the camera is configured so."""

    def __init__(self, camera: CameraConfig, clocks: Clocks, stopping: threading.Event) -> None:
        self._realtime, self._clocks, self._stopping = camera.realtime, clocks, stopping
        self._offset: int | None = None

    def wait(self, pts_ns: int) -> bool:
        """Wait until a frame of this pts is due. True when stopping."""
        if not self._realtime or pts_ns == NO_TIME:
            return self._stopping.is_set()
        now_ns = self._clocks.monotonic_ns()
        if self._offset is None:
            self._offset = now_ns - pts_ns
        return self._stopping.wait(max(self._offset + pts_ns - now_ns, 0) / NS_PER_S)


def _pts_ns(packet: Packet[Stream], source: SourceTrack) -> int:
    pts = packet.pts
    return NO_TIME if pts is None else pts * source.numerator * NS_PER_S // source.denominator


def _wall_ns(packet: Packet[Stream]) -> int:
    """Wall clock that the sender reports (or a file's prft boxes) give for the packet."""
    if not packet.has_sidedata("prft"):
        return NO_TIME
    data = bytes(packet.get_sidedata("prft"))
    return int.from_bytes(data[:8], "little", signed=True) * 1000 if len(data) >= 8 else NO_TIME


def _rate(container: InputContainer, source: SourceTrack) -> int:
    """Frame interval in ns that the container announces, 0 when it does not."""
    stream = container.streams[source.index]
    rate = getattr(stream, "average_rate", None)
    return round(NS_PER_S / rate) if rate and 1 / 60 < rate < 1000 else 0
