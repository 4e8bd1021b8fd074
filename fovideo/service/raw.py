"""Raw transfers: a body past the HTTP library, moved by a worker thread on the socket itself.

The framework routes, checks access, and reads and writes heads; only megabytes of footage go this way, in
either direction. Where there is no plain socket (TLS) callers fall back to the framework's way.
"""

from __future__ import annotations

import asyncio
import functools
import os
import select
import socket
import time
from collections.abc import Callable, Sequence
from typing import Any

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from fovideo.errors import PeerError
from fovideo.platform import start_writing, write_at
from fovideo.timeline.endpoint import FileRange

PROTOCOL = "fovideo.protocol"
"""Key of an ASGI scope: the server's protocol object, if its socket can be used directly."""

SILENCE_S = 30.0
BUFFER_BYTES = 1 << 20
_BEGIN_BYTES = 8 << 20
_DRAIN_S = 0.001


def usable(scope: Scope) -> bool:
    """Whether the connection's socket can be used directly."""
    return PROTOCOL in scope and hasattr(os, "sendfile") and hasattr(select, "poll")


class _Sent(bytes):
    """Stands for a body that has been sent already: nothing to write, but as long as that was."""

    def __new__(cls, _: int) -> _Sent:
        return super().__new__(cls)

    def __init__(self, size: int) -> None:
        self._size = size

    def __len__(self) -> int:
        return self._size


class SentByKernel(Response):
    """Parts of files, sent by the kernel. REQUIRES usable(scope); headers must have the Content-Length."""

    def __init__(self, ranges: Sequence[FileRange], status: int, headers: dict[str, str], media: str) -> None:
        super().__init__(None, status, media_type=media)
        self._ranges = ranges
        self.init_headers(headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        size = sum(each.size_bytes for each in self._ranges)
        if scope["method"] != "HEAD":
            transport = scope[PROTOCOL].transport
            while transport.get_write_buffer_size() and not transport.is_closing():
                await asyncio.sleep(_DRAIN_S)
            try:
                await _on_socket(transport, functools.partial(_send_files, self._ranges))
            except OSError:
                # The client is gone, or the file is: an answer that ends too early says so.
                transport.abort()
                await asyncio.sleep(0)
                return
        await send({"type": "http.response.body", "body": _Sent(size)})


async def receive_rest(request: Request, early: bytes, fd: int, offset: int, size: int) -> None:
    """Write the rest of a request's body, `size` bytes of which `early` came already, to a file.

    REQUIRES usable(scope), and that the body holds just that many bytes more. The connection is closed after
    the answer. Raises PeerError when the body ends early, OSError of the file.
    """
    protocol: Any = request.scope[PROTOCOL]
    transport = protocol.transport
    protocol.cycle.keep_alive = False  # the library has not seen the end of the body
    if transport.is_reading():
        transport.pause_reading()
    early += bytes(protocol.cycle.body)
    protocol.cycle.body = bytearray()
    own = os.dup(fd)

    def work(sock: socket.socket) -> None:
        try:
            _receive_file(sock, early, own, offset, size)
        finally:
            os.close(own)

    await _on_socket(transport, work)


async def _on_socket(transport: Any, work: Callable[[socket.socket], None]) -> None:
    """Run the work in a thread, on a duplicate of the socket: the event loop may close its own at any time.

    When the server stops, the thread is left to itself: it ends when the peer does.
    """
    own = socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno()))

    def run() -> None:
        with own:
            work(own)

    await anyio.to_thread.run_sync(run, abandon_on_cancel=True)


def _wait(sock: socket.socket, event: int) -> None:
    poll = select.poll()
    poll.register(sock, event)
    if not poll.poll(SILENCE_S * 1000):
        raise TimeoutError("the peer does not move")


def _send_files(ranges: Sequence[FileRange], sock: socket.socket) -> None:
    for each in ranges:
        fd = os.open(each.path, os.O_RDONLY)
        try:
            at, end = each.offset, each.offset + each.size_bytes
            while at < end:
                try:
                    sent = os.sendfile(sock.fileno(), fd, at, end - at)
                except BlockingIOError:
                    _wait(sock, select.POLLOUT)
                    continue
                if not sent:
                    raise OSError(f"{each.path} ends early")
                at += sent
        finally:
            os.close(fd)


def _receive_file(sock: socket.socket, early: bytes, fd: int, offset: int, size: int) -> None:
    done = begun = write_at(fd, [early], offset)
    begun = 0
    buffer = memoryview(bytearray(BUFFER_BYTES))
    while done < size:
        filled, started = 0, time.monotonic()
        while filled < len(buffer) and done + filled < size:
            try:
                count = sock.recv_into(buffer[filled : filled + size - done - filled])
            except BlockingIOError:
                if filled >= BUFFER_BYTES // 4 or (filled and time.monotonic() - started > 1):
                    break
                _wait(sock, select.POLLIN)
                continue
            except ConnectionError:
                count = 0
            if not count:
                raise PeerError(f"the body is {size - done - filled} bytes too short")
            filled += count
        write_at(fd, [buffer[:filled]], offset + done)
        done += filled
        if done - begun >= _BEGIN_BYTES or done == size:
            start_writing(fd, offset + begun, done - begun)
            begun = done
