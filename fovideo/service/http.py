"""Runs an HTTP application in a thread of the host process: no signal handlers, no event loop to bring."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import socket
import ssl
import threading
from typing import Any

import uvicorn
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from fovideo.errors import ConfigError, FovideoError
from fovideo.service.access import CERTIFICATE
from fovideo.service.raw import PROTOCOL

_log = logging.getLogger(__name__)

BACKLOG = 256
GRACE_S = 2
_START_S = 20.0


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = threading.Event()
        self.loop: asyncio.AbstractEventLoop | None = None

    @contextlib.contextmanager
    def capture_signals(self):  # type: ignore[no-untyped-def]
        """Signals belong to the host application."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self.loop = asyncio.get_running_loop()
        await super().startup(sockets)
        self.listening.set()


class _Protocol(AutoHTTPProtocol):  # type: ignore[misc, valid-type]
    """Tells the application who the client is, if it showed a certificate that was verified; and gives it
    the connection, where that is a plain socket.
    """

    app: Any

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        name = _common_name(transport.get_extra_info("peercert"))
        if name:
            self.app = functools.partial(_called_with, self.app, {CERTIFICATE: name})
        elif transport.get_extra_info("ssl_object") is None:
            self.app = functools.partial(_called_with, self.app, {PROTOCOL: self})


async def _called_with(app: Any, more: dict[str, Any], scope: Any, receive: Any, send: Any) -> None:
    await app({**scope, **more}, receive, send)


def _common_name(certificate: Any) -> str:
    """Of a certificate as ssl describes it, "" if there is none."""
    subject = certificate.get("subject", ()) if certificate else ()
    return next((value for part in subject for key, value in part if key == "commonName"), "")


class HttpServer:
    """An application on one address, from start() to stop().

    host "" = all interfaces; port 0 = any that is free, see `port` after start. Each is used once.
    tls: speak HTTPS.
    """

    def __init__(self, app: Any, host: str, port: int, *, tls: ssl.SSLContext | None = None) -> None:
        self._app, self._host, self._wanted_port, self._tls = app, host, port, tls
        self._socket: socket.socket | None = None
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def port(self) -> int:
        """The port that it listens on."""
        if self._socket is None:
            return self._wanted_port
        port: int = self._socket.getsockname()[1]
        return port

    @property
    def url(self) -> str:
        """How this machine reaches it."""
        host = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(self._host, self._host)
        scheme = "http" if self._tls is None else "https"
        return f"{scheme}://[{host}]:{self.port}" if ":" in host else f"{scheme}://{host}:{self.port}"

    def start(self) -> None:
        """Listen; on return, requests are answered. ConfigError if the address cannot be had."""
        self._socket = _listen(self._host, self._wanted_port)
        config = uvicorn.Config(
            self._app,
            http=_Protocol,
            lifespan="off",
            log_config=None,
            access_log=False,
            ws="none",
            server_header=False,
            timeout_keep_alive=30,
            timeout_graceful_shutdown=GRACE_S,
        )
        config.load()
        config.ssl = self._tls
        self._server = _Server(config)
        self._thread = threading.Thread(target=self._run, name=f"http-{self.port}", daemon=True)
        self._thread.start()
        while not self._server.listening.wait(0.05):
            if not self._thread.is_alive():
                raise FovideoError("the HTTP server did not start", where=self.url, hint="see the log")

    def _run(self) -> None:
        assert self._server is not None
        assert self._socket is not None
        try:
            self._server.run(sockets=[self._socket])
        except Exception:
            _log.exception("the HTTP server at %s ended", self.url)

    def responds(self, timeout_s: float) -> bool:
        """Whether its event loop comes round within that time: it then answers, too."""
        loop = self._server.loop if self._server is not None else None
        if loop is None:
            return False
        came = threading.Event()
        try:
            loop.call_soon_threadsafe(came.set)
        except RuntimeError:  # it has ended
            return False
        return came.wait(timeout_s)

    def stop(self) -> None:
        """Answer what is being answered, for a moment, then stop listening. May be called twice."""
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join(GRACE_S * 3)
            if self._thread.is_alive():
                self._server.force_exit = True
                self._thread.join(GRACE_S)
        if self._socket is not None:
            self._socket.close()


def _listen(host: str, port: int) -> socket.socket:
    where = f"{host or '*'}:{port}"
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except socket.gaierror as error:
        raise ConfigError(f"not an address of this machine: {error.strerror}", where=where) from None
    made = socket.socket(family, kind, protocol)
    try:
        if hasattr(socket, "SO_EXCLUSIVEADDRUSE"):
            made.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(address)
        made.listen(BACKLOG)
    except OSError as error:
        made.close()
        raise ConfigError(
            f"cannot listen: {error.strerror}",
            where=where,
            hint="is another process there? is it this machine's?",
        ) from None
    made.set_inheritable(False)
    return made
