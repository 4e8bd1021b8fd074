"""Damaged rows of a source: everything else is merged, they are named, and they can follow later."""

from __future__ import annotations

import contextlib

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from merge_world import Held, World, camera

from fovideo.errors import SegmentDamaged, StoreError, StoreFull
from fovideo.merge import (
    Kind,
    MergeControl,
    MergeIncomplete,
    MergeReport,
    Span,
    StreamReport,
    carry_out,
    carry_out_all,
    load_manifest,
    make_plan,
    merge,
)
from fovideo.merge.doing.leftout import without_rows
from fovideo.timeline.endpoint import Inserted, Stretch
from fovideo.timeline.values import GopFlag


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


def twins(*ids: int) -> tuple[World, World, dict[int, bytes]]:
    """The same, and damaged in the same way, twice; and what there was before, by serial."""
    one, other = world_of(), world_of()
    hurt(one.timeline("spare"), *ids)
    return one, other, hurt(other.timeline("spare"), *ids)[1]


@pytest.mark.parametrize("ids", [(150,), (110, 111, 200), (104,), tuple(range(100, 250))])
def test_a_plan_leaves_the_same_out_as_a_merge(ids: tuple[int, ...]) -> None:
    one, other, before = twins(*ids)
    _, told = incomplete(one.timeline("spare"), one.timeline("server"))
    spare, server = other.timeline("spare"), other.timeline("server")
    plan = make_plan(spare, server, "gate")
    for again in range(2):
        with pytest.raises(MergeIncomplete) as raised:
            carry_out(spare, server, plan)
        assert "gate are damaged and left out" in raised.value.what
        assert server.ids() == one.timeline("server").ids()
        (report,) = raised.value.report.streams
        assert report.verified
        assert report.inserted_frames == (0 if again else told.inserted_frames)
        assert (report.missing, report.still_missing) == (told.missing, told.still_missing)
        assert report.held == told.held
        assert spare.settled == one.timeline("spare").settled
    spare._data.update(before)
    carry_out(spare, server, plan)
    assert server.ids() == dict.fromkeys(range(300), 1)


@given(st.sets(st.integers(50, 249), min_size=1, max_size=12))
@settings(max_examples=20, deadline=None)
def test_whatever_is_damaged_keeps_nothing_else_of_a_plan_back(ids: set[int]) -> None:
    reports = []
    one, other, _ = twins(*ids)
    for world, do in ((one, merge), (other, by_plan)):
        try:
            report = do(world.timeline("spare"), world.timeline("server"))
        except MergeIncomplete as error:
            report = error.report
        reports.append(report.streams[0])
    assert one.timeline("server").ids() == other.timeline("server").ids()
    assert reports[0].inserted_frames == reports[1].inserted_frames
    assert reports[0].still_missing == reports[1].still_missing


def by_plan(spare: Held, server: Held) -> MergeReport:
    return carry_out_all(spare, server, [make_plan(spare, server, "gate")], MergeControl())


def test_what_continues_a_damaged_row_is_kept_but_not_shown() -> None:
    world = world_of()
    spare, server = world.timeline("spare"), world.timeline("server")
    place = next(place for place, row in enumerate(spare.rows) if 150 in spare.ids_of(row))
    lost, after = spare.rows[place : place + 2]
    spare.rows[place + 1] = msgspec.structs.replace(after, flags=after.flags & ~GopFlag.KEY)
    source, held = load_manifest(spare, "gate"), load_manifest(server, "gate")
    made = make_plan(spare, server, "gate")
    rest = without_rows(made, source, held, {lost.serial})
    kinds = {piece.serial: stretch.kind for stretch in rest.stretches for piece in stretch.pieces}
    assert lost.serial not in kinds
    assert kinds.pop(after.serial) is Kind.HELD
    assert set(kinds.values()) == {Kind.FILL}
    assert len(kinds) == sum(len(stretch.pieces) for stretch in made.stretches) - 2
    assert rest.missing == (Span(lost.start_ns, after.end_ns),)
    assert rest.held == (Span(after.start_ns, after.end_ns),)
