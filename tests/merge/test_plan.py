"""Plans: what waits for a live target, what a window takes, how corrections add up, what may be settled."""

from __future__ import annotations

import msgspec
import pytest
from merge_world import STEP_NS, T0_NS, Held, S, World, Wrong, camera

from fovideo.errors import PlanStale
from fovideo.merge import (
    Kind,
    MergeControl,
    Plan,
    Span,
    carry_out,
    carry_out_all,
    load_manifest,
    make_plan,
    merge,
    plan,
)
from fovideo.timeline.endpoint import Inserted, Stretch
from fovideo.timeline.values import GopFlag


def made(source: Held, target: Held, **options: int) -> Plan:
    return plan(load_manifest(source, "gate"), load_manifest(target, "gate"), **options)


def whole(found: Plan) -> Span:
    """From the first to the last of what is inserted."""
    spans = [stretch.span for stretch in found.stretches]
    return Span(min(span.from_ns for span in spans), max(span.to_ns for span in spans))


def at(number: int) -> int:
    return T0_NS + number * STEP_NS


@pytest.fixture
def world() -> World:
    """A server that was down from 200 to 400 and records again; a spare that still records."""
    world = World()
    shots = camera(600)
    world.record("server", shots[:200])
    world.record("server", shots[400:560])
    world.record("spare", shots[150:600])
    return world


def test_what_a_live_target_may_still_write_is_deferred(world: World) -> None:
    spare, server = world.timeline("spare"), world.timeline("server")
    server.live_edge_ns = at(560)
    first = merge(spare, server).streams[0]
    assert first.inserted_frames == 200
    assert first.deferred_frames == 40
    assert max(server.ids()) == 559
    unsettled = [row for row in spare.rows if row.flags & GopFlag.PENDING]
    assert unsettled[0].start_ns == at(560)

    world.record("server", camera(600)[555:600], session=server.provenances("gate")[2].session)
    server.live_edge_ns = 0
    server.rows.sort(key=lambda row: row.start_ns)
    last = merge(spare, server).streams[0]
    assert (last.inserted_frames, last.deferred_frames) == (0, 0)


def test_what_lies_behind_the_window_does_not_wait(world: World) -> None:
    """Nobody is told to merge again for what was not asked for."""
    spare, server = world.timeline("spare"), world.timeline("server")
    report = merge(spare, server, to_ns=at(287)).streams[0]
    assert (report.inserted_frames, report.deferred_frames) == (87, 0)
    unsettled = [row for row in spare.rows if row.serial not in spare.settled]
    assert unsettled[0].start_ns <= at(287) < unsettled[0].end_ns


def test_a_row_that_the_source_still_writes_is_deferred(world: World) -> None:
    spare, server = world.timeline("spare"), world.timeline("server")
    spare.live_edge_ns = at(600)
    spare.rows[-1] = msgspec.structs.replace(spare.rows[-1], flags=spare.rows[-1].flags & ~GopFlag.COMPLETE)
    report = merge(spare, server).streams[0]
    assert report.deferred_frames == 10
    assert spare.rows[-1].serial not in spare.settled


def test_a_window_takes_whole_rows_at_its_start_and_nothing_behind_its_end(world: World) -> None:
    spare, server = world.timeline("spare"), world.timeline("server")
    found = made(spare, server, from_ns=at(255), to_ns=at(287))
    assert {stretch.kind for stretch in found.stretches} == {Kind.FILL}
    assert whole(found) == Span(at(250), at(287))
    assert found.missing == ()
    merge(spare, server, from_ns=at(255), to_ns=at(287))
    merge(spare, server, from_ns=at(280), to_ns=at(300))
    assert [number for number in range(200, 400) if number in server.ids()] == list(range(250, 300))
    report = merge(spare, server).streams[0]
    assert server.ids() == dict.fromkeys(range(600), 1)
    assert report.missing == ()


def test_rows_of_which_a_part_is_left_are_not_settled(world: World) -> None:
    spare, server = world.timeline("spare"), world.timeline("server")
    merge(spare, server, to_ns=at(287))
    ends = {row.serial: row.end_ns for row in spare.rows}
    assert spare.settled
    assert max(ends[serial] for serial in spare.settled) <= at(287)


def test_the_window_is_in_the_target_s_time() -> None:
    world = World()
    shots = camera(600)
    world.record("server", shots[:200])
    world.record("spare", shots[150:600], wrong=Wrong(-100 * S))
    found = made(world.timeline("spare"), world.timeline("server"), from_ns=at(250), to_ns=at(300))
    assert whole(found) == Span(at(250), at(300))


def test_corrections_of_two_merges_become_one() -> None:
    world = World()
    shots = camera(600)
    world.record("server", shots[:200])
    world.record("first", shots[150:300], wrong=Wrong(5 * S))
    world.record("second", shots[250:400], wrong=Wrong(-3 * S))
    first, server = world.timeline("first"), world.timeline("server")
    merge(world.timeline("second"), first)
    merge(first, server)
    times = server.times()
    assert all(times[number] == at(number) for number in range(400))
    offsets = {
        provenance.recorder: provenance.correction.offset_ns
        for provenance in server.provenances("gate").values()
        if provenance.inserted_from
    }
    assert offsets == {"first": -5 * S, "second": 3 * S}
    assert all(row.shift_ns in (0, -5 * S, 3 * S) for row in server.rows)
    stored = [server.rows[place] for place in range(len(server.rows)) if server.rows[place].shift_ns]
    assert stored


def test_provenance_says_where_footage_came_from_and_how() -> None:
    world = World()
    shots = camera(300)
    world.record("server", shots[:100])
    session = world.record("spare", shots[50:200], wrong=Wrong(S))
    spare, server = world.timeline("spare"), world.timeline("server")
    merge(spare, server, lease=7, wall_clock=lambda: 42)
    (made_by,) = (each for each in server.provenances("gate").values() if each.inserted_from)
    assert (made_by.recorder, made_by.session, made_by.store) == ("spare", session, spare.identity)
    assert (made_by.inserted_from, made_by.inserted_ns, made_by.lease) == (spare.identity, 42, 7)
    assert made_by.correction.offset_ns == -S
    assert made_by.label == "spare (merged)"


def test_a_new_stretch_for_each_source_segment() -> None:
    world = World()
    world.record("spare", camera(300), gops_per_segment=10)
    found = made(world.timeline("spare"), world.timeline("server"))
    assert [stretch.frames for stretch in found.stretches] == [100, 100, 100]
    assert all(not piece.rows for stretch in found.stretches for piece in stretch.pieces)


def test_an_expected_offset_places_what_nothing_matches() -> None:
    world = World()
    shots = camera(400, content="still")
    world.record("server", shots[:100])
    world.record("spare", shots[200:400], wrong=Wrong(60 * S))
    merge(world.timeline("spare"), world.timeline("server"), expected_ns=-60 * S)
    times = world.timeline("server").times()
    assert all(times[number] == at(number) for number in range(200, 400))


def test_a_plan_is_data() -> None:
    world = World()
    world.record("spare", camera(100))
    found = made(world.timeline("spare"), world.timeline("server"))
    assert msgspec.json.decode(msgspec.json.encode(found), type=Plan) == found


def test_a_target_that_begins_to_record_meanwhile_is_planned_anew(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    spare, server = world.timeline("spare"), world.timeline("server")
    insert, shots = Held.insert, camera(600)

    def wakes_up(self: Held, stretch: Stretch) -> Inserted:
        if not self.live_edge_ns:
            world.record("server", shots[570:600])
            self.live_edge_ns = at(600)
        return insert(self, stretch)

    monkeypatch.setattr(Held, "insert", wakes_up)
    report = merge(spare, server).streams[0]
    assert server.ids() == dict.fromkeys(range(600), 1)
    assert (report.inserted_frames, report.duplicate_frames) == (210, 240)


def test_gaps_at_the_edges_end_where_the_next_footage_is() -> None:
    world = World()
    shots = camera(200)
    hour = Wrong(3600 * S)
    world.record("server", shots[:50])
    world.record("spare", shots[40:100])
    world.record("server", shots[100:150], wrong=hour)
    report = merge(world.timeline("spare"), world.timeline("server")).streams[0]
    assert report.missing == (Span(at(100), at(100) + 3600 * S),)


def saved(found: Plan) -> Plan:
    return msgspec.json.decode(msgspec.json.encode(found), type=Plan)


def test_a_saved_plan_is_carried_out_later(world: World) -> None:
    spare, server = world.timeline("spare"), world.timeline("server")
    found = saved(make_plan(spare, server, "gate"))
    assert server.inserts == 0
    report = carry_out(spare, server, found)
    assert (report.inserted_frames, report.duplicate_frames, report.verified) == (240, 210, True)
    assert server.ids() == dict.fromkeys(range(600), 1)
    assert merge(spare, server).streams[0].inserted_frames == 0


def test_of_several_plans_nothing_is_inserted_if_the_last_is_stale(world: World) -> None:
    spare, server = world.timeline("spare"), world.timeline("server")
    plans = [
        make_plan(spare, server, "gate", to_ns=at(300)),
        make_plan(spare, server, "gate", from_ns=at(300)),
    ]
    rows = list(spare.rows)
    spare.rows = [row for row in rows if row.start_ns < at(350)]
    with pytest.raises(PlanStale, match="no longer holds"):
        carry_out_all(spare, server, plans, MergeControl())
    assert server.inserts == 0
    spare.rows = rows
    assert (
        sum(each.inserted_frames for each in carry_out_all(spare, server, plans, MergeControl()).streams)
        == 240
    )


def test_a_plan_is_refused_when_a_side_has_changed(world: World) -> None:
    spare, server, other = (world.timeline(name) for name in ("spare", "server", "other"))
    found = make_plan(spare, server, "gate")
    with pytest.raises(PlanStale, match="not the source"):
        carry_out(other, server, found)
    rows = list(spare.rows)
    spare.rows.pop(20)
    with pytest.raises(PlanStale, match="no longer holds"):
        carry_out(spare, server, found)
    spare.rows = [msgspec.structs.replace(row, size_bytes=row.size_bytes + 1) for row in rows]
    with pytest.raises(PlanStale, match="has changed"):
        carry_out(spare, server, found)
    spare.rows = rows
    world.record("third", camera(600)[180:260])
    merge(world.timeline("third"), server)
    with pytest.raises(PlanStale):
        carry_out(spare, server, found)
    assert max(server.ids().values()) == 1
