"""Bulk transfers: footage goes between socket and file in large pieces, past the HTTP library.

One connection a transfer: next to megabytes it costs nothing, and one that was cut leaves no state behind.
"""

from __future__ import annotations

import contextlib
import http.client
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple
from urllib.parse import urlsplit

from fovideo.errors import StoreDamaged
from fovideo.peer.flow import FlowingAnswer
from fovideo.peer.sockets import KEEPALIVE
from fovideo.peer.wire import opened
from fovideo.timeline.endpoint import FileRange

BUFFER_BYTES = 1 << 20


class Answer(NamedTuple):
    """What a peer answered, whole."""

    status: int
    content: bytes


class NotConnected(OSError):
    """There is no connection; its cause says why."""


class Bulk:
    """Transfers to and from one peer. Thread-safe.

    Raises NotConnected, and once connected OSError and http.client.HTTPException.
    """

    def __init__(
        self, url: str, headers: Mapping[str, str], context: ssl.SSLContext | None, connect_s: float
    ) -> None:
        self._parts = urlsplit(url)
        self._headers, self._context, self._connect_s = dict(headers), context, connect_s

    def download(
        self, path: str, headers: Mapping[str, str], timeout_s: float, take: Callable[[memoryview], None]
    ) -> Answer:
        """GET. `take` gets the body of a 206 as it comes; the content of any other answer is returned."""
        with self._connected(timeout_s) as connection:
            connection.request("GET", self._parts.path + path, headers=self._headers | dict(headers))
            answer = connection.getresponse()
            if answer.status != http.client.PARTIAL_CONTENT:
                return Answer(answer.status, answer.read())
            buffer = memoryview(bytearray(BUFFER_BYTES))
            while True:
                count = answer.readinto(buffer)
                if not count:
                    break
                take(buffer[:count])
            if answer.length:
                raise http.client.IncompleteRead(b"", answer.length)
            return Answer(answer.status, b"")

    def upload(
        self,
        path: str,
        headers: Mapping[str, str],
        timeout_s: float,
        parts: Sequence[bytes | FileRange],
        size_bytes: int,
    ) -> Answer:
        """POST the parts; files are sent by the kernel. NothingThere, StoreError, StoreDamaged for those."""
        with self._connected(timeout_s) as connection:
            connection.putrequest("POST", self._parts.path + path)
            for name, value in {
                **self._headers,
                **headers,
                "Accept-Encoding": "identity",
                "Content-Length": str(size_bytes),
            }.items():
                connection.putheader(name, value)
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                # A peer that refuses answers before it has read everything, and may close then.
                connection.endheaders()
                for part in parts:
                    _send(connection, part)
            answer = connection.getresponse()
            return Answer(answer.status, answer.read())

    @contextlib.contextmanager
    def _connected(self, timeout_s: float) -> Iterator[http.client.HTTPConnection]:
        host, port = self._parts.hostname or "", self._parts.port
        if self._parts.scheme == "https":
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                host, port, timeout=self._connect_s, context=self._context
            )
        else:
            connection = http.client.HTTPConnection(host, port, timeout=self._connect_s)
        try:
            try:
                connection.connect()
            except OSError as error:
                raise NotConnected(error.strerror or str(error)) from error
            for level, name, value in KEEPALIVE:
                connection.sock.setsockopt(level, name, value)
            connection.sock.settimeout(timeout_s)
            connection.response_class = FlowingAnswer
            yield connection
        finally:
            connection.close()


def _send(connection: http.client.HTTPConnection, part: bytes | FileRange) -> None:
    if isinstance(part, bytes):
        connection.sock.sendall(part)
        return
    with opened(part) as file:
        sent = connection.sock.sendfile(file, part.offset, part.size_bytes)
    if sent != part.size_bytes:
        raise StoreDamaged(f"ends {part.size_bytes - sent} bytes early", where=part.path)
