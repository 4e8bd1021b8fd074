"""The worker: python -m fovideo.camera.shard.process FD. Reads cameras into rings until its socket closes."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import sys
import threading
import time

from fovideo.camera.native import Ingest
from fovideo.camera.reader import Reader
from fovideo.camera.shard.messages import (
    LARGEST_BYTES,
    Known,
    Leave,
    News,
    Pressure,
    Read,
    Session,
    State,
    decode_order,
    encode,
)
from fovideo.camera.state import CameraState, ReaderStatus
from fovideo.errors import CameraError
from fovideo.platform import allow_bursts, keep_memory_small
from fovideo.ring import Ring

_WATCH_S = 0.1
_TELL_EVERY = 3  # watches
_STOP_S = 0.5


class Worker:
    """Readers by key, and what was told of them."""

    def __init__(self, link: socket.socket) -> None:
        self._link = link
        self._sending = threading.Lock()
        self._readers: dict[int, tuple[Reader, Ring]] = {}
        self._told: dict[int, ReaderStatus] = {}
        self._ingest = Ingest()
        self._over = threading.Event()

    def run(self) -> None:
        """Until the recorder is gone, or closes the socket."""
        watching = threading.Thread(target=self._watch, name="watch", daemon=True)
        watching.start()
        try:
            while True:
                data, descriptors, _, _ = socket.recv_fds(self._link, LARGEST_BYTES, 1)
                if not data:
                    break
                order = decode_order(data)
                if isinstance(order, Leave):
                    self._leave(order.key)
                    continue
                ring = Ring(0, fd=descriptors[0])
                os.close(descriptors[0])
                self._read(order, ring)
        except ConnectionError:
            pass
        finally:
            self._over.set()
            watching.join()
            for reader, _ in self._readers.values():
                reader.stop()
            deadline = time.monotonic() + _STOP_S
            for reader, _ in self._readers.values():
                reader.join(max(deadline - time.monotonic(), 0))
            self._ingest.close()

    def _read(self, order: Read, ring: Ring) -> None:
        key = order.key

        def on_state(state: CameraState, error: CameraError | None) -> None:
            self._say(State(key, state, "" if error is None else str(error)))

        reader = Reader(
            order.camera,
            ring,
            on_state=on_state,
            on_session=lambda start: self._say(Session(key, start)),
            on_pressure=lambda: self._say(Pressure(key)),
            ingest=self._ingest,
            sessions=order.sessions,
        )
        reader.start()
        self._readers[key] = reader, ring  # from now on it is watched

    def _leave(self, key: int) -> None:
        known = self._readers.get(key)
        if known is not None:
            known[0].stop()

    def _watch(self) -> None:
        """Notice frozen cameras, and tell what is new of all."""
        number = 0
        while not self._over.wait(_WATCH_S):
            number += 1
            now_ns = time.monotonic_ns()
            for key, (reader, ring) in list(self._readers.items()):
                reader.check(now_ns)
                ended = reader.join(0)
                if ended or number % _TELL_EVERY == 0:
                    self._tell(key, reader, ended)
                if ended:
                    del self._readers[key]
                    self._told.pop(key, None)
                    ring.close()

    def _tell(self, key: int, reader: Reader, ended: bool) -> None:
        status = reader.status()
        if ended or status != self._told.get(key):
            self._told[key] = status
            self._say(Known(key, status, ended))

    def _say(self, news: News) -> None:
        with self._sending, contextlib.suppress(OSError):
            self._link.send(encode(news))


def main() -> None:
    """Signals for the group of processes are the recorder's affair: it closes the socket when it is done."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    keep_memory_small()
    allow_bursts()
    with socket.socket(fileno=int(sys.argv[1])) as link:
        Worker(link).run()


if __name__ == "__main__":
    main()
