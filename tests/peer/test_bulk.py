"""Megabytes between socket and file: whole, resumed after cuts, refused when wrong, and the same without."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from cutting_proxy import CuttingProxy, cutting_proxy
from served import TOKEN, bytes_of, open_store, record, remote, served, stretch_of
from waiting import wait_until

from fovideo.errors import NothingThere, PeerError, PeerUnauthorized, SegmentDamaged, UsageError
from fovideo.merge import merge
from fovideo.peer import RemoteStore, Unanswered, bulk
from fovideo.peer import remote as remote_module
from fovideo.peer.wire import decode_serials, encode_head, encode_serials
from fovideo.service import incoming, routes
from fovideo.store import Store
from fovideo.timeline.endpoint import SPOOL_ROOM_BYTES, FileRange


@pytest.fixture(autouse=True, params=["raw", "framework"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Everything counts as large; on the server past the HTTP library, and through it."""
    monkeypatch.setattr(routes, "RAW_BYTES", 0)
    monkeypatch.setattr(incoming, "IN_MEMORY_BYTES", 0)
    monkeypatch.setattr(remote_module, "BULK_BYTES", 0)
    monkeypatch.setattr("fovideo.merge.doing.supply._FETCHED_BYTES", 0)
    if request.param == "framework":
        monkeypatch.setattr(routes, "usable", lambda scope: False)
        monkeypatch.setattr(incoming, "usable", lambda scope: False)
    return str(request.param)


@pytest.fixture
def proxy(store: Store) -> Iterator[CuttingProxy]:
    with served(store, spool=Path(store.location) / "incoming") as http, cutting_proxy(http.port) as proxy:
        yield proxy


def content(parts: tuple[FileRange, ...]) -> list[bytes]:
    return [bytes_of(part) for part in parts]


def test_rows_come_whole_and_in_order(client: RemoteStore, store: Store, tmp_path: Path) -> None:
    rows = store.gops("gate")
    wanted = [*rows[5:], *rows[:2]]
    parts = client.fetch("gate", wanted, tmp_path / "spool")
    assert content(parts) == [bytes_of(store.read("gate", row)) for row in wanted]
    assert parts[0].offset == SPOOL_ROOM_BYTES
    assert all(part.given for part in parts)


def test_a_fetch_that_is_cut_is_resumed(
    proxy: CuttingProxy, client: RemoteStore, store: Store, tmp_path: Path
) -> None:
    proxy.cut_after = lambda number, direction: 100_000 if direction == "down" and number < 8 else None
    rows = store.gops("gate")
    parts = client.fetch("gate", rows, tmp_path / "spool")
    assert content(parts) == [bytes_of(store.read("gate", row)) for row in rows]
    assert proxy.connections > 4
    proxy.cut_after = lambda number, direction: 50
    with pytest.raises(Unanswered, match="was cut"):
        client.fetch("gate", rows, tmp_path / "other")


def test_what_is_not_there(client: RemoteStore, store: Store, tmp_path: Path) -> None:
    row = store.gops("gate")[0]
    missing = msgspec.structs.replace(row, serial=row.serial + 100)
    with pytest.raises(NothingThere):
        client.fetch("gate", [row, missing], tmp_path / "a")
    longer = msgspec.structs.replace(row, size_bytes=row.size_bytes + 1)
    with pytest.raises(PeerError):
        client.fetch("gate", [longer], tmp_path / "b")
    Path(store.read("gate", row).path).unlink()
    with pytest.raises(NothingThere):
        client.fetch("gate", [row], tmp_path / "c")


def test_access_is_checked(store: Store, tmp_path: Path) -> None:
    with served(store, token=TOKEN) as http:
        rows = store.gops("gate")
        with remote(http.url, TOKEN) as client:
            assert client.fetch("gate", rows, tmp_path / "a")
        with remote(http.url, "wrong") as client:
            with pytest.raises(PeerUnauthorized):
                client.fetch("gate", rows, tmp_path / "b")
            with pytest.raises(PeerUnauthorized):
                client.insert(stretch_of(store, rows))


def is_clean(store: Store) -> bool:
    """Whether nothing is left of what was refused or cut; a client hears of that first."""
    return not list(Path(store.location).glob("incoming/*"))


def test_an_insertion_is_taken_over(
    client: RemoteStore, store: Store, tmp_path: Path, proxy: CuttingProxy
) -> None:
    with open_store(tmp_path / "spare") as spare:
        record(spare, 300, 100, size=4000)
        rows = spare.gops("gate")
        assert client.insert(stretch_of(spare, rows)).frames == 100
        assert client.insert(stretch_of(spare, rows, as_bytes=True)).frames == 100
        broken = list(map(bytes_of, stretch_of(spare, rows).parts))
        broken[1] = broken[1][:-1] + bytes([broken[1][-1] ^ 1])
        with pytest.raises(SegmentDamaged):
            client.insert(msgspec.structs.replace(stretch_of(spare, rows), parts=tuple(broken)))
        before = store.streams()
        proxy.cut_after = lambda number, direction: 60_000 if direction == "up" else None
        with pytest.raises(Unanswered, match="was cut"):
            client.insert(stretch_of(spare, rows))
    assert store.streams() == before
    assert store.check().sound
    wait_until(lambda: is_clean(store), "the server has removed what came")


@pytest.mark.parametrize("more", [-1000, -1, 1, 1000])
def test_a_body_of_another_length_is_refused(
    store: Store, proxy: CuttingProxy, client: RemoteStore, more: int
) -> None:
    """A Content-Length that is true, of a body that says otherwise."""
    given = stretch_of(store, store.gops("gate")[:3], as_bytes=True)
    body = b"".join((encode_head(remote_module.StretchHead.of(given)), *given.parts))
    body = body + bytes(more) if more > 0 else body[:more]
    connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=30)
    connection.request("POST", "/v1/streams/gate/stretches", body)
    answer = connection.getresponse()
    assert answer.status == 400
    assert f"{abs(more)} bytes too {'long' if more > 0 else 'short'}" in answer.read().decode()
    connection.close()
    assert len(client.streams()) == 1


def test_a_client_that_goes_away_leaves_nothing(
    store: Store, proxy: CuttingProxy, client: RemoteStore
) -> None:
    given = stretch_of(store, store.gops("gate")[:3], as_bytes=True)
    body = b"".join((encode_head(remote_module.StretchHead.of(given)), *given.parts))
    with socket.create_connection(("127.0.0.1", proxy.port)) as sock:
        sock.sendall(
            b"POST /v1/streams/gate/stretches HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body)
        )
        sock.sendall(body[:-10])
        sock.shutdown(socket.SHUT_WR)
        sock.settimeout(30)
        while sock.recv(4096):
            pass
    assert len(client.gops("gate")) == len(store.gops("gate")) == 8
    wait_until(lambda: is_clean(store), "the server has removed what came")


@pytest.mark.parametrize("carried_bytes", [1, 250_000, 1 << 30])
def test_merging_over_it(
    client: RemoteStore, store: Store, tmp_path: Path, carried_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fovideo.merge.doing.supply.CARRIED_BYTES", carried_bytes)
    with Store.open(tmp_path / "target", write=True, create=True) as target:
        report = merge(client, target)
        assert report.streams[0].inserted_frames == 200
        assert report.streams[0].verified
        assert target.check().sound
        assert not list((tmp_path / "target/incoming").glob("*"))
        assert merge(client, target).streams[0].inserted_frames == 0


def test_a_merge_that_fails_removes_what_it_fetched(
    client: RemoteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fovideo.merge.doing.supply.CARRIED_BYTES", 1)
    with Store.open(tmp_path / "target", write=True, create=True) as target:

        def fail(stretch: object) -> None:
            raise PeerError("no")

        monkeypatch.setattr(target, "insert", fail)
        with pytest.raises(PeerError):
            merge(client, target)
        assert not list((tmp_path / "target/incoming").glob("*"))


def test_opening_removes_what_a_killed_merge_fetched(tmp_path: Path) -> None:
    open_store(tmp_path / "s").close()
    (tmp_path / "s/incoming/incoming-0123").write_bytes(b"x")
    open_store(tmp_path / "s").close()
    assert not list((tmp_path / "s/incoming").glob("*"))


def test_rows_as_text() -> None:
    assert encode_serials([5, 6, 7, 9, 3]) == "5-7,9-9,3-3"
    assert decode_serials("5-7,9-9,3-3") == [(5, 7), (9, 9), (3, 3)]
    for wrong in ("", "5", "5-", "a-b", "1-2,", "1-99999", "-1-2", "1" * 30 + "-2"):
        with pytest.raises(UsageError):
            decode_serials(wrong)


def test_nobody_listens(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    client = bulk.Bulk(f"http://127.0.0.1:{port}", {}, None, 3.0)
    with pytest.raises(bulk.NotConnected):
        client.download("/", {}, 3.0, lambda data: None)
