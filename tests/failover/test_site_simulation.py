"""Years of a whole site: several servers and spares, leases, partitions, pauses, crashes, clock steps.

An episode is a few faults within a minute or two; a site of this world has three of them a year.
"""

from __future__ import annotations

import random

import pytest
from site_world import SiteWorld

YEARS, EPISODES_A_YEAR = 200, 3


def trouble(world: SiteWorld, chance: random.Random) -> None:
    """One to four faults that begin within 20 s of each other and end within a minute."""
    servers, spares = [s.name for s in world.servers], world.spare_names
    ends: list[tuple[int, object]] = []
    for _ in range(chance.randint(1, 4)):
        world.run(chance.randrange(20))
        last = world.beat + 1 + int(chance.expovariate(1 / 25))
        kind = chance.choice(
            (
                "crash",
                "crash",
                "freeze",
                "cut",
                "isolated",
                "camera",
                "route",
                "spare",
                "pause",
                "etcd",
                "slow",
                "late",
                "clock",
            )
        )
        machine = chance.choice(servers + spares)
        everyone = [*servers, *spares, "etcd"]
        if kind == "crash":
            fault, where = chance.choice(servers), world.dead
        elif kind == "freeze":
            fault, where = chance.choice(servers), world.frozen
        elif kind == "cut":
            fault, where = (machine, chance.choice([m for m in everyone if m != machine])), world.cuts
        elif kind == "isolated":
            fault, where = (machine, "*"), world.cuts
        elif kind == "camera":
            fault, where = chance.choice(world.cameras), world.dead
        elif kind == "route":
            fault, where = (machine, chance.choice(world.cameras)), world.cuts
        elif kind == "spare":
            fault, where = chance.choice(spares), world.dead
        elif kind == "pause":
            fault, where = chance.choice(spares), world.frozen
        elif kind == "slow":
            fault, where = chance.choice(servers), world.slow
        elif kind == "late":
            fault, where = chance.choice(servers), world.late
        elif kind == "clock":
            chance.choice(world.servers).skew += chance.randint(-7200, 7200)
            continue
        else:
            world.etcd.away = True
            fault, where = None, None
        if where is not None:
            where.add(fault)
        ends.append((last, (where, fault)))
    for last, (where, fault) in sorted(ends, key=lambda end: end[0]):
        world.run(max(0, min(last - world.beat, 120)))
        if where is None:
            world.etcd.away = False
        else:
            where.discard(fault)


def live_through(seed: int, episodes: int) -> SiteWorld:
    chance = random.Random(seed)
    world = SiteWorld(chance, chance.randint(1, 3), chance.randint(1, 3), with_etcd=chance.random() < 0.7)
    for _ in range(episodes):
        world.skip()
        since = world.beat
        world.run(2)
        trouble(world, chance)
        for _ in range(20):
            world.run(20)
            if world.settled():
                break
        assert world.settled(), [(s.name, m.state) for s in world.spares for m in s.memories.values()]
        world.run(4)
        world.check(since)
    return world


@pytest.mark.parametrize("decade", range(20))
def test_years_of_trouble(decade: int) -> None:
    for year in range(YEARS // 20):
        live_through(decade * 1000 + year, EPISODES_A_YEAR)


def test_a_further_failure_goes_to_the_next_spare() -> None:
    world = SiteWorld(random.Random(1), 2, 3, with_etcd=True)
    world.run(30)
    world.dead.add("rec0")
    world.run(15)
    world.dead.add("rec1")
    world.run(15)
    assert {(spare, server) for _, spare, server, _ in world.takeovers[-2:]} == {
        ("spare0", "rec0"),
        ("spare1", "rec1"),
    }


def test_when_none_is_free_cameras_are_taken_as_far_as_there_is_room() -> None:
    world = SiteWorld(random.Random(1), 3, 1, with_etcd=False, room=2)
    world.run(30)
    (spare,) = world.spares
    world.dead |= {"rec0", "rec1", "rec2"}
    world.run(40)
    recorded = [camera for camera, written in spare.recording.items() if written is not None]
    assert len(recorded) == 2
    left = [c for server in world.servers for c in spare.arbiter.left(server.name)]
    assert sorted(recorded + left) == sorted(world.cameras)


def test_a_spare_that_is_cut_off_claims_nothing() -> None:
    world = SiteWorld(random.Random(1), 2, 2, with_etcd=True)
    world.run(30)
    before = len(world.takeovers)
    world.cuts.add(("spare1", "*"))
    world.run(40)
    assert all(take.lease == 0 for _, _, _, take in world.takeovers[before:])
    world.cuts.clear()
    world.run(60)
    assert world.settled()
