"""A worker process as its recorder sees it: started when needed, started again when it dies."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

from fovideo.camera.shard.messages import LARGEST_BYTES, Leave, Order, Read, decode_news, encode

if TYPE_CHECKING:
    from fovideo.camera.shard.reader import ShardReader

_log = logging.getLogger(__name__)

_LASTED_S = 10.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 8.0
_END_S = 2.0


def can_shard() -> bool:
    """Whether rings can be shared with another process here."""
    return sys.platform.startswith("linux")


class Shard:
    """Some of a recorder's cameras, read by a process of their own. Methods may be called by any thread."""

    def __init__(self, number: int) -> None:
        self.number = number
        self._lock = threading.Lock()
        self._readers: dict[int, ShardReader] = {}
        self._leaving: set[int] = set()
        self._last_key = 0
        self._link: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._thread: threading.Thread | None = None
        self._closing = threading.Event()
        self.starts = 0

    @property
    def pid(self) -> int | None:
        """Of the worker, if it runs."""
        process = self._process
        return None if process is None or process.poll() is not None else process.pid

    def read(self, reader: ShardReader) -> None:
        """Read another camera."""
        with self._lock:
            self._last_key = reader.key = self._last_key + 1
            self._readers[reader.key] = reader
            if self._link is not None:
                self._order_read(reader)
            elif self._thread is None and not self._closing.is_set():
                self._thread = threading.Thread(target=self._run, name=f"shard-{self.number}", daemon=True)
                self._thread.start()

    def leave(self, reader: ShardReader) -> None:
        """End with a camera. Its `join` tells when that is done."""
        with self._lock:
            if reader.key not in self._readers:
                reader.gone()  # was never started, or has ended
                return
            self._leaving.add(reader.key)
            if self._link is None:
                self._drop(reader.key)
            else:
                self._order(Leave(reader.key))

    def close(self) -> None:
        """End the worker. May be called twice."""
        self._closing.set()
        with self._lock:
            if self._link is not None:
                with contextlib.suppress(OSError):
                    self._link.shutdown(socket.SHUT_RDWR)
        if self._thread is not None:
            self._thread.join()

    def _order(self, order: Order, descriptor: int | None = None) -> None:
        assert self._link is not None
        with contextlib.suppress(OSError):  # a dead worker is noticed by the thread that listens to it
            socket.send_fds(self._link, [encode(order)], [] if descriptor is None else [descriptor])

    def _order_read(self, reader: ShardReader) -> None:
        self._order(Read(reader.key, reader.camera, reader.status().sessions), reader.ring.fd)

    def _drop(self, key: int) -> None:
        self._leaving.discard(key)
        self._readers.pop(key).gone()

    def _run(self) -> None:
        """Start the worker again and again, with pauses that grow while it does not last."""
        pause_s = _FIRST_PAUSE_S
        while not self._closing.is_set():
            began = time.monotonic()
            reason = self._run_once()
            if self._closing.is_set():
                break
            _log.error("worker %d %s; it is started again", self.number, reason)
            with self._lock:
                for key in [*self._leaving]:
                    self._drop(key)
                readers = list(self._readers.values())
            for reader in readers:
                reader.lost(f"the worker process that read it {reason}")
            pause_s = _FIRST_PAUSE_S if time.monotonic() - began > _LASTED_S else pause_s
            self._closing.wait(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
        with self._lock:
            for key in [*self._readers]:
                self._drop(key)

    def _run_once(self) -> str:
        """From a worker's start to its end; why it ended."""
        mine, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with mine:
            with its:
                try:
                    process = subprocess.Popen(
                        [sys.executable, "-m", "fovideo.camera.shard.process", str(its.fileno())],
                        pass_fds=[its.fileno()],
                        stdin=subprocess.DEVNULL,
                        env=os.environ | {"PYTHONPATH": os.pathsep.join(part for part in sys.path if part)},
                    )
                except OSError as error:
                    return f"cannot be started ({error.strerror})"
            with self._lock:
                self._process, self._link = process, mine
                self.starts += 1
                for reader in self._readers.values():
                    self._order_read(reader)
                if self._closing.is_set():
                    mine.shutdown(socket.SHUT_RDWR)
            try:
                self._listen(mine)
            finally:
                with self._lock:
                    self._link = None
                code = _end(process)
        return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"

    def _listen(self, link: socket.socket) -> None:
        while True:
            try:
                data = link.recv(LARGEST_BYTES)
            except ConnectionError:
                return
            if not data:
                return
            news = decode_news(data)
            reader = self._readers.get(news.key)
            if reader is None:
                continue
            reader.hear(news)
            if reader.join(0):
                with self._lock:
                    self._drop(reader.key)


def _end(process: subprocess.Popen[bytes]) -> int:
    """The exit code of a worker whose socket is closed."""
    try:
        return process.wait(_END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()
