"""Damaged rows of a source: everything else is merged, they are named, and they can follow later."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from merge_world import Held, World, camera

from fovideo.errors import SegmentDamaged, StoreError, StoreFull
from fovideo.merge import MergeIncomplete, MergeReport, StreamReport, merge
from fovideo.timeline.endpoint import Inserted, Stretch


def world_of() -> World:
    """A spare that began before the outage and ended after it."""
    world, shots = World(), camera(300)
    world.record("server", shots[:105])
    world.record("server", shots[220:])
    world.record("spare", shots[50:250])
    return world


def hurt(spare: Held, *ids: int) -> tuple[set[int], dict[int, bytes]]:
    """Change a bit in the rows of these frames; all frames of these, and what was there before, by serial."""
    gone: set[int] = set()
    before = {}
    for row in spare.rows:
        if not set(ids).isdisjoint(found := spare.ids_of(row)):
            gone.update(found)
            before[row.serial] = spare._data[row.serial]
            data = bytearray(before[row.serial])
            data[-3] ^= 1
            spare._data[row.serial] = bytes(data)
    return gone, before


def incomplete(spare: Held, server: Held) -> tuple[MergeIncomplete, StreamReport]:
    with pytest.raises(MergeIncomplete) as raised:
        merge(spare, server)
    (report,) = raised.value.report.streams
    return raised.value, report


def test_all_but_the_damaged_row_is_merged() -> None:
    world = world_of()
    spare, server = world.timeline("spare"), world.timeline("server")
    gone, _ = hurt(spare, 150)
    error, report = incomplete(spare, server)
    assert f"{len(gone)} frames of gate are damaged and left out" in error.what
    assert error.where.startswith("spare: gate at 2026-")
    assert server.ids() == dict.fromkeys(set(range(300)).difference(gone), 1)
    assert report.verified
    assert report.inserted_frames == 115 - len(gone)
    assert {missing.reason for missing in report.still_missing} == {"damaged"}
    assert len(spare.settled) == len(spare.rows) - 1


def test_what_is_damaged_follows_when_it_can_be_read_again() -> None:
    world = world_of()
    spare, server = world.timeline("spare"), world.timeline("server")
    _, before = hurt(spare, 110, 111, 200)
    incomplete(spare, server)
    spare._data.update(before)
    report = merge(spare, server).streams[0]
    assert server.ids() == dict.fromkeys(range(300), 1)
    assert not report.still_missing


def test_a_row_that_both_sides_hold_may_be_damaged() -> None:
    world = world_of()
    spare, server = world.timeline("spare"), world.timeline("server")
    hurt(spare, 60, 245)
    assert isinstance(merge(spare, server), MergeReport)
    assert server.ids() == dict.fromkeys(range(300), 1)


@given(st.sets(st.integers(50, 249), min_size=1, max_size=12))
@settings(max_examples=20, deadline=None)
def test_whatever_is_damaged_keeps_nothing_else_back(ids: set[int]) -> None:
    world = world_of()
    spare, server = world.timeline("spare"), world.timeline("server")
    gone, before = hurt(spare, *ids)
    with contextlib.suppress(MergeIncomplete):
        merge(spare, server)
    assert set(server.ids()) >= set(range(300)) - gone
    assert set(server.ids().values()) == {1}
    spare._data.update(before)
    merge(spare, server)
    assert server.ids() == dict.fromkeys(range(300), 1)


@pytest.mark.parametrize("error", [StoreFull("no room"), StoreError("gone"), SegmentDamaged("of the target")])
def test_what_the_target_lacks_is_not_blamed_on_the_source(
    monkeypatch: pytest.MonkeyPatch, error: StoreError
) -> None:
    def refuse(self: Held, stretch: Stretch) -> Inserted:
        raise error

    world = world_of()
    monkeypatch.setattr(Held, "insert", refuse)
    with pytest.raises(type(error)) as raised:
        merge(world.timeline("spare"), world.timeline("server"))
    assert raised.value is error
    assert not world.timeline("spare").settled
