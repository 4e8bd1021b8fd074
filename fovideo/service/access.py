"""Who may do what at an endpoint: roles, and the check before every request (docs/ref/http.md).

What is not listed here only an admin may do, so a route that is forgotten is closed, not open.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import NamedTuple

import msgspec
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from fovideo.peer.wire import API, Failure, Problem

CERTIFICATE = "fovideo.certificate"
"""Key of an ASGI scope: common name of the verified certificate that the client showed, or missing."""


class Right(StrEnum):
    """What a request does. The value completes "its role may not ..."."""

    HEALTH = "ask for health"
    READ = "read footage"
    INSERT = "insert footage"
    CONFIGURATION = "read the configuration"
    CONTROL = "do this"


class Role(StrEnum):
    """What a client is for."""

    MONITOR = "monitor"
    VIEWER = "viewer"
    SPARE = "spare"
    ADMIN = "admin"


RIGHTS: Mapping[Role, frozenset[Right]] = {
    Role.MONITOR: frozenset({Right.HEALTH}),
    Role.VIEWER: frozenset({Right.HEALTH, Right.READ}),
    Role.SPARE: frozenset({Right.HEALTH, Right.READ, Right.INSERT, Right.CONFIGURATION}),
    Role.ADMIN: frozenset(Right),
}

_STREAM = re.escape(API) + r"/streams/[^/]+"
_FOOTAGE = r"(data|gops|gops/\d+/(data|tracks)|provenances|losses)"
_NEEDED = (
    ("GET", re.compile(rf"/metrics|{re.escape(API)}/health"), Right.HEALTH),
    ("GET", re.compile(rf"{re.escape(API)}/management"), Right.HEALTH),
    ("GET", re.compile(rf"{re.escape(API)}/(directory|streams|merges(/[^/]+)?)"), Right.READ),
    ("GET", re.compile(rf"/site{re.escape(API)}/health"), Right.HEALTH),
    ("GET", re.compile(rf"/site{re.escape(API)}/streams"), Right.READ),
    ("GET", re.compile(rf"/site{_STREAM}/{_FOOTAGE}"), Right.READ),
    ("GET", re.compile(rf"{re.escape(API)}/configuration"), Right.CONFIGURATION),
    ("GET", re.compile(rf"{_STREAM}/{_FOOTAGE}"), Right.READ),
    ("POST", re.compile(rf"{_STREAM}/(stretches|settle)"), Right.INSERT),
)


def needed(method: str, path: str) -> Right:
    """The right that a request needs. Pure."""
    method = "GET" if method == "HEAD" else method
    for listed, pattern, right in _NEEDED:
        if method == listed and pattern.fullmatch(path):
            return right
    return Right.CONTROL


class Client(NamedTuple):
    """Who has access: by token, or by the common name of a certificate; either may be "" = not so."""

    role: Role
    token: str = ""
    certificate: str = ""


class Access:
    """Who is who. Asks nothing of anybody if there are no clients and certificates are not asked for."""

    def __init__(self, clients: Iterable[Client] = (), *, closed: bool = False) -> None:
        """closed: refuse whoever shows nothing even if there are no clients."""
        clients = list(clients)
        self._tokens = [(f"Bearer {each.token}".encode(), each.role) for each in clients if each.token]
        self._names = {client.certificate: client.role for client in clients if client.certificate}
        self.is_open = not (closed or self._tokens or self._names)

    def take_in(self, other: Access) -> None:
        """Become like another one, for requests that come from now on."""
        self._tokens, self._names, self.is_open = other._tokens, other._names, other.is_open

    def role_of(self, authorization: bytes, certificate: str) -> Role | None:
        """The role of a request; None: nobody that is known. A token that is shown counts alone.

        Compares with every token in constant time, so that none can be guessed by its time.
        """
        if self.is_open:
            return Role.ADMIN
        if not authorization:
            return self._names.get(certificate)
        found = None
        for expected, role in self._tokens:
            if hmac.compare_digest(authorization, expected):
                found = role
        return found


class AccessCheck:
    """Middleware: lets through what the client's role allows."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app, self._access = app, access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            shown = next((value for key, value in scope["headers"] if key == b"authorization"), b"")
            certificate = scope.get(CERTIFICATE, "")
            role = self._access.role_of(shown, certificate)
            if role is None:
                await _refusal(_stranger(shown, certificate))(scope, receive, send)
                return
            right = needed(scope["method"], scope["path"])
            if right not in RIGHTS[role]:
                problem = Problem(
                    "PeerUnauthorized", f"the role {role.value!r} may not {right.value}", hint="ask its admin"
                )
                await _answer(403, problem)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _stranger(shown: bytes, certificate: str) -> Problem:
    if shown:
        return Problem("PeerUnauthorized", "wrong token")
    if certificate:
        return Problem("PeerUnauthorized", f"no client of this site is named {certificate[:64]!r}")
    return Problem("PeerUnauthorized", "a token is needed")


def _refusal(problem: Problem) -> Response:
    refusal = _answer(401, problem)
    refusal.headers["WWW-Authenticate"] = "Bearer"
    return refusal


def _answer(status: int, problem: Problem) -> Response:
    return Response(msgspec.json.encode(Failure(problem)), status_code=status, media_type="application/json")
