"""The HTTP application of a server or spare: health, metrics and its timeline (docs/ref/http.md).

Health is answered by the event loop alone and touches neither disk nor worker threads: when the disk hangs,
it still answers, and its figures say that nothing becomes durable.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.registry import Collector
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route

from fovideo.errors import (
    ConfigError,
    ConfigStale,
    FovideoError,
    NoSuchStream,
    NothingThere,
    PeerError,
    PeerUnauthorized,
    PlanStale,
    SegmentDamaged,
    StoreBusy,
    StoreError,
    StoreFull,
    UsageError,
)
from fovideo.peer.health import Health
from fovideo.peer.wire import API, Failure, Problem
from fovideo.service.access import Access, AccessCheck, Client, Role
from fovideo.service.control import Control, Pulling, control_routes, merge_routes
from fovideo.service.management_routes import Manages, management_routes, whole_site
from fovideo.service.metrics import HealthCollector
from fovideo.service.routes import timeline_routes
from fovideo.timeline.endpoint import Timeline

_log = logging.getLogger(__name__)

_STATUS: tuple[tuple[type[FovideoError], int], ...] = (
    (ConfigStale, 409),
    (ConfigError, 422),
    (UsageError, 400),
    (PeerUnauthorized, 403),
    (PeerError, 400),
    (NoSuchStream, 404),
    (NothingThere, 404),
    (PlanStale, 409),
    (SegmentDamaged, 422),
    (StoreFull, 507),
    (StoreBusy, 503),
    (StoreError, 500),
)


def make_app(
    timeline: Timeline,
    health: Callable[[], Health],
    *,
    token: str = "",
    access: Access | None = None,
    spool: Path | None = None,
    controls: Mapping[str, Control] | None = None,
    collectors: Iterable[Collector] = (),
    silent: Callable[[], bool] = lambda: False,
    management: Manages | None = None,
    recording: bool = True,
    pulls: Pulling | None = None,
) -> Starlette:
    """The application. It closes nothing that it is given.

    health: called by the event loop for every poll: must not wait for anything.
    access: who may do what; None: all may do all who show the token, "" = none is asked for.
    collectors: more metrics. management: what manages the site here, or may. recording: serve the timeline.
    controls: what can be ordered with POST /v1/control/NAME.
    pulls: who carries out the merges that are ordered.
    silent: asked by the event loop; while true, health is refused, as in a drill.
    spool: folder for insertions on their way in, best on the store's disk; None = the system's.
    """
    if access is None:
        access = Access([Client(Role.ADMIN, token)] if token else [])
    registry = CollectorRegistry()
    for collector in (HealthCollector(health), *collectors):
        registry.register(collector)

    async def answer_health(request: Request) -> Response:
        if silent():
            return _failure(503, Problem("PeerError", "it plays dead for a drill"))
        return Response(msgspec.json.encode(health().as_json()), media_type="application/json")

    async def answer_metrics(request: Request) -> Response:
        return Response(generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    handlers: dict[Any, Any] = {
        FovideoError: _answer_error,
        HTTPException: _answer_http_error,
        ClientDisconnect: _answer_nobody,
    }
    below: list[Route] = [Route("/health", answer_health), *control_routes(controls or {}, access=access)]
    if pulls is not None:
        below += merge_routes(pulls)
    if recording:
        below += timeline_routes(timeline, spool)
    routes: list[BaseRoute] = [Route("/metrics", answer_metrics)]
    if management is not None:
        below += management_routes(management)
        routes.append(whole_site(management.whole, health, handlers))
    routes.append(Mount(API, routes=below))
    return Starlette(
        routes=routes, middleware=[Middleware(AccessCheck, access=access)], exception_handlers=handlers
    )


def _answer_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, FovideoError)
    status = next((status for kind, status in _STATUS if isinstance(error, kind)), 500)
    return _failure(status, Problem.of(error))


def _answer_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    what = f"there is no {request.url.path}" if error.status_code == 404 else error.detail
    return _failure(error.status_code, Problem("PeerError", what, hint="see docs/ref/http.md"))


def _answer_nobody(request: Request, error: Exception) -> Response:
    """A peer that ends or is cut off while it sends is nothing that this process did wrong."""
    _log.info("%s: the client went away", request.url.path)
    return Response(status_code=400)


def _failure(status: int, problem: Problem) -> Response:
    return Response(msgspec.json.encode(Failure(problem)), status_code=status, media_type="application/json")
