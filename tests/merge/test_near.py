"""What waits is planned with what lies around it, and the plan is that of the whole."""

from __future__ import annotations

import random
import sys
from collections import Counter

import pytest
from merge_history import outage
from merge_world import STEP_NS, T0_NS, Held, S, World, Wrong, camera

from fovideo.media.frames import Clock
from fovideo.merge import Manifest, Plan, load_manifest, merge, plan
from fovideo.merge.planning.near import near_waiting

CAMERA = Wrong(source=Clock.SENDER_REPORT)
REACH_NS = 3 * S


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> Counter[bool]:
    """Makes the planner look at some seconds only; counts by whether it could."""
    tried: Counter[bool] = Counter()

    def near(source: Manifest, target: Manifest) -> tuple[Manifest, Manifest] | None:
        found = near_waiting(source, target, REACH_NS)
        tried[found is not None] += 1
        return found

    monkeypatch.setattr(sys.modules[plan.__module__], "near_waiting", near)
    return tried


def site(seed: int) -> tuple[Held, Held]:
    """A server that dies three times, and its spare; what the spare took of the first two is merged."""
    chance = random.Random(seed)
    content = chance.choice(["moving", "still", "frozen", "loop"])
    shots = camera(
        1000, gop=10, content=content, b_frames=chance.choice([0, 2]), loop=chance.choice([40, 300])
    )
    loss = chance.choice([0, 0.02])
    world = World()
    server, spare = world.timeline("server"), world.timeline("spare")

    def record(name: str, start: int, stop: int) -> None:
        lost = {number for number in range(start, stop) if chance.random() < loss}
        world.record(name, shots[start:stop], wrong=CAMERA, lost=lost, noise_ns=2_000_000)

    at = 0
    for dies in (300, 600, 900):
        dies += chance.randint(-30, 30)
        back = min(dies + chance.randint(20, 150), 1000)
        record("server", at, dies)
        record("spare", max(dies - 40, at), min(back + 40, 1000))
        if dies < 800:
            merge(spare, server, waiting=True)
        at = back
    record("server", at, 1000)
    return spare, server


def both_ways(spare: Held, server: Held, to_ns: int | None = None) -> tuple[Plan, Plan]:
    """The plan of what waits, and that of everything."""
    source, target = load_manifest(spare, "gate"), load_manifest(server, "gate")
    return plan(source, target, to_ns=to_ns, waiting=True), plan(source, target, to_ns=to_ns)


def outline(made: Plan, server: Held) -> list[tuple[object, ...]]:
    """What a plan does, frame by frame; times to some milliseconds, since each is measured anew."""
    assert made.target == server.identity
    return sorted(
        (piece.serial, piece.rows, stretch.kind, stretch.provenance.splice, round(stretch.shift_ns / 2e7))
        for stretch in made.stretches
        for piece in stretch.pieces
    )


def test_the_plan_of_what_waits_is_that_of_everything(narrow: Counter[bool]) -> None:
    for seed in range(16):
        spare, server = site(seed)
        until_ns = T0_NS + random.Random(seed).randrange(850, 1000) * STEP_NS
        for to_ns in (until_ns, None):  # in two passes: the second finds the first one's copies
            near, whole = both_ways(spare, server, to_ns)
            assert outline(near, server) == outline(whole, server), seed
            assert near.missing == whole.missing, seed
            waits = {row.serial for row in spare.rows if row.flags & 8}
            assert waits & set(near.settled) == waits & set(whole.settled), seed
            merge(spare, server, to_ns=to_ns, waiting=True)
        assert merge(spare, server).streams[0].inserted_frames == 0, seed
    assert narrow[True] > 25


def test_nothing_is_taken_for_near_where_clocks_are_off(narrow: Counter[bool]) -> None:
    for seed in range(10):
        tale = outage(seed)
        for name in tale.sources:
            spare = tale.world.timeline(name)
            half_ns = (spare.rows[0].start_ns + spare.rows[-1].end_ns) // 2
            for to_ns in (half_ns, None):
                near, whole = both_ways(spare, tale.target, to_ns)
                assert outline(near, tale.target) == outline(whole, tale.target), tale.label
                merge(spare, tale.target, to_ns=to_ns, waiting=True)


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(Wrong(40 * S, source=Clock.SENDER_REPORT), id="a camera that set its clock"),
        pytest.param(Wrong(300_000_000), id="a recorder without sender reports"),
    ],
)
def test_all_is_looked_at_where_times_may_be_wrong(narrow: Counter[bool], wrong: Wrong) -> None:
    world, shots = World(), camera(1000)
    world.record("server", shots[:500], wrong=CAMERA)
    world.record("server", shots[600:], wrong=wrong)
    world.record("spare", shots[480:620], wrong=CAMERA)
    merge(world.timeline("spare"), world.timeline("server"), waiting=True)
    assert world.timeline("server").ids() == dict.fromkeys(range(1000), 1)
    assert not narrow[True]


def test_what_no_frame_confirms_is_planned_with_everything(narrow: Counter[bool]) -> None:
    """The spare's footage lies in the gap and has no frame in common with the server's."""
    world, shots = World(), camera(2000)
    world.record("server", shots[:1500], wrong=CAMERA)
    world.record("server", shots[1600:], wrong=CAMERA)
    world.record("spare", shots[1520:1580], wrong=CAMERA)
    server = world.timeline("server")
    near, whole = both_ways(world.timeline("spare"), server)
    assert narrow[True]
    assert outline(near, server) == outline(whole, server)
    assert near.missing == whole.missing
