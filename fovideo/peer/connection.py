"""An HTTP connection to a peer: the token, retries, and errors in fovideo's own words."""

from __future__ import annotations

import http.client
import logging
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit

import httpx
import msgspec

from fovideo.decoding import from_json
from fovideo.errors import ChangedOnTheWay, FovideoError, PeerError, PeerUnauthorized, UsageError
from fovideo.peer.bulk import Answer, Bulk, NotConnected
from fovideo.peer.credentials import Credentials
from fovideo.peer.flow import TooSlow, watch_flow
from fovideo.peer.sockets import KEEPALIVE
from fovideo.peer.wire import API, MSGPACK, Failure
from fovideo.timeline.endpoint import FileRange

_log = logging.getLogger(__name__)

PAUSES_S = (0.1, 0.5, 2.0)
"""Before each further try of a request that changes nothing."""

_CONNECT_S = 3.0
_SILENCE_S = 30.0
TIMEOUT = httpx.Timeout(_SILENCE_S, connect=_CONNECT_S)


class Unanswered(PeerError):
    """No answer. refused: a machine is there and said that nobody listens; cut: the connection was lost."""

    passing = True

    def __init__(
        self, what: str, *, where: str = "", hint: str = "", refused: bool = False, cut: bool = False
    ) -> None:
        super().__init__(what, where=where, hint=hint)
        self.refused, self.cut = refused, cut


def check_url(text: str) -> str:
    """The base URL of a peer, without a trailing slash. UsageError if it cannot be one, or holds a secret."""
    try:
        parts = urlsplit(text)
        parts.port  # noqa: B018
    except ValueError as error:
        raise UsageError(f"not a URL: {error}") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError("not the URL of a server", where=parts.scheme, hint="like http://rec-1:8750")
    if parts.username is not None or parts.password is not None:
        host = parts.netloc.rpartition("@")[2]
        raise UsageError(
            "the URL of a server holds no user or password",
            where=urlunsplit((parts.scheme, host, parts.path, "", "")),
            hint="give the token in FOVIDEO_TOKEN",
        )
    return urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/"), "", ""))


class Connection:
    """Requests to one peer. Thread-safe. Every method raises FovideoError only."""

    def __init__(
        self,
        url: str,
        token: str = "",
        *,
        credentials: Credentials | None = None,
        timeout: httpx.Timeout = TIMEOUT,
        pauses_s: tuple[float, ...] = PAUSES_S,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.url = check_url(url)
        self._pauses_s, self._sleep = pauses_s, sleep
        self._shown = shown = credentials or Credentials(token=token)
        token = shown.token
        headers = {"Accept": MSGPACK}
        if not token.isascii() or not token.isprintable():
            raise UsageError("the token holds a character that HTTP cannot carry", where=self.url)
        if token:
            headers["Authorization"] = f"Bearer {token}"
        # No proxies from the environment: peers are on the site, and a poll must not go astray.
        verify = shown.context() if self.url.startswith("https:") else None
        self._bulk = Bulk(self.url, headers, verify, timeout.connect or _CONNECT_S)
        transport = httpx.HTTPTransport(verify=verify or False, socket_options=KEEPALIVE, trust_env=False)
        self._client = httpx.Client(
            headers=headers,
            timeout=timeout,
            transport=transport,
            trust_env=False,
            event_hooks={"response": [watch_flow]},
        )

    def close(self) -> None:
        self._client.close()

    def get(self, path: str, *, again: bool = True, **params: int | str | None) -> httpx.Response:
        """GET; tried again when the connection is lost."""
        return self._retry(lambda: self._send("GET", path, params=_given(params)), again)

    def post(self, path: str, content: Any, *, again: bool = False, **options: Any) -> httpx.Response:
        """POST; again: doing it twice does no harm, so it may be repeated when the connection is lost."""
        return self._retry(lambda: self._send("POST", path, content=content, **options), again)

    @contextmanager
    def stream(
        self, path: str, first: int, last: int, **params: int | str | None
    ) -> Iterator[httpx.Response]:
        """GET the bytes first..last of something (both inclusive), to be read piece by piece. No retries."""
        headers = {"Range": f"bytes={first}-{last}", "Accept-Encoding": "identity"}
        with (
            self._in_words(),
            self._client.stream(
                "GET", self.url + API + path, params=_given(params), headers=headers
            ) as answer,
        ):
            if answer.is_error:
                answer.read()
            self._check(answer)
            yield answer

    def download(
        self, path: str, first: int, last: int, take: Callable[[memoryview], None], **params: int | str | None
    ) -> None:
        """The same for megabytes, over a connection of their own; `take` gets the bytes as they come.

        PeerError from a peer that does not know ranges.
        """
        headers = {"Range": f"bytes={first}-{last}", "Accept-Encoding": "identity"}
        path = f"{API}{path}?{urlencode(_given(params))}"
        with self._in_words():
            answer = self._bulk.download(path, headers, _SILENCE_S, take)
        if answer.status != http.client.PARTIAL_CONTENT:
            self._check_answer(answer)
            raise PeerError("does not answer a request for a range", where=self.url)

    def upload(
        self, path: str, parts: Sequence[bytes | FileRange], size_bytes: int, timeout_s: float
    ) -> bytes:
        """POST megabytes, over a connection of their own; the content of the answer. No retries."""
        with self._in_words():
            answer = self._bulk.upload(API + path, {}, timeout_s, parts, size_bytes)
        self._check_answer(answer)
        return answer.content

    def _retry(self, send: Callable[[], httpx.Response], again: bool) -> httpx.Response:
        for pause_s in self._pauses_s if again else ():
            try:
                return send()
            except Unanswered as error:
                if not error.cut:
                    raise
                _log.info("%s: %s; trying again", self.url, error.what)
                self._sleep(pause_s)
        return send()

    def _send(self, method: str, path: str, **options: Any) -> httpx.Response:
        with self._in_words():
            answer = self._client.request(method, self.url + API + path, **options)
        self._check(answer)
        return answer

    @contextmanager
    def _in_words(self) -> Iterator[None]:
        try:
            yield
        except httpx.ConnectTimeout:
            raise self._unanswered("no answer to the attempt to connect") from None
        except httpx.TimeoutException:
            raise self._unanswered("connected, but no answer in time") from None
        except httpx.ConnectError as error:
            if (failed := _tls_error(error)) is not None:
                raise self._tls_failed(failed) from None
            refused = _is_refused(error)
            what = "nothing listens there" if refused else f"cannot connect ({error})"
            raise self._unanswered(what, refused=refused) from None
        except (httpx.NetworkError, httpx.RemoteProtocolError) as error:
            if (failed := _tls_error(error)) is not None:
                raise self._tls_failed(failed) from None
            raise self._unanswered("the connection was cut", cut=True) from None
        except httpx.DecodingError:
            raise ChangedOnTheWay("its answer cannot be unpacked", where=self.url) from None
        except httpx.HTTPError as error:
            raise PeerError(f"not an answer of a fovideo server: {error}", where=self.url) from None
        except FovideoError:
            raise
        except NotConnected as error:
            refused = _is_refused(error)
            what = "nothing listens there" if refused else f"cannot connect ({error})"
            if isinstance(error.__cause__, TimeoutError):
                what = "no answer to the attempt to connect"
            elif (failed := _tls_error(error)) is not None:
                raise self._tls_failed(failed) from None
            raise self._unanswered(what, refused=refused) from None
        except TooSlow:
            raise self._unanswered("its answer hardly comes: less than 1 kB a second") from None
        except TimeoutError:
            raise self._unanswered("connected, but no answer in time") from None
        except (OSError, http.client.IncompleteRead, http.client.RemoteDisconnected) as error:
            if (failed := _tls_error(error)) is not None:
                raise self._tls_failed(failed) from None
            raise self._unanswered("the connection was cut", cut=True) from None
        except http.client.HTTPException as error:
            raise PeerError(f"not an answer of a fovideo server: {error!r}", where=self.url) from None

    def _unanswered(self, what: str, *, refused: bool = False, cut: bool = False) -> FovideoError:
        hint = "is it running?"
        if cut and not self.url.startswith("https:"):
            hint = "is it running, and does it want https://?"
        elif cut:
            # The end of the handshake is not awaited by clients, so a refusal may look like this.
            if (over := self._expired()) is not None:
                return over
            asks = "take this client's certificate?" if self._shown.cert else "ask for a client certificate?"
            hint = f"is it running, and does it {asks}"
        return Unanswered(what, where=self.url, hint=hint, refused=refused, cut=cut)

    def _expired(self) -> PeerUnauthorized | None:
        over = self._shown.expired()
        if not over:
            return None
        what = f"this client's certificate is valid no more since {over}"
        return PeerUnauthorized(what, where=self._shown.cert, hint="have the site's CA sign a new one")

    def _tls_failed(self, error: ssl.SSLError) -> PeerError:
        """What a failed handshake means. Not tried again: it would fail again."""
        if isinstance(error, ssl.SSLCertVerificationError):
            return PeerUnauthorized(
                f"its certificate is not to be trusted: {error.verify_message}",
                where=self.url,
                hint="give its CA in FOVIDEO_CA or --ca, and the name that is in it in the URL",
            )
        reason = error.reason or ""
        if "BAD_RECORD_MAC" in reason:
            return ChangedOnTheWay("its answer was changed on the way", where=self.url)
        if "CERTIFICATE_REQUIRED" in reason or "HANDSHAKE_FAILURE" in reason:
            return PeerUnauthorized(
                "it asks for a client certificate",
                where=self.url,
                hint="give it in FOVIDEO_CERT or --cert",
            )
        if "ALERT" in reason and ("CA" in reason or "CERTIFICATE" in reason):
            return self._expired() or PeerUnauthorized(
                "it refused the client certificate", where=self.url, hint="is it signed by the site's CA?"
            )
        if reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"):
            return PeerError("it does not speak TLS", where=self.url, hint="try http:// in its URL")
        return PeerError(f"no TLS connection: {reason or 'the handshake failed'}", where=self.url)

    def _check(self, answer: httpx.Response) -> None:
        if not answer.is_success:
            self._check_answer(Answer(answer.status_code, answer.content))

    def _check_answer(self, answer: Answer) -> None:
        if 200 <= answer.status < 300:
            return
        failure = self._failure(answer)
        if answer.status == 401:
            hint = "set FOVIDEO_TOKEN to the site's token"
            if self._shown.token:
                raise PeerUnauthorized("the token was refused", where=self.url, hint=hint)
            if self._shown.cert:
                hint = "ask its admin for a [[client]] of that name"
            raise PeerUnauthorized(failure.what, where=self.url, hint=hint)
        if answer.status == 403:
            raise PeerUnauthorized(failure.what, where=self.url, hint=failure.hint)
        raise failure

    def _failure(self, answer: Answer) -> FovideoError:
        try:
            return from_json(answer.content, Failure).error.error(self.url)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return PeerError(
                f"answers {answer.status}, not as a fovideo server does",
                where=self.url,
                hint="check the URL",
            )


def _given(params: dict[str, int | str | None]) -> dict[str, int | str]:
    return {key: value for key, value in params.items() if value is not None}


def _tls_error(error: BaseException) -> ssl.SSLError | None:
    """The ssl.SSLError at the root of it. An end without the closing alert is a cut connection like any."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            cut = isinstance(cause, ssl.SSLEOFError | ssl.SSLZeroReturnError) or "EOF" in (cause.reason or "")
            return None if cut else cause
        cause = cause.__cause__ or cause.__context__
    return None


def _is_refused(error: BaseException) -> bool:
    """Whether a ConnectionRefusedError is at the root of it."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ConnectionRefusedError):
            return True
        cause = cause.__cause__ or cause.__context__
    return False
