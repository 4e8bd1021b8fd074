"""One RTSP connection on a client's side: requests and their answers, one at a time (RFC 2326)."""

from __future__ import annotations

import contextlib
import itertools
import socket
from collections.abc import Callable
from typing import NoReturn
from urllib.parse import urlsplit, urlunsplit

from fovideo.camera.config import CameraConfig
from fovideo.camera.native.auth import Authorizer
from fovideo.camera.native.message import Incoming, Request, Response, encode_request, encode_response
from fovideo.camera.redact import redact
from fovideo.errors import CameraBroken, CameraError, CameraUnauthorized, CameraUnreachable
from fovideo.times import NS_PER_S

GARBAGE = "does not speak RTSP, or sends garbage"
_PATH_HINT = "check the path of the url; ONVIF or the camera's manual names it"
_AGENT = ("User-Agent", "fovideo")
_CHUNK = 65536
_UNAUTHORIZED = 401
_TRIES = 3  # without credentials, with them, and once more for a nonce that became too old


def request_url(url: str) -> str:
    """What is asked for: the URL without user, password and fragment."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path or "/", parts.query, ""))


def refusal(camera: CameraConfig, response: Response) -> CameraError:
    """The error that a status other than 200 means."""
    where, status = camera.source, response.status
    if status in (_UNAUTHORIZED, 403):
        return CameraUnauthorized(
            "the camera refuses the credentials" if camera.credentials() else "the camera wants credentials",
            where=where,
            hint="give user and password in the url, a credentials file or FOVIDEO_CAMERA_PASSWORD",
        )
    if status == 404:
        return CameraBroken("the camera has no such stream", where=where, hint=_PATH_HINT)
    if 300 <= status < 400:
        return redirected(camera, response.headers.first("location"))
    if status == 461:
        return CameraBroken(f"the camera does not send by {camera.transport}", where=where, hint="transport")
    reason = f"{status} {response.reason}".strip()
    return CameraBroken(f"the camera answers with an error: {reason}", where=where, hint=_PATH_HINT)


def redirected(camera: CameraConfig, location: str) -> CameraError:
    """Never followed: it would hand the camera's credentials to whoever is named there."""
    where_to = f" to {redact(location)}" if location else ""
    return CameraBroken(
        f"the camera redirects{where_to}", where=camera.source, hint="put that address into the camera's url"
    )


class RtspClient:
    """Talks over a connected socket that it then owns. For one thread; `abort` for any."""

    def __init__(
        self,
        camera: CameraConfig,
        connection: socket.socket,
        *,
        deadline_ns: int,
        now_ns: Callable[[], int],
    ) -> None:
        """deadline_ns: of the monotonic clock, for everything until `release`."""
        self.camera, self.connection = camera, connection
        self.url = request_url(camera.url)
        self.session = ""
        self.incoming = Incoming()
        self._authorizer = Authorizer(camera.credentials())
        self._deadline_ns, self._now_ns = deadline_ns, now_ns
        self._numbers = itertools.count(1)

    def __enter__(self) -> RtspClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    def abort(self) -> None:
        """Make a request that waits for its answer fail now. Any thread."""
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def encode(self, method: str, url: str = "", headers: dict[str, str] | None = None) -> bytes:
        """A request with number, session and authorization. url: "" is the stream's own."""
        url = url or self.url
        lines = [("CSeq", str(next(self._numbers))), _AGENT]
        if self.session:
            lines.append(("Session", self.session))
        if authorization := self._authorizer.header(method, url):
            lines.append(("Authorization", authorization))
        return encode_request(method, url, [*lines, *(headers or {}).items()])

    def ask(self, method: str, url: str = "", headers: dict[str, str] | None = None) -> Response:
        """Send a request and wait for its answer, whatever that says. Raises CameraError for none, and when
        the camera does not take the credentials.
        """
        for attempt in range(_TRIES):
            self._send(self.encode(method, url, headers))
            response = self._answer()
            if response.status != _UNAUTHORIZED:
                return response
            if not self.challenged(response) or (attempt and not self._authorizer.is_stale):
                break
        raise refusal(self.camera, response)

    def request(self, method: str, url: str = "", headers: dict[str, str] | None = None) -> Response:
        """As `ask`; raises CameraError for an answer other than success."""
        response = self.ask(method, url, headers)
        if not 200 <= response.status < 300:
            raise refusal(self.camera, response)
        return response

    def challenged(self, response: Response) -> bool:
        """Take a 401's question. False when it cannot be answered."""
        return self._authorizer.challenge(response.headers.get("www-authenticate", []))

    def release(self) -> bytes:
        """Setting up is over: the socket becomes non-blocking. Returns what came and is no answer."""
        self.connection.setblocking(False)
        return self.incoming.rest()

    def tear_down(self) -> None:
        """Say goodbye without waiting for an answer."""
        with contextlib.suppress(OSError):
            self.connection.setblocking(False)
            self.connection.send(self.encode("TEARDOWN"))

    def _send(self, data: bytes) -> None:
        try:
            self.connection.settimeout(self._left_s())
            self.connection.sendall(data)
        except OSError as error:
            self._fail(error)

    def _answer(self) -> Response:
        while True:
            try:
                while (message := self.incoming.next()) is None:
                    self.connection.settimeout(self._left_s())
                    data = self.connection.recv(_CHUNK)
                    if not data:
                        raise CameraUnreachable("the camera hung up", where=self.camera.source)
                    self.incoming.feed(data)
            except ValueError:
                raise CameraBroken(GARBAGE, where=self.camera.source) from None
            except OSError as error:
                self._fail(error)
            if isinstance(message, Request):
                if message.method == "REDIRECT":
                    raise redirected(self.camera, message.headers.first("location"))
                self._send(encode_response(501, "Not Implemented", message.headers.first("cseq")))
            elif message.status >= 200:
                return message

    def _left_s(self) -> float:
        left_ns = self._deadline_ns - self._now_ns()
        if left_ns <= 0:
            raise TimeoutError
        return left_ns / NS_PER_S

    def _fail(self, error: OSError) -> NoReturn:
        if isinstance(error, CameraError):
            raise error
        if isinstance(error, TimeoutError):
            raise CameraUnreachable(
                "no answer in time", where=self.camera.source, hint="is it an RTSP server?"
            ) from None
        reason = error.strerror or type(error).__name__
        raise CameraUnreachable(reason, where=self.camera.source) from None
