"""Bytes that change on the way: nothing wrong goes in, nothing is blamed on the source, it is sent again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from cutting_proxy import CuttingProxy, cutting_proxy
from footage import VIDEO
from hypothesis import given
from hypothesis import strategies as st
from served import open_store, record, served

from fovideo.errors import ChangedOnTheWay, FovideoError
from fovideo.merge import MergeReport, merge
from fovideo.peer import Connection, RemoteStore
from fovideo.peer.wire import Settled, StretchHead, check_seal, sealed
from fovideo.store import Store
from fovideo.timeline.values import Provenance
from fovideo.times import NS_PER_S

FRAMES = 400
HEAD = StretchHead(
    tracks=(VIDEO,),
    provenance=Provenance(recorder="spare-1", session="00112233445566ff", store="11" * 16),
    generation=3,
    shift_ns=-20,
    epoch=1,
    sizes=(4000, 70_000),
)


@pytest.fixture
def sides(tmp_path: Path) -> Iterator[tuple[Store, Store]]:
    with open_store(tmp_path / "spare") as spare, open_store(tmp_path / "server") as server:
        record(server, 0, 50, size=4000)
        record(spare, 25, FRAMES - 25, size=4000, pending=True)
        yield spare, server


def through(proxy: CuttingProxy) -> RemoteStore:
    return RemoteStore("", connection=Connection(proxy.url, pauses_s=(0.0, 0.05)))


def run(way: str, spare: Store, server: Store, proxy: CuttingProxy, patience_ns: int) -> MergeReport:
    with through(proxy) as remote:
        sides = (spare, remote) if way == "push" else (remote, server)
        return merge(*sides, patience_ns=patience_ns)


@pytest.mark.parametrize("way", ["push", "pull"])
@pytest.mark.parametrize("place", [150, 20_000, 1_000_000])
def test_it_is_sent_again(sides: tuple[Store, Store], way: str, place: int) -> None:
    """Each of the first connections carries one wrong byte."""
    spare, server = sides
    with served(server if way == "push" else spare) as http, cutting_proxy(http.port) as proxy:
        direction = "up" if way == "push" else "down"
        proxy.change_at = lambda number, at: place if at == direction and number < 2 else None
        for _ in range(3):
            try:
                run(way, spare, server, proxy, 60 * NS_PER_S)
            except FovideoError:  # what is no HTTP any more is not waited out
                assert place < 100_000
            assert server.check().sound
        rows = server.gops("gate")
        found = [int(digest) for row in rows for digest in server.frames("gate", row)["digest"]]
        assert len(found) == len(set(found)) == FRAMES
        assert [info.name for info in server.streams()] == ["gate"]
        assert not spare.unsettled()


@pytest.mark.parametrize("way", ["push", "pull"])
def test_it_is_told_when_it_goes_on(sides: tuple[Store, Store], way: str) -> None:
    spare, server = sides
    with served(server if way == "push" else spare) as http, cutting_proxy(http.port) as proxy:
        direction = "up" if way == "push" else "down"
        proxy.change_at = lambda number, at: 300_000 if at == direction else None
        with pytest.raises(ChangedOnTheWay, match=r"of gate was changed on the way.*look at the network"):
            run(way, spare, server, proxy, 0)
    assert spare.check().sound
    assert server.check().sound
    assert spare.unsettled()


@given(st.data())
def test_any_changed_bit_of_what_is_asked_is_found(data: st.DataObject) -> None:
    asked = data.draw(st.sampled_from([Settled([1, 2, 3, 700]), HEAD]))
    right = msgspec.msgpack.encode(sealed(asked, "gate"))
    bit = data.draw(st.integers(0, len(right) * 8 - 1))
    wrong = bytearray(right)
    wrong[bit // 8] ^= 1 << bit % 8
    try:
        found = msgspec.msgpack.decode(bytes(wrong), type=type(asked))
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return
    if msgspec.structs.replace(found, checksum=0) != asked:
        with pytest.raises(ChangedOnTheWay):
            check_seal(found, "gate")
    check_seal(sealed(asked, "gate"), "gate")
    with pytest.raises(ChangedOnTheWay):
        check_seal(sealed(asked, "gate"), "gatf")
