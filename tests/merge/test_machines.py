"""When footage arrived, and what that tells of clocks: by hand, with times in seconds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from merge_world import T0_NS, S, World, Wrong, camera

from fovideo.media.frames import Clock, empty_frames
from fovideo.merge import merge
from fovideo.merge.footage import Footage, arrivals, unpack
from fovideo.merge.manifest import Manifest, load_manifest
from fovideo.merge.placing.align import align
from fovideo.merge.placing.home import at_home
from fovideo.merge.placing.machines import Machines
from fovideo.merge.placing.offset import Prior
from fovideo.merge.planning.plan import plan

CAMERA = Clock.SENDER_REPORT


def footage(
    store: str,
    start_s: float,
    count: int = 100,
    *,
    lag_s: float = 0.0,
    clock: Clock = CAMERA,
    moved_s: float = 0.0,
    session: str = "s",
) -> Footage:
    """Frames of 40 ms from a time on, each received so long after that time."""
    frames = empty_frames(count)
    frames["time_ns"] = T0_NS + int(start_s * S) + np.arange(count) * 40_000_000
    frames["receipt_ns"] = frames["time_ns"] + int(lag_s * S)
    frames["digest"] = frames["time_ns"] + int(lag_s) * S  # of the true time: no frame is like another
    frames["clock"], frames["error_ns"], frames["track"] = clock, 1_000_000, 1
    stored = frames["time_ns"].copy()
    moved = np.full(count, int(moved_s * S), np.int64)
    frames["time_ns"] += moved
    return Footage(
        session, 0, store, frames, stored, np.zeros(count, np.int64), arrivals(frames, stored), moved
    )


def test_the_frame_that_waited_least_tells_when_all_arrived() -> None:
    frames = empty_frames(100)
    frames["time_ns"] = T0_NS + np.arange(100) * 40_000_000
    frames["receipt_ns"] = frames["time_ns"] + 5_000_000
    frames["receipt_ns"][30:80] = frames["receipt_ns"][80]
    assert (arrivals(frames, frames["time_ns"]) - frames["time_ns"] == 5_000_000).all()


def test_arrival_follows_a_clock_that_drifts() -> None:
    count = 3 * 3600
    frames = empty_frames(count)
    frames["time_ns"] = T0_NS + np.arange(count) * S
    frames["receipt_ns"] = frames["time_ns"] + np.arange(count) * 200_000 + S
    late_ns = arrivals(frames, frames["time_ns"]) - frames["receipt_ns"]
    assert np.abs(late_ns).max() <= 200_000 * 16 * 60


def test_what_was_not_received_live_has_no_arrival() -> None:
    card = footage("card", 0, lag_s=3600, clock=Clock.CONTAINER)
    assert card.lag_ns is None
    here, there = Machines(600 * S).contemporary(card, footage("server", 0))
    assert here.all()
    assert there.all()


def test_sender_reports_on_both_sides_tell_how_far_machines_are_apart() -> None:
    spare, server = footage("spare", 0, lag_s=1), footage("server", 200, lag_s=31)
    machines = Machines.possible([spare], [server], 1, 600 * S)[0]
    assert machines.apart_ns(spare, server) == (30 * S, True)
    # so a session that died before its first report is placed by arrival
    young = footage("server", 2, lag_s=-0.09, clock=Clock.LOCAL)
    prior = machines.prior(spare, young, Prior())
    assert (prior.expected_ns, prior.trusted) == (1_090_000_000 + 30 * S, True)


def test_of_a_camera_that_restarted_its_clock_the_least_difference_is_true() -> None:
    spare = footage("spare", 0, lag_s=100)
    before, after = footage("server", 0, lag_s=0.005), footage("server", 5, lag_s=100.005)
    machines = Machines.possible([spare], [before, after], 1, 600 * S)[0]
    assert machines.apart_ns(spare, after) == (5_000_000, True)
    here, there = machines.contemporary(spare, before)
    assert not here.any()
    assert not there.any()


def test_what_a_merge_could_not_relate_arrived_with_what_it_was_put_beside() -> None:
    own = footage("server", 0, lag_s=7)
    brought = footage("spare", 10, 3, lag_s=20)
    local = footage("spare", 40, 3, lag_s=-0.05, clock=Clock.LOCAL, moved_s=0.1)
    homed = at_home("server", [own, brought, local])
    assert [each.lag_ns for each in homed] == [7 * S, 7 * S, 7 * S + 100_000_000]
    assert [each.adopted for each in homed] == [False, True, True]


@pytest.mark.parametrize("source", [CAMERA, Clock.LOCAL])
def test_a_merge_writes_down_when_arrived_what_it_brings(source: Clock) -> None:
    """Also where every frame had waited, and at the end of a long way."""
    shots, world = camera(300), World()
    ahead_ns = {"server": 40 * S, "first": -7 * S, "second": 90 * S}

    def hears(name: str, start: int, stop: int, waits: range, clock: Clock = CAMERA) -> None:
        received = {
            shot.id: shot.time_ns + ahead_ns[name] + (3 * S if shot.id in waits else 0)
            for shot in shots[start:stop]
        }
        own = Wrong(ahead_ns[name], source=clock) if clock is Clock.LOCAL else Wrong(source=clock)
        world.record(name, shots[start:stop], wrong=own, receipts=received)

    for name in ("server", "second"):
        hears(name, 0, 100, range(0))
    hears("server", 200, 300, range(0))
    hears("first", 0, 100, range(0))
    hears("first", 101, 250, range(90, 240), source)
    hears("second", 220, 300, range(0))
    merge(world.timeline("first"), world.timeline("second"))
    merge(world.timeline("second"), world.timeline("server"))
    server = load_manifest(world.timeline("server"), "gate")
    assert world.timeline("server").ids() == dict.fromkeys([*range(100), *range(101, 300)], 1)
    brought = [run for run in server.runs() if run.provenance.inserted_from]
    assert brought
    for run in brought:
        for found in unpack(server, run, run.places):
            ids = [number for place in run.places for number in server_ids(world, server, place)]
            true_ns = np.array([shots[number].time_ns for number in ids]) + ahead_ns["server"]
            assert np.abs(found.arrival_ns - true_ns).max() < 20_000_000
            assert found.store == server.identity


def server_ids(world: World, server: Manifest, place: int) -> list[int]:
    return world.timeline("server").ids_of(server.rows[place])


def test_frames_that_waited_before_the_first_report_arrived_with_those_beside_them() -> None:
    """A merge told by the content that their recorder received them late."""
    own, least = footage("server", 0, lag_s=0.005), footage("spare", 60, lag_s=0.005)
    brought = footage("spare", 3, 1, lag_s=0, clock=Clock.LOCAL, moved_s=-1.5)
    homed = at_home("server", [own, brought, least])
    assert homed[1].lag_ns == 5_000_000 - 1_500_000_000
    # Where own footage of another clock lies there too, the one by which the receipt was right is meant.
    ahead = footage("server", 1, lag_s=1.5)
    homed = at_home("server", [own, ahead, brought, least])
    assert homed[2].lag_ns == 0


def test_a_loop_seen_at_different_times_is_not_one() -> None:
    """The server died before its first sender report; the spare saw another lap of the loop, as long."""
    shots, world = camera(1000, gop=10, content="loop", loop=250), World()
    world.record("server", shots[0:200], wrong=Wrong(90_000_000))
    world.record("server", shots[600:900], wrong=Wrong(source=CAMERA))
    world.record("spare", shots[258:700], wrong=Wrong(source=CAMERA))
    server, spare = (load_manifest(world.timeline(name), "gate") for name in ("server", "spare"))
    made = plan(spare, server)
    assert made.duplicate_frames == 100
    assert sum(stretch.frames for stretch in made.stretches) == 342


def test_what_a_merge_brought_has_no_frame_in_common_with_what_was_there() -> None:
    own, same = footage("server", 0, session="own"), footage("spare", 0, session="brought")
    machines = Machines(600 * S)
    assert align(same, [own], 1, Prior(), machines).held.all()
    own, same = replace(own, home="server"), replace(same, home="server", brought=True)
    assert not align(same, [own], 1, Prior(), machines).held.any()
    assert not align(own, [same], 1, Prior(), machines).held.any()


def test_a_session_of_which_every_frame_had_waited_arrived_as_the_others_say() -> None:
    first, waited = footage("own", 0, lag_s=0.005, session="a"), footage("own", 10, lag_s=0.175, session="b")
    stepped = footage("own", 20, lag_s=0.875, session="c")
    homed = at_home("own", [first, waited, stepped])
    drift_ns = 200 * (10_000_000 - 99 * 40_000) // 1_000  # what the machine's clock may do in between
    assert [each.lag_ns for each in homed] == [5_000_000, 5_000_000 + drift_ns, 875_000_000]
    assert int(homed[1].late_ns.min()) == 170_000_000 - drift_ns
