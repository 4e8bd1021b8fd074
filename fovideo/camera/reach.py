"""Connecting to a camera: asked before libavformat is, whose answer to "unknown host" is "I/O error"."""

from __future__ import annotations

import errno
import os
import selectors
import socket
from collections.abc import Callable
from urllib.parse import urlsplit

from fovideo.camera.config import CameraConfig
from fovideo.errors import CameraUnreachable

DEFAULT_PORTS = {"rtsp": 554, "rtsps": 322}
_STOP_POLL_S = 0.05
_IN_PROGRESS = {errno.EINPROGRESS, errno.EWOULDBLOCK, errno.EAGAIN, getattr(errno, "WSAEWOULDBLOCK", 10035)}


def reach(
    camera: CameraConfig, *, stopping: Callable[[], bool], timeout_ns: int, now_ns: Callable[[], int]
) -> None:
    """Connect to the camera's host and hang up again. Returns early (without an answer) when stopping.

    Unlike the opening of the stream this can be given up at once, so that stopping a recorder does not wait
    for a host that is off. Raises CameraUnreachable: unknown host, refused, no route, no answer in time.
    """
    connection = dial(camera, stopping=stopping, timeout_ns=timeout_ns, now_ns=now_ns)
    if connection is not None:
        connection.close()


def dial(
    camera: CameraConfig, *, stopping: Callable[[], bool], timeout_ns: int, now_ns: Callable[[], int]
) -> socket.socket | None:
    """Connect to the camera's host: a non-blocking socket, or None when stopping. Raises as `reach`."""
    parts = urlsplit(camera.url)
    host, port = parts.hostname or "", parts.port or DEFAULT_PORTS[parts.scheme.lower()]
    deadline_ns = now_ns() + timeout_ns
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        reason = error.strerror if isinstance(error, socket.gaierror) else "not a host name"
        raise CameraUnreachable(
            f"unknown host {host}: {reason}", where=camera.source, hint="check the name and the DNS server"
        ) from None
    refusal = "no address"
    for family, kind, protocol, _name, address in addresses:
        found = _connect(family, kind, protocol, address, stopping, deadline_ns, now_ns)
        if isinstance(found, socket.socket):
            return found
        if stopping():
            return None
        refusal = found
    raise CameraUnreachable(
        f"cannot connect to port {port}: {refusal}",
        where=camera.source,
        hint="is it on, and is this its port?",
    )


def _connect(
    family: int,
    kind: int,
    protocol: int,
    address: object,
    stopping: Callable[[], bool],
    deadline_ns: int,
    now_ns: Callable[[], int],
) -> socket.socket | str:
    """The connection, or why there is none ("" when stopping)."""
    try:
        peer = socket.socket(family, kind, protocol)
    except OSError as error:
        return error.strerror or str(error)
    refusal = _refusal(peer, address, stopping, deadline_ns, now_ns)
    if refusal is None:
        return peer
    peer.close()
    return refusal


def _refusal(
    peer: socket.socket,
    address: object,
    stopping: Callable[[], bool],
    deadline_ns: int,
    now_ns: Callable[[], int],
) -> str | None:
    """Connect; None when that succeeds."""
    with selectors.DefaultSelector() as selector:
        peer.setblocking(False)
        code = peer.connect_ex(address)  # type: ignore[arg-type]
        if code in _IN_PROGRESS:
            selector.register(peer, selectors.EVENT_WRITE)
            while not selector.select(_STOP_POLL_S):
                if stopping():
                    return ""
                if now_ns() > deadline_ns:
                    return "no answer in time"
            code = peer.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        return os.strerror(code) if code else None
