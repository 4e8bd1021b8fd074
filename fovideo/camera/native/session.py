"""One native session: set up in Python, read by the event loop, watched over by the thread that runs it."""

from __future__ import annotations

import logging
import os
import threading

from fovideo.camera import _native
from fovideo.camera._native import Flow
from fovideo.camera.assignment import Assignment
from fovideo.camera.native.client import GARBAGE, RtspClient, redirected
from fovideo.camera.native.dialog import Playing, play
from fovideo.camera.native.ingest import Ingest
from fovideo.camera.native.message import Request, Response, encode_response, parse_message
from fovideo.camera.native.offer import NotServed
from fovideo.camera.native.tls import without_tls
from fovideo.camera.reach import dial
from fovideo.camera.session_start import SessionStart
from fovideo.camera.translate import NO_ROOM, SILENT
from fovideo.errors import CameraBroken, CameraError, CameraFrozen, CameraUnreachable
from fovideo.ring import NO_TIME, Kind
from fovideo.times import NS_PER_S

_log = logging.getLogger(__name__)

_UNAUTHORIZED, _SESSION_NOT_FOUND = 401, 454


class NativeSession:
    """One connection to a camera, from opening to its end; used like fovideo.camera.session.Session.

    It belongs to the thread that runs it; `interrupt`, `check` and `sync` may be called by others.
    """

    def __init__(self, assignment: Assignment, ingest: Ingest) -> None:
        self._assignment, self._ingest = assignment, ingest
        self._camera, self._stopping, self._clocks = assignment.camera, assignment.stopping, assignment.clocks
        self._lock = threading.Lock()
        self._client: RtspClient | None = None
        self._flow: Flow | None = None
        counters = assignment.counters
        self._before = (counters.frames, counters.bytes, counters.dropped_frames)
        self._lost = 0
        self._due_ns = 0
        self._answered = True

    def run(self) -> None:
        """Deliver until the session is stopped. Raises CameraError for everything else, and NotServed, before
        anything went into the ring, for what libavformat has to read.
        """
        is_plain = self._camera.url.lower().startswith("rtsp://")
        if not is_plain and not self._camera.is_replay:
            raise NotServed("not plain RTSP")
        deadline_ns = self._clocks.monotonic_ns() + self._camera.open_timeout_ns
        connection = dial(
            self._camera,
            stopping=self._stopping.is_set,
            timeout_ns=self._camera.open_timeout_ns,
            now_ns=self._clocks.monotonic_ns,
        )
        if connection is None:
            return
        if not is_plain:
            left_ns = max(deadline_ns - self._clocks.monotonic_ns(), NS_PER_S)
            connection = without_tls(self._camera, connection, left_ns / NS_PER_S)
        with RtspClient(
            self._camera, connection, deadline_ns=deadline_ns, now_ns=self._clocks.monotonic_ns
        ) as client:
            try:
                self._converse(client)
            except CameraError:
                # What a connection says that was shut down by `interrupt` means nothing.
                if not self._stopping.is_set():
                    raise

    def interrupt(self) -> None:
        """End the session, whatever it waits for. Any thread."""
        with self._lock:
            if self._flow is not None:
                self._flow.leave()
            elif self._client is not None:
                self._client.abort()
        self._ingest.wake()

    def check(self, now_ns: int) -> None:
        """The event loop notices silence by itself."""

    def sync(self) -> int:
        """Bring the counters up to date; returns the packets that this session has lost. Any thread."""
        with self._lock:
            flow, counters = self._flow, self._assignment.counters
            if flow is None:
                return self._lost
            frames, size_bytes, dropped = self._before
            counters.frames = frames + flow.frames
            counters.bytes = size_bytes + flow.bytes
            counters.dropped_frames = dropped + flow.dropped_frames
            counters.last_receipt_ns = max(counters.last_receipt_ns, flow.last_receipt_ns)
            self._lost = flow.counters()["lost"]
            return self._lost

    def _converse(self, client: RtspClient) -> None:
        with self._lock:
            self._client = client
        try:
            if self._stopping.is_set():
                return
            playing = play(client)
        finally:
            with self._lock:
                self._client = None
        try:
            self._deliver(client, playing)
        finally:
            client.tear_down()
            playing.close()

    def _deliver(self, client: RtspClient, playing: Playing) -> None:
        start = SessionStart(
            tracks=playing.recorded,
            source=self._camera.source,
            session=self._assignment.name,
            wall_at_start_ns=self._clocks.wall_ns(),
            receipt_at_start_ns=self._clocks.monotonic_ns(),
            interval_ns=playing.interval_ns,
            replayed=self._camera.is_replay,
        )
        flow = Flow(
            self._assignment.ring,
            session=self._assignment.number,
            start=start.encode(),
            freeze_ns=self._camera.freeze_ns,
        )
        playing.attach(flow)
        early = client.release()
        if early:
            flow.feed(early, self._clocks.monotonic_ns())
        with self._lock:
            self._ingest.add(flow, client.connection)
            self._flow = flow
        if self._stopping.is_set():
            self.interrupt()
        try:
            self._due_ns = self._clocks.monotonic_ns() + round(playing.keep_alive_s * NS_PER_S)
            while not flow.ended:
                self._attend(flow, client, playing, start)
        finally:
            while not flow.ended:
                self.interrupt()
                flow.wait()
            self._finish(flow)
        self._judge(flow)

    def _attend(self, flow: Flow, client: RtspClient, playing: Playing, start: SessionStart) -> None:
        """Wait for news of the flow and deal with it."""
        events = flow.wait(max(0, self._due_ns - self._clocks.monotonic_ns()) / NS_PER_S)
        if events & _native.LIVE:
            self._assignment.listener.live(start)
        if events & _native.PRESSURE:
            self._assignment.listener.pressure()
        if events & _native.MESSAGE:
            for data in flow.messages():
                self._hear(data, flow, client, playing)
        now_ns = self._clocks.monotonic_ns()
        if now_ns >= self._due_ns:
            self._due_ns = now_ns + round(playing.keep_alive_s * NS_PER_S)
            self._answered = False
            flow.send(client.encode(playing.keep_alive, playing.url))

    def _hear(self, data: bytes, flow: Flow, client: RtspClient, playing: Playing) -> None:
        """A message that came between packets: the answer to a sign of life, or a request."""
        try:
            message = parse_message(data)
        except ValueError:
            return
        if isinstance(message, Request):
            if message.method == "REDIRECT":
                raise redirected(self._camera, message.headers.first("location"))
            served = message.method in ("OPTIONS", "GET_PARAMETER", "SET_PARAMETER", "ANNOUNCE")
            status, reason = (200, "OK") if served else (501, "Not Implemented")
            flow.send(encode_response(status, reason, message.headers.first("cseq")))
        else:
            self._hear_answer(message, flow, client, playing)

    def _hear_answer(self, answer: Response, flow: Flow, client: RtspClient, playing: Playing) -> None:
        first, self._answered = not self._answered, True
        if answer.status == _UNAUTHORIZED and first and client.challenged(answer):
            flow.send(client.encode(playing.keep_alive, playing.url))
        elif answer.status == _SESSION_NOT_FOUND:
            raise CameraUnreachable("the camera has forgotten the session", where=self._camera.source)
        elif answer.status >= 400 and playing.keep_alive != "OPTIONS":
            playing.keep_alive = "OPTIONS"

    def _finish(self, flow: Flow) -> None:
        """The flow has ended: the ring is this thread's again."""
        self._ingest.forget(flow)
        self.sync()
        with self._lock:
            self._flow = None
        _log.debug("camera %s: %s", self._camera.name, flow.counters())
        if flow.announced:
            self._assignment.ring.push_unit(
                kind=Kind.END,
                track=0,
                pts_ns=NO_TIME,
                wall_ns=NO_TIME,
                receipt_ns=self._clocks.monotonic_ns(),
                session=self._assignment.number,
                payload=b"",
            )

    def _judge(self, flow: Flow) -> None:
        """Raise what the flow's end means."""
        where = self._camera.source
        if self._stopping.is_set():
            return
        if self._camera.is_replay and flow.end == _native.END_BYE:
            return
        match flow.end:
            case _native.END_EOF | _native.END_BYE:
                raise CameraUnreachable("the camera ended the stream", where=where)
            case _native.END_ERROR:
                raise CameraUnreachable(f"connection lost: {os.strerror(flow.error)}", where=where)
            case _native.END_FROZEN:
                raise CameraFrozen(SILENT, where=where)
            case _native.END_NO_VIDEO:
                raise CameraFrozen("video is silent while other tracks go on", where=where)
            case _native.END_GARBAGE:
                raise CameraBroken(GARBAGE, where=where)
            case _native.END_NO_ROOM:
                raise CameraError(NO_ROOM, where=where)
            case _:
                raise CameraError("the event loop has ended", where=where)
