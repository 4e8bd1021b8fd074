"""Connection: one client's RTSP connection, its requests answered in order."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from fovideo.errors import FovideoError, NoSuchStream, NothingThere, UsageError
from fovideo.replay.rtsp import sdp
from fovideo.replay.rtsp.headers import parse_transport
from fovideo.replay.rtsp.link import Link, TcpLink, UdpLink
from fovideo.replay.rtsp.message import Interleaved, Reader, Request, RtspError, encode_response
from fovideo.replay.rtsp.session import Headers, Session, by_id

if TYPE_CHECKING:
    from fovideo.replay.rtsp.hub import Hub

log = logging.getLogger(__name__)

METHODS = ("OPTIONS", "DESCRIBE", "SETUP", "PLAY", "PAUSE", "TEARDOWN", "GET_PARAMETER", "SET_PARAMETER")
_KNOWN_ELSEWHERE = {"ANNOUNCE", "RECORD", "REDIRECT"}
ONVIF_REPLAY = "onvif-replay"
_READ_BYTES = 64 * 1024
_LINGER_S = 1.0
_TRACK = re.compile(r"(.*)/trackID=(\d{1,3})")


class Connection:
    """Reads requests, writes responses; knows the sessions that were set up here."""

    def __init__(self, hub: Hub, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._hub, self._reader, self._writer = hub, reader, writer
        self._sessions: dict[str, Session] = {}

    async def run(self) -> None:
        """Until the client closes, sends what is no RTSP, or is idle without a session for too long."""
        messages = Reader()
        try:
            while data := await self._read():
                for message in messages.feed(data):
                    if isinstance(message, Interleaved):
                        for session in self._sessions.values():
                            session.touch()
                    else:
                        await self._answer(message)
        except RtspError as error:  # framing is lost
            self._hub.counters.bad_requests += 1
            self._send(error.status, [("Connection", "close")])
            await self._linger()
        except OSError as error:  # cut, idle for too long, or broken TLS
            log.debug("connection ended: %s", error)
        finally:
            for session in list(self._sessions.values()):
                if session.is_interleaved:
                    await self._hub.end_session(session, goodbye=False)
            self._writer.close()

    def _hang_up(self) -> None:
        """Close the connection once nothing is played any more that was set up here."""
        if not any(session.is_playing for session in self._sessions.values()):
            self._writer.close()

    async def _read(self) -> bytes:
        timeout_s = self._hub.settings.session_timeout_s
        while True:
            try:
                return await asyncio.wait_for(self._reader.read(_READ_BYTES), timeout_s)
            except TimeoutError:
                if not any(session.outlets for session in self._sessions.values()):
                    raise

    async def _linger(self) -> None:
        """Drop what still comes for a moment: closing on unread input would reset the connection, and with it
        the answer."""
        with contextlib.suppress(ConnectionError, TimeoutError):
            self._writer.write_eof()
            async with asyncio.timeout(_LINGER_S):
                while await self._reader.read(_READ_BYTES):
                    pass

    async def _answer(self, request: Request) -> None:
        self._hub.counters.requests += 1
        sequence = request.headers.get("cseq", "")
        headers: Headers = [("CSeq", sequence)] if sequence else []
        try:
            if not re.fullmatch(r"\d{1,10}", sequence):
                raise RtspError(400)
            status, more, body, after = await self._dispatch(request)
        except RtspError as error:
            self._hub.counters.bad_requests += error.status >= 400
            self._send(error.status, [*headers, *error.headers])
            return
        except (NoSuchStream, NothingThere):
            self._send(404, headers)
            return
        except FovideoError as error:
            log.warning("%s %s: %s", request.method, request.url.split("?")[0], error)
            self._send(503, headers)
            return
        except Exception:
            log.exception("%s failed", request.method)
            self._send(500, headers)
            return
        self._send(status, [*headers, *more], body)
        if after is not None:
            after.begin()

    def _send(self, status: int, headers: Headers, body: bytes = b"") -> None:
        if not self._writer.is_closing():
            self._writer.write(encode_response(status, [*headers, ("Server", "fovideo")], body))

    async def _dispatch(self, request: Request) -> tuple[int, Headers, bytes, Session | None]:
        """(status, headers, body, session to begin once the response is written)."""
        method = request.method
        if method not in METHODS:
            allow: Headers = [("Allow", ", ".join(METHODS))]
            raise RtspError(405 if method in _KNOWN_ELSEWHERE else 501, headers=allow)
        self._check_required(request)
        if method == "OPTIONS":
            return 200, [("Public", ", ".join(METHODS))], b"", None
        self._authorize(request)
        if method == "DESCRIBE":
            return await self._describe(request)
        if method == "SETUP":
            return await self._setup(request)
        session = self._session(request)
        if method in ("GET_PARAMETER", "SET_PARAMETER"):
            return self._parameter(request, session)
        if session is None:
            raise RtspError(454)
        ids: Headers = [("Session", session.id)]
        if method == "TEARDOWN":
            await self._teardown(session, self._target(request.url)[1])
            return 200, ids, b"", None
        if not session.outlets:
            raise RtspError(455, headers=[("Allow", "SETUP, TEARDOWN")])
        _, track_id = self._target(request.url)
        if track_id is not None and set(session.outlets) != {track_id}:
            raise RtspError(460)
        if method == "PAUSE":
            await session.pause()
            return 200, ids, b"", None
        base = request.url.split("?")[0].rstrip("/")
        if track_id is not None:
            base = base.rpartition("/")[0]
        session.is_replay |= ONVIF_REPLAY in request.headers.get("require", "") and session.has_past
        return 200, ids + await session.play(request.headers, base), b"", session

    def _check_required(self, request: Request) -> None:
        wanted = {each.strip() for each in request.headers.get("require", "").split(",")}
        if unknown := wanted - {"", ONVIF_REPLAY}:
            raise RtspError(551, headers=[("Unsupported", ", ".join(sorted(unknown)))])

    def _authorize(self, request: Request) -> None:
        authenticator = self._hub.authenticator
        given = request.headers.get("authorization")
        if authenticator is not None and not authenticator.allows(request.method, request.url, given):
            self._hub.counters.unauthorized += 1
            raise RtspError(401, headers=authenticator.challenges(stale=authenticator.is_stale(given)))

    def _target(self, url: str) -> tuple[str, int | None]:
        """(path of the stream, track id or None) of a URL."""
        try:
            path = unquote(urlsplit(url).path).strip("/")
        except ValueError:
            raise RtspError(400) from None
        if path not in self._hub.streams and (match := _TRACK.fullmatch(path)):
            return match[1].strip("/"), int(match[2])
        return path, None

    async def _describe(self, request: Request) -> tuple[int, Headers, bytes, None]:
        accept = request.headers.get("accept", "application/sdp")
        if not any(kind in accept for kind in ("application/sdp", "application/*", "*/*")):
            raise RtspError(406)
        path, _ = self._target(request.url)
        source = await self._hub.source(path)
        host = self._writer.get_extra_info("sockname")[0]
        tracks, extent = await source.tracks(), await source.extent()
        text = sdp.describe(path or "fovideo", host, tracks, extent, self._hub.number)
        base = request.url.split("?")[0].rstrip("/") + "/"
        return 200, [("Content-Base", base), ("Content-Type", "application/sdp")], text.encode(), None

    async def _setup(self, request: Request) -> tuple[int, Headers, bytes, None]:
        path, track_id = self._target(request.url)
        source = await self._hub.source(path)
        tracks = await source.tracks()
        if track_id is None:
            if len(tracks) != 1:
                raise RtspError(459)
            track_id = tracks[0].id
        track = by_id(tracks, track_id)
        wish = parse_transport(request.headers.get("transport", ""))
        session = self._session(request)
        if session is not None:
            session.check_addable(path, track_id)
        link = self._tcp_link(wish.pair) if wish.tcp else None
        if session is None:
            session = self._hub.new_session(path, source, self._writer.transport.abort, self._hang_up)
        self._sessions[session.id] = session
        if link is None:
            assert wish.pair is not None
            link = await self._udp_link(session, wish.pair)
        session.is_replay |= ONVIF_REPLAY in request.headers.get("require", "") and session.has_past
        outlet = session.add(track, link)
        timeout = int(self._hub.settings.session_timeout_s)
        transport = f"{link.describe()};ssrc={outlet.ssrc:08X}"
        return 200, [("Transport", transport), ("Session", f"{session.id};timeout={timeout}")], b"", None

    def _tcp_link(self, wish: tuple[int, int] | None) -> Link:
        taken = {
            channel
            for session in self._sessions.values()
            for outlet in session.outlets.values()
            if isinstance(outlet.link, TcpLink)
            for channel in outlet.link.channels
        }
        if wish is not None and not taken.intersection(wish):
            return TcpLink(self._writer, wish)
        for even in range(0, 256, 2):
            if not taken.intersection((even, even + 1)):
                return TcpLink(self._writer, (even, even + 1))
        raise RtspError(453)

    async def _udp_link(self, session: Session, ports: tuple[int, int]) -> Link:
        local, peer = (self._writer.get_extra_info(which)[0] for which in ("sockname", "peername"))
        try:
            return await UdpLink.open(local, peer, ports, session.touch, lambda: self._hub.abandon(session))
        except UsageError:
            if not session.outlets:
                self._hub.abandon(session)
            raise RtspError(453) from None

    def _session(self, request: Request) -> Session | None:
        given = request.headers.get("session", "").split(";")[0].strip()
        if not given:
            return None
        session = self._hub.sessions.get(given)
        if session is None:
            raise RtspError(454)
        session.touch()
        return session

    def _parameter(self, request: Request, session: Session | None) -> tuple[int, Headers, bytes, None]:
        """Keep-alive. There is no parameter that can be read or set."""
        if request.body.strip():
            raise RtspError(451)
        return 200, [("Session", session.id)] if session else [], b"", None

    async def _teardown(self, session: Session, track_id: int | None) -> None:
        if track_id is not None and set(session.outlets) != {track_id}:
            session.remove(track_id)
            return
        self._sessions.pop(session.id, None)
        await self._hub.end_session(session, goodbye=False)
