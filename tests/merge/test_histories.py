"""Random histories end equal to the reference, whatever fails on the way. FOVIDEO_HISTORIES=N runs N of
them.
"""

from __future__ import annotations

import copy
import os
import random

import pytest
from merge_history import History, Reference, history
from merge_world import Held

from fovideo.merge import merge

COUNT = int(os.environ.get("FOVIDEO_HISTORIES", "200"))
PORTIONS = 10


class Killed(BaseException):
    """The process died."""


def merged(source: Held, target: Held) -> int:
    """How many insertions a merge made."""
    before = target.inserts
    merge(source, target)
    return target.inserts - before


def check(told: History, reference: Reference) -> None:
    assert not reference.problems(told.target, told.gop, told.exact)[:5], told.label


@pytest.mark.parametrize("portion", range(PORTIONS))
def test_the_target_is_the_union_after_each_merge(portion: int) -> None:
    for seed in range(portion, COUNT // 2, PORTIONS):
        told = history(seed)
        reference = Reference.of(told.target)
        for name in told.sources:
            source = told.world.timeline(name)
            before = list(told.target.rows)
            merged(source, told.target)
            reference.add(source)
            check(told, reference)
            assert all(row in told.target.rows for row in before), told.label
            assert merged(source, told.target) == 0, told.label


@pytest.mark.parametrize("portion", range(PORTIONS))
def test_killed_at_random_and_run_again(portion: int, monkeypatch: pytest.MonkeyPatch) -> None:
    insert = Held.insert
    for seed in range(1_000_000 + portion, 1_000_000 + COUNT, PORTIONS):
        told, chance = history(seed), random.Random(seed)
        reference = Reference.of(told.target)

        def dies(self, stretch, chance=chance):  # type: ignore[no-untyped-def]
            fate = chance.random()
            if fate < 0.15:
                raise Killed
            done = insert(self, stretch)
            if fate > 0.85:
                raise Killed
            return done

        for name in told.sources:
            source = told.world.timeline(name)
            with monkeypatch.context() as patch:
                patch.setattr(Held, "insert", dies)
                for _ in range(3):
                    try:
                        merge(source, told.target)
                        break
                    except Killed:
                        pass
            merge(source, told.target)
            reference.add(source)
            assert not reference.problems(told.target, told.gop, False)[:5], told.label
            assert merged(source, told.target) == 0, told.label


@pytest.mark.parametrize("portion", range(PORTIONS))
def test_the_order_and_the_way_of_merges_do_not_matter(portion: int) -> None:
    for seed in range(2_000_000 + portion, 2_000_000 + COUNT // 2, PORTIONS):
        told, chance = history(seed), random.Random(seed)
        everything = set(told.target.ids())
        for name in told.sources:
            everything |= set(told.world.timeline(name).ids())
        straight = copy.deepcopy(told.target)
        for name in chance.sample(told.sources, len(told.sources)):
            merged(told.world.timeline(name), straight)
        *others, last = told.sources  # all by way of the last
        for name in others:
            merged(told.world.timeline(name), told.world.timeline(last))
        merged(told.world.timeline(last), told.target)
        for timeline in (straight, told.target):
            assert timeline.ids() == dict.fromkeys(everything, 1), told.label
