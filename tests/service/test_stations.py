"""Server and spare as objects of a host application: started, stopped, refused, and nothing left behind."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import threading
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette

from fovideo.errors import ConfigError, FovideoError, PeerUnauthorized, StoreBusy, UsageError
from fovideo.peer import Control, open_timeline
from fovideo.service.access import Access
from fovideo.service.app import _answer_error
from fovideo.service.control import control_routes
from fovideo.service.serve import RecordingServer
from fovideo.service.settings import camera_config, failover_settings, store_options
from fovideo.service.spare import Spare
from fovideo.site import Site, load_site
from fovideo.store import Store


def site_of(folder: Path, *, token: str = "", camera: str = "", server: str = "127.0.0.1:0") -> Site:
    text = f"""
[site]
name = "test"
token = "{token}"
[[server]]
name = "rec-1"
listen = "{server}"
url = "http://127.0.0.1:9"
store = "rec-1"
[[spare]]
name = "spare-1"
listen = "127.0.0.1:0"
store = "spare-1"
[[camera]]
name = "gate"
server = "rec-1"
url = "rtsp://127.0.0.1:9/none"
{camera}
"""
    (folder / "site.toml").write_text(text)
    return load_site(folder / "site.toml")


def stations(folder: Path, **site: str) -> tuple[RecordingServer, Spare]:
    loaded = site_of(folder, **site)
    return RecordingServer(loaded, "rec-1"), Spare(loaded, "spare-1")


@pytest.mark.parametrize("number", [0, 1])
def test_start_and_stop(tmp_path: Path, number: int) -> None:
    before, handler = set(threading.enumerate()), signal.getsignal(signal.SIGINT)
    station = stations(tmp_path)[number]
    with station:
        assert signal.getsignal(signal.SIGINT) is handler
        health = httpx.get(f"{station.url}/v1/health", trust_env=False).json()
        assert health["name"] == station.name
        assert health["role"] == station.role
        assert health["site"] == "test"
        assert health["cameras"]["gate"]["mode"] == ("record", "standby")[number]
        assert health["store"]["id"] == station.store.identity
        assert list(health["servers"]) == ([], ["rec-1"])[number]
        metrics = httpx.get(f"{station.url}/metrics", trust_env=False).text
        assert ("fovideo_failover_state" in metrics) == bool(number)
        with open_timeline(station.url) as timeline:
            assert timeline.streams() == []
    station.stop()
    left = {
        thread
        for thread in threading.enumerate()
        if thread not in before and "anyio" not in thread.name.lower()
    }
    assert not left
    with Store.open(tmp_path / station.name, write=True):
        pass


@pytest.mark.parametrize("number", [0, 1])
def test_the_token_of_the_site(tmp_path: Path, number: int) -> None:
    with stations(tmp_path, token="sesame")[number] as station:
        assert httpx.get(f"{station.url}/v1/health", trust_env=False).status_code == 401
        headers = {"Authorization": "Bearer sesame"}
        assert httpx.get(f"{station.url}/v1/health", headers=headers, trust_env=False).status_code == 200


def test_a_second_one_on_the_same_store(tmp_path: Path) -> None:
    site = site_of(tmp_path)
    with RecordingServer(site, "rec-1") as first:
        with pytest.raises(StoreBusy):
            RecordingServer(site, "rec-1").start()
        assert httpx.get(f"{first.url}/v1/health", trust_env=False).status_code == 200


def test_an_address_that_is_taken(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        site = site_of(tmp_path, server=f"127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(ConfigError, match="cannot listen"):
            RecordingServer(site, "rec-1").start()
    with RecordingServer(site, "rec-1"):
        pass


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize(
    ("camera", "expected"),
    [
        ('user = "a"\npassword_file = "none"', "password of camera 'gate'"),
        ('password = "b"', "without a user"),
    ],
)
def test_a_camera_that_cannot_be(tmp_path: Path, number: int, camera: str, expected: str) -> None:
    station = stations(tmp_path, camera=camera)[number]
    with pytest.raises(ConfigError, match=expected):
        station.start()
    with Store.open(tmp_path / station.name, write=True):
        pass


def test_names_that_the_site_does_not_have(tmp_path: Path) -> None:
    site = site_of(tmp_path)
    with pytest.raises(ConfigError, match="no server named"):
        RecordingServer(site, "spare-1")
    with pytest.raises(ConfigError, match="no spare named"):
        Spare(site, "rec-1")
    with pytest.raises(UsageError, match="not started"):
        Spare(site, "spare-1").health()


def test_a_spare_takes_over_a_server_that_was_never_there(tmp_path: Path) -> None:
    taken = threading.Event()
    with Spare(site_of(tmp_path), "spare-1", on_event=lambda event: taken.set()) as spare:
        assert taken.wait(60)
        while not (watched := spare.health().servers["rec-1"]).takeover_ns:
            taken.wait(0.05)
        assert watched.lease == 1
        assert "nothing listens there" in watched.error
        while spare.health().cameras["gate"].mode != "record":  # the recorder turns within moments
            taken.wait(0.05)
    with Spare(site_of(tmp_path), "spare-1") as again:
        assert again.health().servers["rec-1"].lease == 1
        assert again.health().servers["rec-1"].cameras == {"gate": "standing in"}


def test_a_listener_that_fails_harms_nothing(tmp_path: Path) -> None:
    called = threading.Event()

    def fail(event: object) -> None:
        called.set()
        raise ZeroDivisionError

    with Spare(site_of(tmp_path), "spare-1", on_event=fail) as spare:
        assert called.wait(60)
        assert spare.health().state


def test_every_setting_reaches_its_part(tmp_path: Path) -> None:
    site = site_of(
        tmp_path, camera='transport = "udp"\nuser = "a"\npassword = "b"\npreroll = 3\nring = "1MiB"'
    )
    config = camera_config(site.cameras[0])
    assert (config.transport, config.user, config.password) == ("udp", "a", "b")
    assert (config.preroll_ns, config.ring_bytes) == (3 * 10**9, 2**20)
    assert failover_settings(site.servers[0].detection).stalled_after_ns == 5 * 10**9
    assert store_options(site.spares[0]).max_age_ns == 86_400 * 10**9


def test_a_spare_takes_orders(tmp_path: Path) -> None:
    _, spare = stations(tmp_path, token="hush", server="127.0.0.1:9")
    with spare:
        with contextlib.closing(Control(spare.url, "hush")) as control:
            answer = control.failover("rec-1")
            assert answer == {"name": "spare-1", "server": "rec-1", "state": "standing in", "lease": 1}
            assert spare.recorder.status()["gate"].lease == 1 or spare.recorder.flush(30)
            assert control.failback("rec-1")["state"] == "standing in", "the server does not answer"
            with pytest.raises(UsageError, match=r"rec-2.*it watches: rec-1"):
                control.failover("rec-2")
            assert control.pause_merge("rec-1")["paused"]
            assert spare.health().servers["rec-1"].paused
            assert not control.pause_merge("rec-1", False)["paused"]
            with pytest.raises(UsageError, match="'server': text"):
                control.order("failover", server=7)
        with contextlib.closing(Control(spare.url, "loud")) as stranger, pytest.raises(PeerUnauthorized):
            stranger.failover("rec-1")


def test_what_all_rings_may_hold_together_is_told(tmp_path: Path) -> None:
    path = site_of(tmp_path).path
    path.write_text(path.read_text().replace("[[spare]]", '[[spare]]\nmemory = "8MiB"'))
    with Spare(load_site(path), "spare-1") as spare:
        assert httpx.get(f"{spare.url}/v1/health", trust_env=False).json()["memory_bytes"] == 8 << 20


def test_a_server_is_drained(tmp_path: Path) -> None:
    server, _ = stations(tmp_path)
    with pytest.raises(UsageError, match="starting"):
        server.drain()
    with server, contextlib.closing(Control(server.url)) as control:
        assert control.drain() == {"name": "rec-1", "state": "drained"}
        assert server.health().state == "drained"
        assert control.drain(False)["state"] == "recording"
        control.drain()
        control.drain()
    assert server.health().state == "drained", "also as its last word"


def test_orders_from_elsewhere_need_a_token() -> None:
    app = Starlette(
        routes=control_routes({"stop": lambda body: body}, access=Access()),
        exception_handlers={FovideoError: _answer_error},
    )
    for client, status in (("127.0.0.1", 200), ("10.0.0.9", 403)):
        transport = httpx.ASGITransport(app, client=(client, 1))

        async def ask(transport: httpx.ASGITransport = transport) -> httpx.Response:
            async with httpx.AsyncClient(transport=transport, base_url="http://x") as web:
                return await web.post("/control/stop", content=b"{}")

        assert asyncio.run(ask()).status_code == status
