"""RtspServer: an RTSP 1.0 server that a host application starts and stops; one thread, no signals."""

from __future__ import annotations

import asyncio
import ssl
import threading
from types import TracebackType
from typing import Any, Self

from fovideo.errors import UsageError
from fovideo.replay.rtsp.auth import Authenticator, Scheme
from fovideo.replay.rtsp.hub import Hub, Resolve
from fovideo.replay.rtsp.settings import Counters, Settings
from fovideo.replay.source import Source


class RtspServer:
    """Serves sources under paths, by TCP and UDP. All methods are thread-safe.

    port: 0 takes a free one; `port` then tells which.
    tls: serve rtsps. RTP by UDP is not encrypted by it.
    user, password: what clients must show, by Digest or Basic; None = everyone may play.
    resolve: asked in a worker thread for paths under which no stream was added.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        user: str | None = None,
        password: str = "",
        schemes: tuple[Scheme, ...] = ("digest", "basic"),
        tls: ssl.SSLContext | None = None,
        settings: Settings | None = None,
        resolve: Resolve | None = None,
    ) -> None:
        self.host, self.port = host, port
        authenticator = None if user is None else Authenticator(user, password, schemes=schemes)
        self._hub = Hub(settings or Settings(), authenticator, resolve)
        self._tls = tls
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ready = threading.Event()
        self._failure: OSError | None = None
        self._stop: asyncio.Event | None = None

    @property
    def counters(self) -> Counters:
        """What the server has done so far."""
        return self._hub.counters

    def url(self, path: str, *, user: str = "", password: str = "") -> str:
        """URL of a path; with credentials when they are given."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        login = f"{user}:{password}@" if user else ""
        return f"{'rtsps' if self._tls else 'rtsp'}://{login}{host}:{self.port}/{path.strip('/')}"

    def start(self) -> Self:
        """Listen. Raises UsageError when the address is not free; a server starts once."""
        if self._thread is not None:
            raise UsageError("the RTSP server was started before")
        self._thread = threading.Thread(target=self._run, name=f"rtsp-{self.port}", daemon=True)
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            self._thread.join()
            where = f"{self.host}:{self.port}"
            raise UsageError(
                f"cannot listen ({self._failure.strerror})", where=where, hint="choose another port"
            )
        return self

    def close(self) -> None:
        """Say goodbye to all clients and stop. Does nothing on a server that is not running."""
        thread, loop, stop = self._thread, self._loop, self._stop
        if thread is None or loop is None or stop is None:
            return
        try:
            loop.call_soon_threadsafe(stop.set)
        except RuntimeError:
            pass  # closed by another thread
        thread.join()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def add_stream(self, path: str, source: Source) -> str:
        """Serve a source under a path (replacing what was there for new clients); returns its URL."""
        self._hub.streams[path.strip("/")] = source
        return self.url(path)

    def remove(self, path: str) -> None:
        """Stop serving a path; its clients get a goodbye."""
        self._hub.streams.pop(path.strip("/"), None)
        self._call(self._hub.drop(path.strip("/"), goodbye=True, cut=False))

    def cut(self, path: str | None = None) -> None:
        """Reset the connections of a path's clients (None: all), as a camera that loses power."""
        self._call(self._hub.drop(None if path is None else path.strip("/"), goodbye=False, cut=True))

    def players(self, path: str | None = None) -> int:
        """How many sessions are playing a path (None: any)."""
        wanted = None if path is None else path.strip("/")
        sessions = list(self._hub.sessions.values())
        return sum(each.is_playing for each in sessions if wanted is None or each.path == wanted)

    def _call(self, work: Any) -> None:
        if self._loop is None or self._loop.is_closed():
            work.close()
            return
        asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def _run(self) -> None:
        try:
            asyncio.run(self._main())
        finally:
            self._ready.set()

    async def _main(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        try:
            server = await asyncio.start_server(self._hub.serve, self.host, self.port, ssl=self._tls)
        except OSError as error:
            self._failure = error
            return
        self.port = server.sockets[0].getsockname()[1]
        expiry = self._loop.create_task(self._hub.expire())
        self._ready.set()
        await self._stop.wait()
        server.close()
        expiry.cancel()
        await self._hub.close()
        await asyncio.gather(expiry, return_exceptions=True)
