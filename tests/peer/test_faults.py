"""Connections that are cut, peers that are not there, tokens that are wrong, answers that are none."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from cutting_proxy import CuttingProxy, cutting_proxy
from free_ports import free_port
from served import TOKEN, bytes_of, open_store, record, remote, served, stretch_of

from fovideo.errors import NotAStore, PeerError, PeerUnauthorized, UsageError
from fovideo.peer import Connection, Probe, RemoteStore, Unanswered, open_timeline
from fovideo.peer.locate import token_from
from fovideo.store import Store
from fovideo.times import NS_PER_MS


@pytest.fixture
def proxy(store: Store) -> Iterator[CuttingProxy]:
    with served(store) as http, cutting_proxy(http.port) as proxy:
        yield proxy


@pytest.mark.parametrize("after", [0, 1, 50, 180, 300])
def test_reading_goes_on_after_a_cut(
    proxy: CuttingProxy, client: RemoteStore, store: Store, after: int
) -> None:
    proxy.cut_after = lambda number, direction: after if direction == "down" and number < 3 else None
    assert client.gops("gate") == store.gops("gate")
    assert proxy.connections == 4


def test_a_read_that_is_cut_is_resumed(proxy: CuttingProxy, client: RemoteStore, store: Store) -> None:
    gop = store.gops("gate")[0]
    assert gop.size_bytes > 90_000
    proxy.cut_after = lambda number, direction: 30_000 if direction == "down" and number < 8 else None
    assert client.read("gate", gop) == bytes_of(store.read("gate", gop))
    assert proxy.connections == 4


def test_it_gives_up_in_the_end(proxy: CuttingProxy, client: RemoteStore, store: Store) -> None:
    proxy.cut_after = lambda number, direction: 0
    with pytest.raises(Unanswered, match="was cut"):
        client.streams()
    assert proxy.connections == 4
    with pytest.raises(Unanswered, match="was cut"):
        client.read("gate", store.gops("gate")[0])


@pytest.mark.parametrize("after", [10, 1000, 60_000])
def test_an_insertion_that_is_cut_leaves_nothing(
    proxy: CuttingProxy, client: RemoteStore, store: Store, tmp_path: Path, after: int
) -> None:
    with open_store(tmp_path / "spare") as spare:
        record(spare, 300, 100, size=4000)
        before = store.streams()
        proxy.cut_after = lambda number, direction: after if direction == "up" else None
        with pytest.raises(Unanswered, match="was cut"):
            client.insert(stretch_of(spare, spare.gops("gate")))
        assert proxy.connections == 1
    assert store.streams() == before


def test_an_insertion_whose_answer_is_lost_is_not_repeated(
    proxy: CuttingProxy, client: RemoteStore, store: Store, tmp_path: Path
) -> None:
    with open_store(tmp_path / "spare") as spare:
        record(spare, 300, 100)
        proxy.cut_after = lambda number, direction: 20 if direction == "down" else None
        with pytest.raises(Unanswered):
            client.insert(stretch_of(spare, spare.gops("gate")))
    assert store.streams()[0].frames == 300


def test_settling_is_repeated(proxy: CuttingProxy, client: RemoteStore) -> None:
    proxy.cut_after = lambda number, direction: 0 if number < 2 else None
    client.settle("gate", [1])
    assert proxy.connections == 3


def test_tokens(store: Store) -> None:
    with served(store, token=TOKEN) as http:
        with remote(http.url, TOKEN) as client:
            assert client.streams() == store.streams()
        for wrong in ("", "open sesam", "open sesame!", "x"):
            with remote(http.url, wrong) as client:
                for ask in (client.streams, client.health, lambda: client.identity):
                    with pytest.raises(PeerUnauthorized, match="FOVIDEO_TOKEN") as caught:
                        ask()
                    assert TOKEN not in str(caught.value)
                    assert not wrong or wrong not in str(caught.value)


def test_the_token_comes_from_the_environment(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with served(store, token=TOKEN) as http:
        with pytest.raises(PeerUnauthorized):
            open_timeline(http.url)
        monkeypatch.setenv("FOVIDEO_TOKEN", TOKEN)
        open_timeline(http.url).close()
        monkeypatch.delenv("FOVIDEO_TOKEN")
        (tmp_path / "token").write_text(TOKEN + "\n")
        monkeypatch.setenv("FOVIDEO_TOKEN_FILE", str(tmp_path / "token"))
        opened = open_timeline(http.url)
        assert opened.streams() == store.streams()
        opened.close()


def test_a_token_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot read the token"):
        token_from({"FOVIDEO_TOKEN_FILE": str(tmp_path / "none")})
    (tmp_path / "token").write_bytes(b"\xff")
    with pytest.raises(UsageError, match="not text"):
        token_from({"FOVIDEO_TOKEN_FILE": str(tmp_path / "token")})


def test_a_token_that_http_cannot_carry() -> None:
    for token in ("gehe\u0101im", "gehe\nim"):
        with pytest.raises(UsageError, match="token") as caught:
            RemoteStore("http://127.0.0.1:1", token)
        assert "gehe" not in str(caught.value)


def test_nobody_listens() -> None:
    with pytest.raises(Unanswered, match="nothing listens there") as caught:
        open_timeline(f"http://127.0.0.1:{free_port()}")
    assert caught.value.refused
    assert isinstance(caught.value, ConnectionError)


def test_an_unknown_host() -> None:
    with pytest.raises(Unanswered, match="cannot connect") as caught:
        open_timeline("http://no-such-host.invalid:8750")
    assert not caught.value.refused


def test_somebody_who_never_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        probe = Probe(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout_ns=50 * NS_PER_MS)
        with pytest.raises(Unanswered, match="no answer in time") as caught:
            probe.ask()
        assert not caught.value.refused
        probe.close()


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 301 Moved\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\x00\xff\x00\xff" * 8,
    ],
)
def test_somebody_else_answers(answer: bytes) -> None:
    def serve(listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.recv(65536)
                connection.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        with remote(
            "", connection=Connection(f"http://127.0.0.1:{listener.getsockname()[1]}", pauses_s=())
        ) as client:
            with pytest.raises(PeerError) as caught:
                client.health()
            assert "\n" not in str(caught.value)
        listener.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://", "not the URL of a server"),
        ("http://host:port", "not a URL"),
        ("http://user:pepper@host:1", "holds no user or password"),
        ("rtsp://user:pepper@host:1/stream", "nor the URL of a server"),
        ("HTTPS://user:pepper@host:1", "nor the URL of a server"),
    ],
)
def test_urls_that_are_none(url: str, expected: str) -> None:
    with pytest.raises(UsageError, match=expected) as caught:
        open_timeline(url)
    assert "pepper" not in str(caught.value)


def test_paths(tmp_path: Path) -> None:
    with pytest.raises(NotAStore):
        open_timeline(tmp_path / "none")
    open_store(tmp_path / "some").close()
    opened = open_timeline(tmp_path / "some")
    assert opened.streams() == []
    opened.close()
