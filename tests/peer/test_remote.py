"""A store through its URL is the store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from footage import T0_NS
from served import bytes_of, open_store, record, remote, served, stretch_of

from fovideo.errors import NoSuchStream, NothingThere, PlanStale, SegmentDamaged
from fovideo.merge import merge
from fovideo.peer import RemoteStore, wire
from fovideo.service import incoming, routes
from fovideo.store import Store
from fovideo.timeline.endpoint import Timeline
from fovideo.timeline.values import GopFlag, Loss
from fovideo.times import NS_PER_S


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "store") as store:
        record(store)
        yield store


@pytest.fixture
def client(store: Store, tmp_path: Path) -> Iterator[RemoteStore]:
    with served(store, spool=tmp_path / "store/incoming") as http, remote(http.url) as client:
        yield client


def test_it_is_a_timeline(client: RemoteStore, store: Store) -> None:
    assert isinstance(client, Timeline)
    assert client.identity == store.identity
    assert client.location.startswith("http://127.0.0.1:")


def test_what_it_tells_is_what_the_store_tells(client: RemoteStore, store: Store) -> None:
    store.writer("yard", next(iter(store.provenances("gate").values())))
    assert client.streams() == store.streams()
    assert client.gops("gate") == store.gops("gate")
    window = (T0_NS + 2 * NS_PER_S, T0_NS + 3 * NS_PER_S)
    assert client.gops("gate", *window) == store.gops("gate", *window) != store.gops("gate")
    assert client.provenances("gate") == store.provenances("gate")
    for gop in store.gops("gate"):
        assert client.tracks("gate", gop) == store.tracks("gate", gop)


def test_rows_are_read_byte_for_byte(client: RemoteStore, store: Store) -> None:
    for gop in store.gops("gate"):
        assert client.read("gate", gop) == bytes_of(store.read("gate", gop))


def test_losses(client: RemoteStore, store: Store) -> None:
    loss = Loss(T0_NS, T0_NS + NS_PER_S, 25, "disk-slow")
    with store.writer("gate", next(iter(store.provenances("gate").values()))) as writer:
        writer.loss(loss)
    assert client.losses("gate") == store.losses("gate") == [loss]
    assert client.losses("gate", T0_NS + 2 * NS_PER_S) == []


def test_pages(client: RemoteStore, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(routes, "PAGE_ROWS", 3)
    monkeypatch.setattr(wire, "PAGE_ROWS", 3)
    get = client._connection.get
    monkeypatch.setattr(client._connection, "get", lambda *a, **b: asked.append(b) or get(*a, **b))
    assert client.gops("gate") == store.gops("gate")
    assert len(asked) == 3
    window = (T0_NS + NS_PER_S, T0_NS + 6 * NS_PER_S)
    assert client.gops("gate", *window) == store.gops("gate", *window)


@pytest.mark.parametrize("in_memory", [True, False])
def test_insert(
    client: RemoteStore, store: Store, tmp_path: Path, in_memory: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not in_memory:
        monkeypatch.setattr(incoming, "IN_MEMORY_BYTES", 100)
    with open_store(tmp_path / "spare") as spare:
        record(spare, 300, 100)
        rows = spare.gops("gate")
        (before,) = client.streams()
        done = client.insert(stretch_of(spare, rows, generation=before.generation))
        assert done.frames == 100
        (after,) = client.streams()
        assert after.generation == done.generation > before.generation
        assert after.frames == before.frames + 100
        inserted = client.gops("gate", T0_NS + 12 * NS_PER_S)
        assert len(inserted) == 4
        with pytest.raises(PlanStale):
            client.insert(stretch_of(spare, rows, generation=before.generation))
    assert client.streams() == [after]
    assert not list((tmp_path / "store/incoming").glob("*"))


def test_insert_of_damaged_footage(client: RemoteStore, tmp_path: Path) -> None:
    with open_store(tmp_path / "spare") as spare:
        record(spare, 300, 25)
        whole = stretch_of(spare, spare.gops("gate"), as_bytes=True)
        (data,) = whole.parts
        flipped = bytearray(data)
        flipped[-100] ^= 1
        before = client.streams()
        import msgspec

        with pytest.raises(SegmentDamaged, match=r"http://127\.0\.0\.1"):
            client.insert(msgspec.structs.replace(whole, parts=(bytes(flipped),)))
        assert client.streams() == before


def test_settle(client: RemoteStore, store: Store) -> None:
    record(store, 400, 50, pending=True)
    waiting = [gop.serial for gop in store.gops("gate") if gop.flags & GopFlag.PENDING]
    assert waiting
    client.settle("gate", [*waiting, 10**9])
    assert not [gop for gop in store.gops("gate") if gop.flags & GopFlag.PENDING]


def test_unknown_stream(client: RemoteStore, store: Store) -> None:
    for ask in (client.gops, client.provenances, client.losses):
        with pytest.raises(NoSuchStream, match=r"http://127\.0\.0\.1"):
            ask("yard")
    with pytest.raises(NoSuchStream):
        client.settle("yard", [1])
    with pytest.raises(NoSuchStream):
        client.gops("a/b?c=#ü")


def test_a_row_that_is_gone(client: RemoteStore, store: Store) -> None:
    import msgspec

    gone = msgspec.structs.replace(store.gops("gate")[0], serial=10**9, segment=10**9)
    with pytest.raises(NothingThere):
        client.read("gate", gone)
    with pytest.raises(NothingThere):
        client.tracks("gate", gone)


def test_footage_that_was_removed_behind_the_index(client: RemoteStore, store: Store) -> None:
    gop = store.gops("gate")[0]
    Path(store.read("gate", gop).path).unlink()
    with pytest.raises(NothingThere):
        client.read("gate", gop)


def test_a_row_that_moved_is_found(client: RemoteStore, store: Store) -> None:
    import msgspec

    gop = store.gops("gate")[0]
    seen = msgspec.structs.replace(gop, start_ns=gop.start_ns - 3600 * NS_PER_S)
    assert client.read("gate", seen) == bytes_of(store.read("gate", gop))


@pytest.mark.parametrize("remote_is", ["target", "source", "both"])
def test_merge_through_urls(tmp_path: Path, remote_is: str) -> None:
    with open_store(tmp_path / "a") as server, open_store(tmp_path / "b") as spare:
        record(server, 0, 100)
        record(server, 300, 100)
        record(spare, 60, 300, pending=True)
        with (
            served(server) as one,
            served(spare) as two,
            remote(one.url) as far_server,
            remote(two.url) as far_spare,
        ):
            source = far_spare if remote_is in ("source", "both") else spare
            target = far_server if remote_is in ("target", "both") else server
            (report,) = merge(source, target).streams
            assert (report.inserted_frames, report.duplicate_frames) == (200, 100)
            (again,) = merge(source, target).streams
            assert (again.inserted_frames, again.missing) == (0, ())
        assert server.streams()[0].frames == 400
        assert not [gop for gop in spare.gops("gate") if gop.flags & GopFlag.PENDING]
