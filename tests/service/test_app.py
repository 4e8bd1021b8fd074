"""The HTTP application as any client sees it: JSON, ranges, errors, metrics; and its thread."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families
from served import TOKEN, bytes_of, open_store, record, served

from fovideo.errors import ConfigError
from fovideo.peer.wire import StretchHead, encode_head
from fovideo.service.http import HttpServer
from fovideo.service.incoming import clean_spool
from fovideo.store import Store
from fovideo.timeline.values import Provenance


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "store") as store:
        record(store)
        yield store


@pytest.fixture
def web(store: Store) -> Iterator[httpx.Client]:
    with served(store) as http, httpx.Client(base_url=http.url, trust_env=False) as client:
        yield client


def test_health(web: httpx.Client, store: Store) -> None:
    answer = web.get("/v1/health")
    assert answer.headers["content-type"] == "application/json"
    health = answer.json()
    assert health["name"] == "rec-1"
    assert health["now"] == "2026-09-21T14:13:20Z"
    assert health["store"]["id"] == store.identity
    gate = health["cameras"]["gate"]
    assert gate["state"] == "live"
    assert gate["durable_to"] == "2026-09-21T14:13:21.500Z"
    assert gate["durable_to_ns"] == 1_790_000_001_500_000_000


def test_health_does_not_wait_for_the_disk(tmp_path: Path, store: Store) -> None:
    """All worker threads hang, as they do when the disk does."""
    hanging, free = threading.Semaphore(0), threading.Event()

    class Hanging:
        identity = store.identity
        location = "hanging"

        def streams(self) -> list[object]:
            hanging.release()
            free.wait()
            return []

    with served(Hanging()) as http:
        threads = [
            threading.Thread(target=lambda: httpx.get(f"{http.url}/v1/streams", timeout=60, trust_env=False))
            for _ in range(50)
        ]
        for thread in threads:
            thread.start()
        for _ in range(40):
            hanging.acquire()
        assert httpx.get(f"{http.url}/v1/health", trust_env=False).json()["name"] == "rec-1"
        assert "fovideo_camera_live" in httpx.get(f"{http.url}/metrics", trust_env=False).text
        free.set()
        for thread in threads:
            thread.join()


def test_everything_is_json_for_people(web: httpx.Client) -> None:
    assert web.get("/v1/streams").json()[0]["name"] == "gate"
    assert "rec-1" in [each["recorder"] for each in web.get("/v1/streams/gate/provenances").json().values()]
    page = web.get("/v1/streams/gate/gops").json()
    assert len(page["gops"]) == 8
    assert not page["more"]
    serial = page["gops"][0][1]
    assert web.get(f"/v1/streams/gate/gops/{serial}/tracks").json()[0]["codec"] == "h264"


def test_ranges(web: httpx.Client, store: Store) -> None:
    gop = store.gops("gate")[2]
    data = bytes_of(store.read("gate", gop))
    path = f"/v1/streams/gate/gops/{gop.serial}/data"
    whole = web.get(path)
    assert (whole.status_code, whole.content) == (200, data)
    for header, part in (
        ("bytes=0-9", data[:10]),
        ("bytes=100-", data[100:]),
        ("bytes=5-999999999", data[5:]),
    ):
        answer = web.get(path, headers={"Range": header})
        assert (answer.status_code, answer.content) == (206, part)
    assert web.get(path, headers={"Range": "bytes=0-9"}).headers["content-range"] == f"bytes 0-9/{len(data)}"
    for header in ("bytes=9-5", f"bytes={len(data)}-", "lines=1-2", "bytes=-5"):
        assert web.get(path, headers={"Range": header}).status_code == 400


@pytest.mark.parametrize(
    ("method", "path", "content", "status", "kind"),
    [
        ("GET", "/nothing", b"", 404, "PeerError"),
        ("GET", "/v1/streams/yard/gops", b"", 404, "NoSuchStream"),
        ("GET", "/v1/streams/gate/gops?from_ns=noon", b"", 400, "UsageError"),
        ("GET", "/v1/streams/gate/gops/77777/data", b"", 404, "NothingThere"),
        ("GET", "/v1/streams/gate/stretches", b"", 405, "PeerError"),
        ("POST", "/v1/streams/gate/settle", b"\xc1", 400, "UsageError"),
        ("POST", "/v1/streams/gate/stretches", b"", 400, "PeerError"),
        ("POST", "/v1/streams/gate/stretches", b"\x00\x00\x00\x05abc", 400, "PeerError"),
        ("POST", "/v1/streams/gate/stretches", b"\xff\xff\xff\xff" * 9, 400, "PeerError"),
        ("POST", "/v1/streams/gate/stretches", b"\x00\x00\x00\x03abc", 400, "PeerError"),
    ],
)
def test_requests_that_cannot_be_met(
    web: httpx.Client, store: Store, method: str, path: str, content: bytes, status: int, kind: str
) -> None:
    before = store.streams()
    answer = web.request(method, path, content=content)
    assert answer.status_code == status
    assert answer.json()["error"]["kind"] == kind
    assert store.streams() == before


@pytest.mark.parametrize(("sizes", "sent"), [((10,), 9), ((10,), 11), ((1 << 40,), 5), ((-5, 10), 5)])
def test_stretches_of_another_length_than_told(web: httpx.Client, sizes: tuple[int, ...], sent: int) -> None:
    head = StretchHead(
        tracks=(),
        provenance=Provenance(recorder="spare-1", session="0" * 16),
        generation=-1,
        shift_ns=0,
        epoch=0,
        sizes=sizes,
    )
    answer = web.post("/v1/streams/gate/stretches", content=encode_head(head) + b"x" * sent)
    assert answer.status_code == 400


def test_a_wrong_token_gets_nothing(store: Store) -> None:
    with served(store, token=TOKEN) as http:
        for path in ("/v1/health", "/v1/streams", "/metrics", "/nothing"):
            for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": TOKEN}):
                answer = httpx.get(http.url + path, headers=headers, trust_env=False)
                assert answer.status_code == 401
                assert answer.headers["www-authenticate"] == "Bearer"
        answer = httpx.get(
            f"{http.url}/metrics", headers={"Authorization": f"Bearer {TOKEN}"}, trust_env=False
        )
        assert answer.status_code == 200


def test_metrics(web: httpx.Client) -> None:
    answer = web.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    families = {family.name: family for family in text_string_to_metric_families(answer.text)}
    (frames,) = families["fovideo_camera_frames"].samples
    assert (frames.name, frames.labels, frames.value) == (
        "fovideo_camera_frames_total",
        {"camera": "gate"},
        38,
    )
    assert families["fovideo_camera_durable_edge_seconds"].samples[0].value == 1_790_000_001.5
    assert families["fovideo_info"].samples[0].labels["name"] == "rec-1"


def test_two_servers_in_one_process_share_nothing(store: Store) -> None:
    with served(store) as one, served(store) as two:
        assert one.port != two.port
        for http in (one, two):
            assert httpx.get(f"{http.url}/metrics", trust_env=False).status_code == 200


def test_compressed_answers(web: httpx.Client) -> None:
    plain = web.get("/v1/streams/gate/gops", headers={"Accept-Encoding": "identity"})
    small = web.get("/v1/streams/gate/gops", headers={"Accept-Encoding": "zstd"})
    assert "content-encoding" not in plain.headers
    assert small.headers["content-encoding"] == "zstd"
    assert small.json() == plain.json()
    assert int(small.headers["content-length"]) < int(plain.headers["content-length"])


def test_an_address_that_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"127.0.0.1:{port}: cannot listen"):
            HttpServer(None, "127.0.0.1", port).start()
    with pytest.raises(ConfigError, match=r"cannot listen|not an address"):
        HttpServer(None, "192.0.2.1", 0).start()


def test_stopping_frees_the_address(store: Store) -> None:
    with served(store) as http:
        port = http.port
        with httpx.Client(trust_env=False) as client:
            client.get(f"{http.url}/v1/health")
            http.stop()
    http.stop()
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{port}/v1/health", trust_env=False)
    again = HttpServer(None, "127.0.0.1", port)
    again.start()
    again.stop()


def test_a_killed_process_leaves_no_spool(tmp_path: Path) -> None:
    (tmp_path / "incoming-abc").write_bytes(b"x")
    (tmp_path / "other").write_bytes(b"x")
    clean_spool(tmp_path)
    clean_spool(tmp_path / "none")
    assert [path.name for path in tmp_path.iterdir()] == ["other"]


def test_health_travels_whole(web: httpx.Client, store: Store) -> None:
    from served import health_of

    from fovideo.peer import Health

    assert msgspec.json.decode(web.get("/v1/health").content, type=Health).cameras["gate"].frames == 38
    assert msgspec.convert(health_of(store).as_json(), Health).store == health_of(store).store
