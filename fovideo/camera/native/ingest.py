"""The event loop of a recorder's native sessions, and its thread."""

from __future__ import annotations

import socket
import threading
import weakref
from types import TracebackType
from typing import Self

from fovideo.camera._native import Flow, Loop
from fovideo.errors import CameraError, UsageError
from fovideo.platform import run_before_others
from fovideo.times import NS_PER_MS


class Ingest:
    """Reads the connections of many cameras on one thread, which starts with the first of them.

    All methods may be called by any thread. One that is not closed ends with the interpreter.
    """

    def __init__(
        self, *, batch_ns: int = 100 * NS_PER_MS, datagram_ns: int = 20 * NS_PER_MS, portable: bool = False
    ) -> None:
        """batch_ns: how long packets may wait in a connection to be read together; datagram_ns: those that
        come by UDP, for which systems keep little room. portable: do without what only Linux has.
        """
        if batch_ns <= 0 or datagram_ns <= 0:
            raise UsageError("a batch must be longer than nothing")
        wake, alarm = socket.socketpair()
        for end in (wake, alarm):
            end.setblocking(False)
        self._loop = Loop(
            wake.fileno(), alarm.fileno(), batch_ns=batch_ns, datagram_ns=datagram_ns, portable=portable
        )
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=_run, args=(self._loop,), name="native-ingest", daemon=True)
        # The compiled loop must not outlive the interpreter, whose objects it works on.
        self._end = weakref.finalize(self, _end, self._loop, self._thread, (wake, alarm))

    def add(self, flow: Flow, connection: socket.socket) -> None:
        """Serve a flow until it ends. Its sockets are non-blocking and stay open that long.

        Raises CameraError when the loop is closed.
        """
        with self._lock:
            if not self._end.alive:
                raise CameraError("the event loop has ended")
            if self._thread.ident is None:
                self._thread.start()
        self._loop.add(flow, connection.fileno())

    def forget(self, flow: Flow) -> None:
        """Let go of a flow that has ended."""
        self._loop.forget(flow)

    def wake(self) -> None:
        """Make the loop look at what was asked of flows."""
        with self._lock:
            if self._end.alive:
                self._loop.wake()

    @property
    def sessions(self) -> int:
        """Connections that are being read."""
        return self._loop.seated

    @property
    def loop(self) -> Loop:
        """For its counters."""
        return self._loop

    def close(self) -> None:
        """End all flows and the thread. May be called twice."""
        with self._lock:
            self._end()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _run(loop: Loop) -> None:
    run_before_others()
    loop.run()


def _end(loop: Loop, thread: threading.Thread, sockets: tuple[socket.socket, ...]) -> None:
    loop.stop()
    if thread.ident is not None:
        thread.join()
    for each in sockets:
        each.close()
