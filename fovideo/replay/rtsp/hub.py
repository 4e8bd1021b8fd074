"""Hub: the streams and sessions that the connections of one server share. Used by the server's loop only."""

from __future__ import annotations

import asyncio
import secrets
import socket
from collections.abc import Callable

from fovideo.errors import NoSuchStream
from fovideo.replay.rtsp.auth import Authenticator
from fovideo.replay.rtsp.connection import Connection
from fovideo.replay.rtsp.message import RtspError, encode_response
from fovideo.replay.rtsp.session import Session
from fovideo.replay.rtsp.settings import Counters, Settings
from fovideo.replay.source import Moved, Source

Resolve = Callable[[str], Source | Moved | None]

_EXPIRY_POLL_S = 1.0


class Hub:
    """number: of this server, for session descriptions."""

    def __init__(
        self, settings: Settings, authenticator: Authenticator | None, resolve: Resolve | None = None
    ) -> None:
        self.settings, self.authenticator, self._resolve = settings, authenticator, resolve
        self.streams: dict[str, Source] = {}
        self.sessions: dict[str, Session] = {}
        self.counters = Counters()
        self.number = secrets.randbits(31)
        self._tasks: set[asyncio.Task[None]] = set()
        self._connections: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def source(self, path: str) -> Source:
        """The source served under a path. NoSuchStream if there is none; RtspError 302 if it is elsewhere."""
        found: Source | Moved | None = self.streams.get(path)
        if found is None and self._resolve is not None:
            found = await asyncio.to_thread(self._resolve, path)
        if found is None:
            raise NoSuchStream("no such stream", where=path)
        if isinstance(found, Moved):
            raise RtspError(302, headers=[("Location", found.url)])
        return found

    def new_session(
        self, path: str, source: Source, abort: Callable[[], None], on_end: Callable[[], None]
    ) -> Session:
        """A session without tracks; RtspError 453 when there are too many."""
        if len(self.sessions) >= self.settings.max_sessions:
            raise RtspError(453)
        session = Session(path, source, self.settings, self.counters, abort, on_end)
        self.sessions[session.id] = session
        self.counters.sessions += 1
        return session

    async def end_session(self, session: Session, *, goodbye: bool) -> None:
        """Forget a session and release what it holds."""
        self.sessions.pop(session.id, None)
        await session.end(goodbye=goodbye)

    def abandon(self, session: Session) -> None:
        """End a session from a callback."""
        task = asyncio.get_running_loop().create_task(self.end_session(session, goodbye=False))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, from accept to close."""
        if len(self._connections) >= self.settings.max_connections:
            writer.write(encode_response(503, []))
            writer.close()
            return
        task = asyncio.current_task()
        assert task is not None
        self._connections[task] = writer
        if self.settings.send_buffer_bytes:
            connected = writer.get_extra_info("socket")
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self.settings.send_buffer_bytes)
        self.counters.connections += 1
        try:
            await Connection(self, reader, writer).run()
        except asyncio.CancelledError:
            writer.transport.abort()
        finally:
            del self._connections[task]

    async def expire(self) -> None:
        """End sessions whose clients fell silent; runs as long as the server."""
        while True:
            await asyncio.sleep(_EXPIRY_POLL_S)
            for session in [each for each in self.sessions.values() if each.is_expired]:
                await self.end_session(session, goodbye=True)

    async def drop(self, path: str | None, *, goodbye: bool, cut: bool) -> None:
        """End the sessions of a path (None: all). cut: reset their connections as a dying camera does."""
        for session in [each for each in self.sessions.values() if path is None or each.path == path]:
            if cut:
                session.abort()
            await self.end_session(session, goodbye=goodbye)

    async def close(self) -> None:
        """End everything."""
        await self.drop(None, goodbye=True, cut=False)
        for task, writer in list(self._connections.items()):
            writer.close()
            task.cancel()
        await asyncio.gather(*self._connections, *self._tasks, return_exceptions=True)
