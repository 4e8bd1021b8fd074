"""Orders to a running process over HTTP: POST /v1/control/NAME with a JSON object, answered with one."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeAlias, TypeVar

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fovideo.decoding import convert, from_json
from fovideo.errors import PeerUnauthorized, UsageError
from fovideo.merge.doing.running import MergeResult, MergeStatus
from fovideo.service.access import Access

Control: TypeAlias = Callable[[dict[str, Any]], dict[str, Any]]
"""Takes a request's body, gives the answer's. Called by a worker thread; may raise FovideoError."""

AnyValue = TypeVar("AnyValue")


def control_routes(controls: Mapping[str, Control], *, access: Access) -> list[Route]:
    """A route for each. access: has checked who asks; where it is open, only this machine may give orders."""

    def route(name: str, control: Control) -> Route:
        async def carry_out(request: Request) -> Response:
            if access.is_open and not _is_local(request):
                raise PeerUnauthorized(
                    "orders over the network need a token", where=name, hint="give the site a token"
                )
            body = _body(await request.body())
            answer = await run_in_threadpool(control, body)
            return _json(answer)

        return Route(f"/control/{name}", carry_out, methods=["POST"])

    return [route(name, control) for name, control in controls.items()]


class Pulling(Protocol):
    """Who carries out merges that were ordered: fovideo.service.pulls.Pulls."""

    def running(self) -> tuple[MergeStatus, ...]: ...
    def ended(self) -> tuple[MergeStatus, ...]: ...
    def result(self, id: str) -> MergeResult: ...


def merge_routes(pulls: Pulling) -> list[Route]:
    """The last merges that have ended and those that run; one of them, and its report in the end."""

    async def answer_all(request: Request) -> Response:
        return _json(await run_in_threadpool(lambda: (*pulls.ended(), *pulls.running())))

    async def answer(request: Request) -> Response:
        return _json(await run_in_threadpool(pulls.result, request.path_params["id"]))

    return [Route("/merges", answer_all), Route("/merges/{id}", answer)]


def _json(value: object) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json")


def wanted(body: Mapping[str, Any], key: str, kind: type[AnyValue]) -> AnyValue:
    """What the body says under a key. UsageError if that is missing or of another kind."""
    value = body.get(key)
    if not isinstance(value, kind):
        words = {str: "text", bool: "true or false", int: "a whole number"}
        raise UsageError(f"the body needs {key!r}: {words.get(kind, kind.__name__)}")
    return value


def wanted_as(body: Mapping[str, Any], kind: type[AnyValue]) -> AnyValue:
    """The body as a value. UsageError if it is none."""
    try:
        return convert(body, kind)
    except msgspec.ValidationError as error:
        raise UsageError(f"the body cannot be used: {error}") from None


def as_json(value: msgspec.Struct) -> dict[str, Any]:
    """A value as the answer to an order."""
    found: dict[str, Any] = msgspec.to_builtins(value)
    return found


def _body(data: bytes) -> dict[str, Any]:
    try:
        return from_json(data or b"{}", dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UsageError(f"the body is no JSON object: {error}") from None


def _is_local(request: Request) -> bool:
    client = request.client
    try:
        return client is not None and ipaddress.ip_address(client.host).is_loopback
    except ValueError:
        return False
