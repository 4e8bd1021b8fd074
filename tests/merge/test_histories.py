"""Random histories end equal to the reference, whatever fails on the way. FOVIDEO_HISTORIES=N kills in
N of them, and runs a quarter as many in each other way.
"""

from __future__ import annotations

import copy
import os
import random
from collections.abc import Callable

import pytest
from merge_history import History, history, outage
from merge_mixed import mixed
from merge_reference import Reference
from merge_world import Held

from fovideo.merge import merge

COUNT = int(os.environ.get("FOVIDEO_HISTORIES", "200"))
PORTIONS = 10
REBOOTS, MIXED = 2, 3


class Killed(BaseException):
    """The process died."""


def told(seed: int) -> History:
    """Histories of clocks and contents, of sites with outages (where the camera may restart), and of
    everything together, in turn.
    """
    kind = seed // PORTIONS % 4
    if kind == MIXED:
        return mixed(seed)
    return outage(seed, reboots=seed // PORTIONS % 8 == REBOOTS) if kind else history(seed)


def merged(source: Held, target: Held) -> int:
    """How many insertions a merge made."""
    before = target.inserts
    merge(source, target)
    return target.inserts - before


def check(tale: History, reference: Reference) -> None:
    assert not reference.problems()[:5], tale.label


@pytest.mark.parametrize("portion", range(PORTIONS))
def test_the_target_is_the_union_after_each_merge(portion: int) -> None:
    for seed in range(portion, COUNT // 4, PORTIONS):
        in_turn(told(seed))


def in_turn(tale: History) -> None:
    """After each merge the target is the union so far, and merging again changes nothing."""
    reference = Reference.of(tale)
    for name in tale.sources:
        source = tale.world.timeline(name)
        before = list(tale.target.rows)
        merged(source, tale.target)
        reference.add(source)
        check(tale, reference)
        assert all(row in tale.target.rows for row in before), tale.label
        assert merged(source, tale.target) == 0, tale.label


@pytest.mark.parametrize("portion", range(PORTIONS))
def test_killed_at_random_and_run_again(portion: int, monkeypatch: pytest.MonkeyPatch) -> None:
    insert = Held.insert
    for seed in range(1_000_000 + portion, 1_000_000 + COUNT, PORTIONS):
        tale, chance = told(seed), random.Random(seed)
        reference = Reference.of(tale)

        def dies(self, stretch, chance=chance):  # type: ignore[no-untyped-def]
            fate = chance.random()
            if fate < 0.15:
                raise Killed
            done = insert(self, stretch)
            if fate > 0.85:
                raise Killed
            return done

        for name in tale.sources:
            source = tale.world.timeline(name)
            with monkeypatch.context() as patch:
                patch.setattr(Held, "insert", dies)
                for _ in range(3):
                    try:
                        merge(source, tale.target)
                        break
                    except Killed:
                        pass
            merge(source, tale.target)
            reference.add(source)
            check(tale, reference)
            assert merged(source, tale.target) == 0, tale.label


@pytest.mark.parametrize("portion", range(PORTIONS))
def test_the_order_and_the_way_of_merges_do_not_matter(portion: int) -> None:
    for seed in range(2_000_000 + portion, 2_000_000 + COUNT // 4, PORTIONS):
        any_order_any_way(told(seed), random.Random(seed))


@pytest.mark.parametrize(
    "made",
    [
        pytest.param(lambda: history(2_000_987), id="single frames by way of another spare"),
        pytest.param(
            lambda: outage(2_001_332), id="a loop without sender reports, and a session that waited"
        ),
        pytest.param(lambda: outage(129, reboots=True), id="a session of which every frame waited"),
        pytest.param(
            lambda: outage(8_000_569, reboots=True), id="a second run believes what the first one wrote down"
        ),
        pytest.param(lambda: mixed(180), id="another encode, and a session that waited"),
        pytest.param(lambda: mixed(3_000_033), id="few documents tell another encode's offset"),
        pytest.param(lambda: mixed(135), id="another encode, and a hole of one frame"),
        pytest.param(lambda: mixed(3_000_261), id="a still scene, and a restart of which nothing tells"),
        pytest.param(lambda: mixed(5_000_000), id="the difference that more frames speak for"),
        pytest.param(lambda: mixed(2_000_177), id="a clock that stepped, or a session that waited"),
        pytest.param(lambda: mixed(5_000_246), id="a single frame that is like another one"),
        pytest.param(lambda: mixed(5_000_137), id="when what is in doubt arrived nobody knows"),
        pytest.param(
            lambda: mixed(1_000_121), id="a frame that leads to one, and a clock that shows another"
        ),
        pytest.param(lambda: mixed(3_000_104), id="a frame that follows one, and a clock that was set back"),
        pytest.param(lambda: outage(8_000_209, reboots=True), id="single frames where two sessions overlap"),
        pytest.param(
            lambda: mixed(2_000_163), id="what is right before a frame where the order is not known"
        ),
        pytest.param(lambda: mixed(5_000_366), id="sessions without a common frame bridge nothing"),
        pytest.param(
            lambda: mixed(6_000_020), id="frames behind one that waits, and a clock that was set back"
        ),
        pytest.param(lambda: mixed(6_000_194), id="a lap of a still scene that no clock tells"),
        pytest.param(lambda: mixed(9_000_043), id="a moment of silence that is like any other"),
        pytest.param(lambda: mixed(2_000_032), id="a still scene, and a session of which every frame waited"),
        pytest.param(lambda: mixed(443), id="another encode says nothing of which lap"),
        pytest.param(lambda: mixed(2_000_175), id="metadata does not say where video is"),
        pytest.param(lambda: mixed(8_100_035), id="sound beside a step of the clock"),
        pytest.param(lambda: mixed(2_000_040), id="a second run of what a merge put at several offsets"),
    ],
)
def test_what_once_went_wrong(made: Callable[[], History]) -> None:
    in_turn(made())
    any_order_any_way(made(), random.Random(1))


def test_what_only_a_guess_relates_is_kept() -> None:
    """Nothing but another encode tells of the camera's restart, and its pictures are alike."""
    tale = mixed(257)
    everything = set(tale.target.ids())
    for name in tale.sources:
        everything |= set(tale.world.timeline(name).ids())
        merge(tale.world.timeline(name), tale.target)
        assert set(tale.target.ids()) == everything


@pytest.mark.parametrize("portion", range(4))
def test_what_is_recorded_again_goes_on(portion: int) -> None:
    for seed in range(86 + portion, 86 + COUNT // 20, 4):
        in_turn(history(seed, again=True))
        any_order_any_way(history(seed, again=True), random.Random(seed))


@pytest.mark.parametrize(
    ("seed", "ways"),
    [
        pytest.param(334, "0>server 1>server", id="of two offsets of one run one is of another lap"),
        pytest.param(
            6_000_278, "0>server 1>server", id="a session of which every frame waited may be a frame later"
        ),
        pytest.param(654, "0>1 1>server", id="a merge guessed when a frozen scene arrived"),
        pytest.param(8_100_238, "1>server 0>server", id="a merge before brought what arrived by a guess"),
        pytest.param(8_100_238, "1>server 2>server", id="and another spare then merges, too"),
    ],
)
def test_what_is_shown_twice_is_not_lost(seed: int, ways: str) -> None:
    tale = mixed(seed)
    for way in ways.split():
        number, into = way.split(">")
        source = tale.world.timeline(f"spare-{number}")
        target = tale.target if into == "server" else tale.world.timeline(f"spare-{into}")
        both = {*source.ids(), *target.ids()}
        merge(source, target)
        assert both == set(target.ids())
        assert merged(source, target) == 0


def any_order_any_way(tale: History, chance: random.Random) -> None:
    """Merged straight and by way of the last source, each frame is there once, also after a second run."""
    everything = set(tale.target.ids())
    for name in tale.sources:
        everything |= set(tale.world.timeline(name).ids())
    straight = copy.deepcopy(tale.target)
    for name in chance.sample(tale.sources, len(tale.sources)):
        merged(tale.world.timeline(name), straight)
    *others, last = tale.sources  # all by way of the last
    for name in others:
        merged(tale.world.timeline(name), tale.world.timeline(last))
    merged(tale.world.timeline(last), tale.target)
    assert merged(tale.world.timeline(last), tale.target) == 0, tale.label
    for timeline in (straight, tale.target):
        assert timeline.ids().keys() == everything, tale.label
        surely = timeline.ids(doubtful=tale.moves) if tale.related else {}
        assert max(surely.values(), default=1) == 1, tale.label
