"""From an open camera into the ring: every unit with the facts as they were seen. Decides nothing."""

from __future__ import annotations

import threading

from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream

from fovideo.camera._connection import Connection
from fovideo.camera.assignment import Assignment
from fovideo.camera.demux import demux
from fovideo.camera.ending import Ending
from fovideo.camera.metadata import Documents
from fovideo.camera.open import Opened
from fovideo.camera.pace import Pace
from fovideo.camera.session_start import SessionStart
from fovideo.camera.tracks import SourceTrack
from fovideo.camera.translate import NO_ROOM
from fovideo.errors import CameraError, CameraFrozen, FileCutShort
from fovideo.media.codec import METADATA_TRACK, VIDEO_TRACK
from fovideo.media.frames import FrameFlag
from fovideo.media.nal import packing_of
from fovideo.ring import NO_TIME, Kind
from fovideo.times import NS_PER_MS, NS_PER_S

_FULL = 0.5  # share of the ring at which the consumer is woken, and a file waits
_BATCH_NS = 100 * NS_PER_MS  # as the native reader: a fraction of the durability
_ROOM_POLL_S = 0.02


class Delivery:
    """Puts one session's units into a ring: FORMAT before the first frame, END at the end."""

    def __init__(self, assignment: Assignment, opened: Opened) -> None:
        camera, clocks = assignment.camera, assignment.clocks
        self._opened, self._camera, self._clocks = opened, camera, clocks
        self._ring, self._number, self._counters = assignment.ring, assignment.number, assignment.counters
        self._stopping, self._listener = assignment.stopping, assignment.listener
        self._documents = Documents()
        self._announced = False
        self._start = SessionStart(
            tracks=tuple(source.track for source in opened.tracks),
            source=camera.source,
            session=assignment.name,
            wall_at_start_ns=clocks.wall_ns(),
            receipt_at_start_ns=clocks.monotonic_ns(),
            container_start_ns=opened.container_start_ns,
            live=not camera.is_file,
            is_file=camera.is_file,
            interval_ns=max(source.interval_ns for source in opened.tracks),
            # libavformat counts pts from an RTSP session's first packet, and loses that 0 in its parser.
            first_pts_ns=None if camera.is_file else 0,
            replayed=camera.is_file and not camera.realtime,
        )

    def run(self) -> None:
        """Deliver until the source ends or is stopped. Raises libavformat's errors and CameraError."""
        if self._camera.is_file:
            self._read_file()
        elif isinstance(self._opened.source, Connection):
            demux(
                self._opened.source,
                self._ring,
                self._opened.tracks,
                self._counters,
                session=self._number,
                freeze_ns=self._camera.freeze_ns,
                batch_ns=_BATCH_NS if self._camera.transport == "tcp" else 0,
                source=self._camera.source,
                start=self._start.encode(),
                on_live=self._went_live,
                on_pressure=self._listener.pressure,
                on_fragment=self._fragment,
            )
        else:
            self._read_camera()

    def end(self) -> None:
        """The session is over."""
        if self._announced:
            self._push_note(Kind.END, b"")

    def _read_camera(self) -> None:
        """PyAV's own loop: the way where the compiled one does not fit."""
        counters, freeze_ns = self._counters, self._camera.freeze_ns
        has_video = any(source.track.id == VIDEO_TRACK for source in self._opened.tracks)
        for packet, source in self._packets():
            receipt_ns = self._clocks.monotonic_ns()
            if not self._announced:
                self._announce()
                counters.last_video_ns = receipt_ns
            self._push(packet, source, receipt_ns)
            if source.track.id == VIDEO_TRACK:
                counters.last_video_ns = receipt_ns
            elif has_video and receipt_ns - counters.last_video_ns > freeze_ns:
                raise CameraFrozen("video is silent while other tracks go on", where=self._camera.source)

    def _read_file(self) -> None:
        """A file can wait: for its own time, and for room in the ring."""
        pace = Pace(self._clocks, self._stopping, realtime=self._camera.realtime)
        ending = Ending(self._opened)
        for packet, source in self._packets():
            if pace.wait(_pts_ns(packet, source)) or self._wait_for_room(packet.size):
                return
            ending.add(packet)
            if not self._announced:
                self._announce()
            self._push(packet, source, self._clocks.monotonic_ns())
        if not self._stopping.is_set() and (missing := ending.missing()):
            raise FileCutShort(missing, where=self._camera.source, hint="what it holds was read")

    def _packets(self) -> _Packets:
        return _Packets(self._opened, self._stopping)

    def _push(self, packet: Packet[Stream], source: SourceTrack, receipt_ns: int) -> None:
        pts_ns, wall_ns = _pts_ns(packet, source), _wall_ns(packet)
        if source.track.id == METADATA_TRACK:
            self._fragment(bytes(packet), pts_ns, wall_ns, receipt_ns)
            return
        flags = FrameFlag.CORRUPT if packet.is_corrupt else 0
        self._push_frame(source, packet, packet.size, pts_ns, wall_ns, receipt_ns, flags)

    def _fragment(self, payload: bytes, pts_ns: int, wall_ns: int, receipt_ns: int) -> None:
        source = next(each for each in self._opened.tracks if each.track.id == METADATA_TRACK)
        for document, its_pts_ns, its_wall_ns in self._documents.add(payload, pts_ns, wall_ns):
            self._push_frame(source, document, len(document), its_pts_ns, its_wall_ns, receipt_ns, 0)

    def _push_frame(
        self,
        source: SourceTrack,
        payload: Packet[Stream] | bytes,
        size: int,
        pts_ns: int,
        wall_ns: int,
        receipt_ns: int,
        flags: int,
    ) -> None:
        track, counters, ring = source.track, self._counters, self._ring
        pushed = ring.push_unit(
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
        if not pushed or ring.used_bytes > _FULL * ring.allowed_bytes:
            self._listener.pressure()

    def _announce(self) -> None:
        if not self._push_note(Kind.FORMAT, self._start.encode()):
            raise CameraError(NO_ROOM, where=self._camera.source)
        self._went_live()

    def _went_live(self) -> None:
        self._announced = True
        self._listener.live(self._start)

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
        """True when stopping."""
        ring = self._ring
        while ring.used_bytes and ring.used_bytes + size_bytes > _FULL * ring.allowed_bytes:
            self._listener.pressure()
            if self._stopping.wait(_ROOM_POLL_S):
                return True
        return self._stopping.is_set()


class _Packets:
    """The packets of the tracks that are recorded, until the source ends or the session is stopped."""

    def __init__(self, opened: Opened, stopping: threading.Event) -> None:
        container = opened.source
        assert isinstance(container, InputContainer)
        self._tracks = {source.index: source for source in opened.tracks}
        self._packets = iter(container.demux([container.streams[index] for index in self._tracks]))
        self._stopping = stopping

    def __iter__(self) -> _Packets:
        return self

    def __next__(self) -> tuple[Packet[Stream], SourceTrack]:
        while True:
            packet = next(self._packets)
            if self._stopping.is_set():
                raise StopIteration
            if packet.size:  # PyAV ends with empty ones
                return packet, self._tracks[packet.stream_index]


def _pts_ns(packet: Packet[Stream], source: SourceTrack) -> int:
    pts = packet.pts
    return NO_TIME if pts is None else pts * source.numerator * NS_PER_S // source.denominator


def _wall_ns(packet: Packet[Stream]) -> int:
    """Wall clock that the sender reports (or a file's prft boxes) give for the packet."""
    if not packet.has_sidedata("prft"):
        return NO_TIME
    data = bytes(packet.get_sidedata("prft"))
    return int.from_bytes(data[:8], "little", signed=True) * 1000 if len(data) >= 8 else NO_TIME
