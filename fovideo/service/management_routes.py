"""HTTP of the management role: status, directory, configuration, and the recordings of the whole site."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Protocol, cast

import msgspec
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route

from fovideo.decoding import from_json
from fovideo.errors import PeerUnauthorized, UsageError
from fovideo.peer import Directory, Health, ManagementStatus
from fovideo.peer.management import Publication
from fovideo.peer.wire import API
from fovideo.service.routes import timeline_routes
from fovideo.site.version import Version
from fovideo.timeline.endpoint import Timeline, unreachable

LIMIT_BYTES = 8 << 20


class Manages(Protocol):
    """What the routes show."""

    def status(self) -> ManagementStatus: ...
    def directory(self) -> Directory: ...
    def configuration(self) -> Version: ...
    def publish(self, text: str, after: int | None, licence: str = "") -> ManagementStatus: ...
    def whole(self) -> Timeline: ...


def management_routes(manages: Manages) -> list[Route]:
    """Routes below /v1."""

    async def status(request: Request) -> Response:
        return _json(manages.status())

    async def directory(request: Request) -> Response:
        return _json(manages.directory())

    async def configuration(request: Request) -> Response:
        if request.method == "POST":
            return await _publish(request)
        return _json(manages.configuration())

    async def _publish(request: Request) -> Response:
        after = request.query_params.get("after")
        if after is not None and not re.fullmatch(r"\d{1,9}", after):
            raise UsageError(f"after is no number of a version: {after[:20]!r}")
        body = bytearray()
        async for piece in request.stream():
            body += piece
            if len(body) > LIMIT_BYTES:
                raise UsageError("the configuration is too long")
        wanted = _publication(bytes(body), request.headers.get("content-type", ""))
        number = None if after is None else int(after)
        return _json(await run_in_threadpool(lambda: manages.publish(wanted.text, number, wanted.licence)))

    return [
        Route("/management", status),
        Route("/directory", directory),
        Route("/configuration", configuration, methods=["GET", "POST"]),
    ]


def _publication(body: bytes, kind: str) -> Publication:
    """JSON, or the text alone."""
    try:
        if kind.partition(";")[0].strip() == "application/json":
            return from_json(body, Publication)
        return Publication(body.decode())
    except UnicodeDecodeError:
        raise UsageError("the configuration is not UTF-8 text") from None
    except msgspec.MsgspecError as error:
        raise UsageError(f"not what is to be published: {error}") from None


def whole_site(
    whole: Callable[[], Timeline], health: Callable[[], Health], handlers: dict[type, object]
) -> BaseRoute:
    """The recordings of all cameras, as the timeline of a process at /site."""

    async def answer_health(request: Request) -> Response:
        now = health()
        store = msgspec.structs.replace(now.store, id=whole().identity, error="")
        away = unreachable(whole())
        whole_health = msgspec.structs.replace(
            now, role="site", store=store, cameras={}, servers={}, unreachable=away
        )
        return Response(msgspec.json.encode(whole_health.as_json()), media_type="application/json")

    routes = [Route("/health", answer_health), *timeline_routes(cast(Timeline, Current(whole)), None)]
    app = Starlette(routes=[Mount(API, routes=routes)], exception_handlers=handlers)  # type: ignore[arg-type]
    return Mount("/site", app=app)


class Current:
    """A Timeline that is another one after each change of the configuration."""

    def __init__(self, whole: Callable[[], Timeline]) -> None:
        self._whole = whole

    def __getattr__(self, name: str) -> object:
        return getattr(self._whole(), name)


def check_secrets(text: str, *, guarded: bool) -> None:
    """Refuse to hand a configuration that holds secrets to whoever asks. PeerUnauthorized says why."""
    if not guarded and re.search(r"^\s*(token|password)\s*=|rtsps?://[^/\s\"]*:[^/\s\"]*@", text, re.M):
        raise PeerUnauthorized(
            "this configuration holds secrets, and nobody here is asked who they are",
            hint="give the site a token, or put secrets into files",
        )


def _json(value: object) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json")
