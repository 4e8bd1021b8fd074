"""A reader under observation, and servers that are no cameras."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from fovideo.camera import CameraConfig, CameraState, SessionStart
from fovideo.camera.reader import Reader
from fovideo.errors import CameraError
from fovideo.ring import Kind, Ring, Units
from fovideo.times import NS_PER_MS, NS_PER_S

PATIENCE_S = 60.0


class Watched:
    """A reader with its ring; remembers all states and sessions."""

    def __init__(
        self, url: str, *, ring_bytes: int = 16 << 20, clocks: Any = None, loop: Any = None, **settings: Any
    ) -> None:
        """loop: the Ingest of a camera with ingest="native". settings: of CameraConfig."""
        quick = {
            "open_timeout_ns": 3 * NS_PER_S,
            "freeze_ns": 1 * NS_PER_S,
            "backoff_min_ns": 10 * NS_PER_MS,
            "backoff_max_ns": 100 * NS_PER_MS,
        }
        self.camera = CameraConfig(name="cam", url=url, **(quick | settings))
        self.ring = Ring(ring_bytes)
        self.states: list[CameraState] = []
        self.errors: list[str] = []
        self.sessions: list[SessionStart] = []
        self._changed = threading.Condition()
        self.reader = Reader(
            self.camera,
            self.ring,
            on_state=self._on_state,
            on_session=self._on_session,
            clocks=clocks,
            ingest=loop,
        )

    def _on_state(self, state: CameraState, error: CameraError | None) -> None:
        with self._changed:
            self.states.append(state)
            if error is not None:
                self.errors.append(str(error))
            self._changed.notify_all()

    def _on_session(self, start: SessionStart) -> None:
        with self._changed:
            self.sessions.append(start)
            self._changed.notify_all()

    def wait(self, condition: Callable[[], object], what: str) -> None:
        """Wait until something that the reader's thread changes has come true."""
        with self._changed:
            assert self._changed.wait_for(condition, PATIENCE_S), f"waited in vain for {what}: {self.states}"

    def wait_state(self, state: CameraState, times: int = 1) -> None:
        self.wait(lambda: self.states.count(state) >= times, f"{state} x {times}")

    def wait_frames(self, count: int) -> Units:
        """Rows of the ring, at least `count` of them frames."""
        found: list[Units] = []

        def enough() -> bool:
            found[:] = [self.ring.units(None, 1 << 20)]
            return int(np.count_nonzero(found[0]["kind"] == Kind.FRAME)) >= count

        with self._changed:
            for _ in range(int(PATIENCE_S / 0.02)):
                if enough():
                    return found[0]
                self._changed.wait(0.02)
        raise AssertionError(f"{len(found[0])} rows, {count} frames wanted; {self.states} {self.errors}")

    def stop(self) -> None:
        self.reader.stop()
        assert self.reader.join(PATIENCE_S)


@contextmanager
def watched(url: str, **settings: Any) -> Iterator[Watched]:
    """A started reader, stopped at the end."""
    made = Watched(url, **settings)
    made.reader.start()
    try:
        yield made
    finally:
        made.stop()


class Server:
    """A TCP server on loopback that treats each connection with `behave`, in a thread of its own."""

    def __init__(self, behave: Callable[[socket.socket], None]) -> None:
        self._behave = behave
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._connections: list[socket.socket] = []
        self._closed = False
        self.port: int = self._listener.getsockname()[1]
        self.url = f"rtsp://127.0.0.1:{self.port}/stream"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            if self._closed:
                connection.close()
                return
            self._connections.append(connection)
            threading.Thread(target=self._run, args=(connection,), daemon=True).start()

    def _run(self, connection: socket.socket) -> None:
        try:
            self._behave(connection)
        except OSError:
            pass

    def close(self) -> None:
        self._closed = True
        with socket.create_connection(("127.0.0.1", self.port)):
            pass
        self._thread.join()
        self._listener.close()
        for connection in self._connections:
            connection.close()

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def silence(connection: socket.socket) -> None:
    """Accepts, and never answers."""
    while connection.recv(4096):
        pass


def garbage(connection: socket.socket) -> None:
    """Answers everything with bytes that are no RTSP."""
    while connection.recv(4096):
        connection.sendall(bytes(range(1, 255)) * 20 + b"\r\n\r\n")
        connection.shutdown(socket.SHUT_WR)


def web(connection: socket.socket) -> None:
    """Answers as a web server does."""
    while connection.recv(4096):
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        connection.shutdown(socket.SHUT_WR)


def answers(status: str, headers: str = "") -> Callable[[socket.socket], None]:
    """Answers every RTSP request with this status."""

    def behave(connection: socket.socket) -> None:
        pending = b""
        while data := connection.recv(4096):
            pending += data
            while b"\r\n\r\n" in pending:
                request, _, pending = pending.partition(b"\r\n\r\n")
                number = next(
                    (
                        line.partition(b":")[2].strip().decode()
                        for line in request.split(b"\r\n")
                        if line.lower().startswith(b"cseq:")
                    ),
                    "0",
                )
                connection.sendall(f"RTSP/1.0 {status}\r\nCSeq: {number}\r\n{headers}\r\n".encode())

    return behave


def pass_through(
    connection: socket.socket, port: int, change: Callable[[bytes, int], bytes] = lambda data, passed: data
) -> None:
    """Pass on to a port of this machine; `change` gets what the server sends, and how much went before."""
    with socket.create_connection(("127.0.0.1", port)) as server:

        def back() -> None:
            passed = 0
            try:
                while data := server.recv(2048):
                    connection.sendall(change(data, passed))
                    passed += len(data)
            except OSError:
                pass
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

        thread = threading.Thread(target=back, daemon=True)
        thread.start()
        with contextlib.suppress(OSError):
            while data := connection.recv(2048):
                server.sendall(data)
