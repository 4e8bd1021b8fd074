"""Roles: what each may ask of an endpoint, by token, and that nothing else gets through."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from served import health_of, open_store, record

from fovideo.service.access import RIGHTS, Access, Client, Right, Role, needed
from fovideo.service.app import make_app
from fovideo.service.http import HttpServer
from fovideo.service.routes import timeline_routes

REQUESTS = [
    ("GET", "/v1/health", Right.HEALTH),
    ("GET", "/metrics", Right.HEALTH),
    ("GET", "/v1/streams", Right.READ),
    ("GET", "/v1/streams/gate/gops", Right.READ),
    ("GET", "/v1/streams/gate/gops/1/data", Right.READ),
    ("GET", "/v1/streams/gate/gops/1/tracks", Right.READ),
    ("GET", "/v1/streams/gate/provenances", Right.READ),
    ("GET", "/v1/streams/gate/losses", Right.READ),
    ("GET", "/v1/streams/gate/data", Right.READ),
    ("GET", "/v1/management", Right.HEALTH),
    ("GET", "/v1/directory", Right.READ),
    ("GET", "/v1/configuration", Right.CONFIGURATION),
    ("POST", "/v1/configuration", Right.CONTROL),
    ("GET", "/site/v1/health", Right.HEALTH),
    ("GET", "/site/v1/streams", Right.READ),
    ("GET", "/site/v1/streams/gate/gops/1/data", Right.READ),
    ("POST", "/site/v1/streams/gate/stretches", Right.CONTROL),
    ("POST", "/v1/streams/gate/stretches", Right.INSERT),
    ("POST", "/v1/streams/gate/settle", Right.INSERT),
    ("POST", "/v1/check", Right.CONTROL),
    ("POST", "/v1/anything/new", Right.CONTROL),
    ("DELETE", "/v1/streams/gate", Right.CONTROL),
    ("POST", "/v1/health", Right.CONTROL),
    ("GET", "/v1/streams/../check", Right.CONTROL),
    ("GET", "/v1/streams/gate/gops/1/data/", Right.CONTROL),
]


@pytest.mark.parametrize(("method", "path", "right"), REQUESTS)
def test_what_a_request_needs(method: str, path: str, right: Right) -> None:
    assert needed(method, path) is right


def test_every_route_of_the_timeline_is_listed(tmp_path: Path) -> None:
    listed = {(method, path.replace("/gate/", "/{stream}/").replace("/1/", "/{serial:int}/"))
              for method, path, _ in REQUESTS}  # fmt: skip
    with open_store(tmp_path / "store") as store:
        for route in timeline_routes(store, None):
            method = "POST" if "POST" in route.methods else "GET"
            assert (method, "/v1" + route.path) in listed


@given(st.sampled_from(("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS")), st.text(max_size=60))
def test_what_is_not_known_is_for_an_admin(method: str, path: str) -> None:
    right = needed(method, "/v1/streams/" + path)
    if method not in ("GET", "HEAD"):
        assert right in (Right.INSERT, Right.CONTROL)
        assert right is Right.CONTROL or path.endswith(("/stretches", "/settle"))


def test_roles_contain_one_another() -> None:
    assert RIGHTS[Role.MONITOR] < RIGHTS[Role.VIEWER] < RIGHTS[Role.SPARE] < RIGHTS[Role.ADMIN]
    assert RIGHTS[Role.ADMIN] == set(Right)


def test_who_is_who() -> None:
    clients = [
        Client(Role.VIEWER, "see"),
        Client(Role.ADMIN, "all"),
        Client(Role.SPARE, certificate="spare-1"),
    ]
    access = Access(clients)
    assert access.role_of(b"Bearer see", "") is Role.VIEWER
    assert access.role_of(b"Bearer see", "spare-1") is Role.VIEWER
    assert access.role_of(b"Bearer wrong", "spare-1") is None
    assert access.role_of(b"", "spare-1") is Role.SPARE
    assert access.role_of(b"", "spare-2") is None
    assert access.role_of(b"", "") is None
    assert access.role_of(b"Bearer ", "") is None
    assert Access().role_of(b"", "") is Role.ADMIN
    assert Access(closed=True).role_of(b"", "") is None


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    access = Access(Client(role, f"{role.value}-token") for role in Role)
    with open_store(tmp_path / "store") as store:
        record(store)
        http = HttpServer(make_app(store, lambda: health_of(store), access=access), "127.0.0.1", 0)
        http.start()
        yield http.url
        http.stop()


@pytest.mark.parametrize("role", list(Role))
def test_no_client_gets_beyond_its_role(url: str, role: Role) -> None:
    with httpx.Client(
        base_url=url, trust_env=False, headers={"Authorization": f"Bearer {role}-token"}
    ) as web:
        for method, path, right in REQUESTS:
            answer = web.request(method, path, content=b"" if method == "POST" else None)
            if right in RIGHTS[role]:
                assert answer.status_code not in (401, 403), (role, path)
            else:
                assert answer.status_code == 403
                assert right.value in answer.json()["error"]["what"]
            assert "-token" not in answer.text


def test_strangers_get_nothing(url: str) -> None:
    with httpx.Client(base_url=url, trust_env=False) as web:
        for headers in ({}, {"Authorization": "Bearer x"}, {"Authorization": "Basic admin-token"}):
            for method, path, _ in REQUESTS:
                answer = web.request(method, path, headers=headers)
                assert answer.status_code == 401
                assert answer.headers["WWW-Authenticate"] == "Bearer"
