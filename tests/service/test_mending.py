"""One merge pass: what is taken, what is left for later, and what a failing stream means for the others."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from footage import FRAME_NS, T0_NS, VIDEO, session, video
from served import open_store, record

from fovideo.errors import StoreFull
from fovideo.failover import PassOutcome, Portion
from fovideo.merge import MergeControl, Order, Pace
from fovideo.peer import Unanswered
from fovideo.service.mending import Manner, mend
from fovideo.store import Store
from fovideo.times import NS_PER_S


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "rec-1") as store:
        record(store, 0, 100)
        yield store


@pytest.fixture
def spare(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "spare-1") as store:
        record(store, 50, 200, pending=True)
        yield store


def test_everything(server: Store, spare: Store) -> None:
    mended = mend(spare, server, [Portion("gate")], lease=5)
    assert mended.outcomes == {"gate": PassOutcome(150, 0, 0)}
    assert mended.error == ""
    assert mended.reports[0].duplicate_frames == 50
    assert server.streams()[0].frames == 250
    assert {p.lease for p in server.provenances("gate").values()} == {0, 5}
    assert spare.unsettled("gate") == []


def test_nothing_left_is_nothing_to_do(server: Store, spare: Store) -> None:
    mend(spare, server, [Portion("gate")], lease=1)
    again = mend(spare, server, [Portion("gate"), Portion("never seen")], lease=1)
    assert again.outcomes == {"gate": PassOutcome(), "never seen": PassOutcome()}
    assert again.reports == []


def test_up_to_a_time(server: Store, spare: Store) -> None:
    until_ns = T0_NS + 150 * FRAME_NS
    mended = mend(spare, server, [Portion("gate", until_ns=until_ns)], lease=1)
    assert mended.outcomes == {"gate": PassOutcome(50, 100, 100)}
    assert server.streams()[0].end_ns == until_ns
    rest = mend(spare, server, [Portion("gate")], lease=1)
    assert rest.outcomes == {"gate": PassOutcome(100, 0, 0)}


def test_all_but_the_newest(server: Store, spare: Store) -> None:
    mended = mend(spare, server, [Portion("gate", lag_ns=2 * NS_PER_S)], lease=1)
    outcome = mended.outcomes["gate"]
    assert outcome.inserted == 100
    assert outcome.left == outcome.deferred > 0


def test_old_footage_of_the_spare_is_not_looked_at_again(server: Store, spare: Store) -> None:
    mend(spare, server, [Portion("gate")], lease=1)
    day = 24 * 3600 * NS_PER_S // FRAME_NS
    first = day - day % 25
    with spare.writer("gate", session(9), pending=True) as writer:
        writer.set_format([VIDEO])
        writer.append(*video(first, 50), epoch=0)
    mended = mend(spare, server, [Portion("gate")], lease=2)
    assert mended.outcomes == {"gate": PassOutcome(50, 0, 0)}
    assert mended.reports[0].duplicate_frames == 0


class Failing:
    """A server that fails at one stream."""

    def __init__(self, store: Store, error: Exception) -> None:
        self._store, self._error = store, error

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    def gops(self, stream: str, *window: object) -> object:
        if stream == "gate":
            raise self._error
        return self._store.gops(stream, *window)


def test_one_stream_that_fails_does_not_stop_the_others(server: Store, spare: Store) -> None:
    record(spare, 0, 50, stream="yard", pending=True)
    portions = [Portion("gate"), Portion("yard")]
    mended = mend(spare, Failing(server, StoreFull("disk full")), portions, lease=1)
    assert mended.outcomes == {"yard": PassOutcome(50, 0, 0)}
    assert mended.error == "gate: disk full"


def test_a_server_that_is_gone_is_not_asked_again(server: Store, spare: Store) -> None:
    record(spare, 0, 50, stream="yard", pending=True)
    portions = [Portion("gate"), Portion("yard")]
    mended = mend(spare, Failing(server, Unanswered("gone")), portions, lease=1)
    assert mended.outcomes == {}
    assert mended.error == "gate: gone"


def test_a_pass_that_is_paused_waits_and_one_that_is_ended_stops(spare: Store, server: Store) -> None:
    control = MergeControl()
    control.pause()
    manner, done = Manner(Order.NEWEST, Pace(), control), []
    worker = threading.Thread(
        target=lambda: done.append(mend(spare, server, [Portion("gate")], lease=1, manner=manner))
    )
    worker.start()
    worker.join(0.2)
    assert worker.is_alive()
    control.resume()
    worker.join(60)
    assert done[0].error == ""
    assert done[0].reports[0].inserted_frames > 0
    control.cancel()
    ended = mend(spare, server, [Portion("gate")], lease=1, manner=manner)
    assert "ended before all was merged" in ended.error
    assert ended.outcomes == {}
