"""The quick ways of planning (whole rows at once, columns instead of rows) change nothing of a plan."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from merge_history import history, outage
from sides import PER_GOP, S, side

from fovideo.merge import Manifest, Plan, load_manifest, plan
from fovideo.merge.placing.clock import Clock

SPLICE = sys.modules["fovideo.merge.planning.splice"]
INORDER = sys.modules["fovideo.merge.planning.inorder"]


def both(source: Manifest, target: Manifest, **how: int) -> tuple[Plan, Plan]:
    quick = plan(source, target, **how)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SPLICE, "_rows_alike", lambda *_: {})
        patch.setattr(INORDER, "_any_overlap", lambda *_: True)
        patch.setattr(
            Clock,
            "offsets_at",
            lambda clock, times: np.array([clock.offset_at(each) for each in times.tolist()], np.int64),
        )
        return quick, plan(source, target, **how)


@pytest.mark.parametrize("seed", range(12))
def test_of_histories(seed: int) -> None:
    tale = history(seed) if seed % 2 else outage(seed, reboots=seed % 4 == 0)
    for name in tale.sources:
        timeline = tale.world.timeline(name)
        for info in timeline.streams():
            sides = [load_manifest(each, info.name) for each in (timeline, tale.target)]
            quick, plain = both(*sides)
            assert quick == plain, tale.label
            middle_ns = (info.start_ns + info.end_ns) // 2
            quick, plain = both(*sides, to_ns=middle_ns)
            assert quick == plain, tale.label


@pytest.mark.parametrize("drift_ppm", [0, 90, -90])
def test_of_drifting_clocks(drift_ppm: int) -> None:
    digests = np.random.default_rng(5).integers(1, 1 << 63, (120, PER_GOP), dtype=np.uint64)
    target = side("b", [n for n in range(120) if n % 40 > 9 and n != 33], digests, drift_ppm, 40_000_000)
    quick, plain = both(side("a", range(120), digests), target)
    assert quick == plain
    assert quick.stretches


@given(
    st.lists(st.tuples(st.integers(0, 10**12), st.integers(-S, S)), max_size=5),
    st.lists(st.integers(-(10**11), 2 * 10**12), max_size=12),
)
def test_offsets_of_many_times(anchors: list[tuple[int, int]], times: list[int]) -> None:
    clock = Clock.of(anchors)
    assert clock.offsets_at(np.array(times, np.int64)).tolist() == [clock.offset_at(each) for each in times]
