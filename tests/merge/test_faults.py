"""What goes wrong on either side of a merge: nothing is settled that is not verified, and errors say what to
do.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from merge_world import Held, World, camera, table_of

from fovideo.errors import MergeError, StoreDamaged, StoreError
from fovideo.merge import MergeControl, Pace, Piece, merge
from fovideo.merge.doing.cutting import cut_down
from fovideo.segment import samples, scan
from fovideo.timeline.endpoint import Inserted, Stretch
from fovideo.times import NS_PER_S


@pytest.fixture
def world() -> World:
    world = World()
    shots = camera(300)
    world.record("server", shots[:105])
    world.record("spare", shots[50:250])
    return world


def test_a_target_that_loses_frames_is_found_out(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    spare, server = world.timeline("spare"), world.timeline("server")
    insert = Held.insert

    def forget(self: Held, stretch: Stretch) -> Inserted:
        done = insert(self, stretch)
        self.rows.remove(next(row for row in self.rows if row.start_ns >= self.rows[-1].start_ns))
        return done

    monkeypatch.setattr(Held, "insert", forget)
    with pytest.raises(MergeError, match="are not there") as raised:
        merge(spare, server)
    assert "server" in str(raised.value)
    assert not spare.settled
    monkeypatch.undo()
    merge(spare, server)
    assert server.ids() == dict.fromkeys(range(250), 1)


def test_a_target_that_changes_all_the_time(world: World) -> None:
    server = world.timeline("server")
    server.stale = list(range(100))
    control = Unhurried()
    with pytest.raises(MergeError, match="kept changing"):
        merge(world.timeline("spare"), server, control=control)
    assert control.waited_ns > NS_PER_S, "whoever changes it gets the time to end"


def test_a_target_that_changes_often(world: World) -> None:
    """Another merge inserts beside this one: as long as some of its own gets in, it goes on."""
    server = world.timeline("server")
    server.stale = [number for number in range(100) if number % 3]
    report = merge(world.timeline("spare"), server, pace=Gop(brake_ns=0), control=Unhurried())
    assert report.streams[0].inserted_frames == 145
    assert server.inserts > 30
    assert server.ids() == dict.fromkeys(range(250), 1)


class Gop(Pace, frozen=True):
    """A GOP a step."""

    def step_bytes(self, live: bool, largest: int = 0) -> int:
        return 1


class Unhurried(MergeControl):
    """Waits without waiting; counts the time."""

    waited_ns = 0

    def wait(self, ns: int = 0) -> bool:
        self.waited_ns += ns
        return super().wait()


def test_a_source_that_cannot_be_told_keeps_its_copy(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(self: Held, stream: str, gops: Iterable[int]) -> None:
        raise StoreError("opened for reading only")

    monkeypatch.setattr(Held, "settle", refuse)
    report = merge(world.timeline("spare"), world.timeline("server")).streams[0]
    assert report.verified
    assert report.settled_rows == 0
    assert "opened for reading only" in caplog.text


def a_row() -> tuple[Held, Any]:
    world = World()
    world.record("spare", camera(20, gop=20))
    spare = world.timeline("spare")
    return spare, spare.rows[0]


@given(st.sets(st.integers(0, 19), min_size=1))
def test_cutting_down_keeps_samples_and_times(chosen: set[int]) -> None:
    spare, row = a_row()
    rows = tuple(sorted(chosen))
    provenance = spare.provenances("gate")[row.provenance]
    piece = Piece(row.serial, rows, len(rows), 0, 0)
    data = cut_down(spare._data[row.serial], row, piece, spare.tracks("gate", row), provenance)
    fragments, end, reason = scan(data, 0)
    assert (end, reason) == (len(data), "")
    frames, payloads = table_of(camera(20, gop=20))
    assert (fragments[0].frames == frames[list(rows)]).all()
    assert [bytes(s) for s in samples(fragments[0], data, 0)] == [payloads[at] for at in rows]
    assert fragments[0].base_ns == scan(spare._data[row.serial], 0)[0][0].base_ns


def test_cutting_down_gives_new_decode_times() -> None:
    spare, row = a_row()
    frames, _ = table_of(camera(20, gop=20))
    wanted = (int(frames["dts_ns"][3]) + 5, int(frames["dts_ns"][4]) + 5)
    piece = Piece(row.serial, (3, 4), 2, 0, 0, wanted)
    provenance = spare.provenances("gate")[row.provenance]
    data = cut_down(spare._data[row.serial], row, piece, spare.tracks("gate", row), provenance)
    found = scan(data, 0)[0][0].frames
    assert tuple(found["dts_ns"].tolist()) == wanted
    assert (found["time_ns"] == frames["time_ns"][3:5]).all()


def test_cutting_down_a_row_that_is_shorter_than_its_index() -> None:
    spare, row = a_row()
    provenance = spare.provenances("gate")[row.provenance]
    piece = Piece(row.serial, (3, 25), 2, 0, 0)
    with pytest.raises(StoreDamaged, match="fewer than its index"):
        cut_down(spare._data[row.serial], row, piece, spare.tracks("gate", row), provenance)
