"""Random schedules of faults: whatever happens, everything is handed back, once, and nothing is lost."""

from __future__ import annotations

import random

import pytest
from failover_world import KINDS, TICK_NS, Fault, World
from hypothesis import given
from hypothesis import strategies as st

from fovideo.failover import State

TROUBLE_TICKS, PEACE_TICKS = 1500, 1500

faults = st.builds(
    Fault,
    st.sampled_from(KINDS),
    st.integers(0, TROUBLE_TICKS - 1),
    st.integers(1, 400),
    st.integers(0, 1),
)


def run(schedule: list[Fault], seed: int) -> World:
    world = World(2, schedule, seed)
    world.run(TROUBLE_TICKS)
    world.run(max([0, *(f.start + f.ticks - world.tick for f in schedule)]))
    world.run(PEACE_TICKS)
    return world


def check(world: World, schedule: list[Fault]) -> None:
    assert world.settled(), world.memory
    world.check_exactly_once()
    kinds = {fault.kind for fault in schedule}
    for name in world.names:
        assert not world.pending[name]
        timeline = world.server[name].own | world.inserted[name]
        assert world.spare_ever[name] <= timeline
        if "spare crash" not in kinds:
            recent = set(range(world.tick - 20, world.tick + 1))
            assert not world.lost(name) - recent
    leases = [action.lease for _, action in world.takeovers]
    assert leases == sorted(leases)


@given(st.lists(faults, max_size=6), st.integers(0, 2**32))
def test_everything_is_handed_back_once(schedule, seed):
    check(run(schedule, seed), schedule)


@pytest.mark.slow
def test_many_faults_at_once():
    rng = random.Random(7)
    for seed in range(60):
        schedule = [
            Fault(
                rng.choice(KINDS),
                rng.randrange(TROUBLE_TICKS),
                int(rng.expovariate(1 / 80)) + 1,
                rng.randrange(2),
            )
            for _ in range(rng.randrange(25))
        ]
        check(run(schedule, seed), schedule)


def test_a_peaceful_site_takes_nothing_over():
    world = run([], 1)
    assert not world.takeovers
    assert not world.merges


@pytest.mark.parametrize(("kind", "within"), [("crash", 16), ("freeze", 21)])
def test_detection(kind, within):
    for start in range(400, 410):
        world = World(2, [Fault(kind, start, 300)], 3)
        world.run(start + within)
        assert world.memory.state == State.STANDING_IN, (start, world.memory)
        assert world.takeovers[0][0] >= start


def test_one_slow_answer_is_no_failure():
    for start in range(400, 410):
        world = run([Fault("cut", start, 7)], 3)
        assert not world.takeovers


def test_a_quick_restart_costs_nothing():
    """The server was away for less than it takes to notice, but what it had in memory is gone."""
    world = run([Fault("crash", 403, 1)], 1)
    assert world.takeovers
    assert not any(world.lost(name) - set(range(world.tick - 20, world.tick + 1)) for name in world.names)


def test_only_the_camera_that_the_server_lost_is_taken_over():
    world = run([Fault("server camera", 400, 300, 1)], 1)
    assert {name for _, action in world.takeovers for name in action.cameras} == {"cam1"}
    assert world.inserted["cam1"]
    assert not world.inserted["cam0"]


def test_while_the_server_lacks_a_camera_old_footage_goes_back_already():
    world = World(1, [Fault("server camera", 400, 2000)], 1)
    world.run(1500)
    assert world.memory.state == State.STANDING_IN
    assert 600 in world.inserted["cam0"]


def test_a_dead_camera_is_no_reason_to_stand_in():
    world = run([Fault("camera", 400, 600, 1)], 1)
    late = [action for tick, action in world.takeovers if 400 + 60 < tick < 1000]
    assert not late


def test_times_may_start_anywhere():
    world = World(1, [Fault("crash", 100, 100)], 1)
    world.tick = 10**10 // TICK_NS * 10**9
    world.run(300)
    assert world.memory.told_ns > 0
