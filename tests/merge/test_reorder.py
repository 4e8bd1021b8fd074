"""The pattern of reordered frames, learned from what was received, also where frames are missing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from merge_world import STEP_NS, T0_NS, camera

from fovideo.merge.planning.reorder import UNKNOWN, Sequence, find_pattern


def sequence(shots: list, shift_ns: int = 0) -> Sequence:
    return Sequence(
        np.array([shot.time_ns + shift_ns for shot in shots], np.int64),
        np.array([shot.key for shot in shots]),
    )


def test_frames_in_order_have_no_pattern() -> None:
    assert find_pattern([sequence(camera(100))]) is None
    assert find_pattern([]) is None


@given(
    st.sets(st.integers(0, 199), max_size=20),
    st.sets(st.integers(0, 199), max_size=20),
    st.integers(-4_000_000, 4_000_000),
)
def test_places_are_those_of_the_camera(lost: set[int], also: set[int], noise_ns: int) -> None:
    shots = camera(200, b_frames=2)
    sides = [[shot for shot in shots if shot.id not in missing] for missing in (lost, also)]
    pattern = find_pattern([sequence(sides[0]), sequence(sides[1], noise_ns)])
    assert pattern is not None
    for side, shift_ns in zip(sides, (0, noise_ns), strict=True):
        places = pattern.places(sequence(side, shift_ns).time_ns)
        known = places != UNKNOWN
        base = {
            int(place) - shot.id for place, shot in zip(places[known], np.array(side)[known], strict=True)
        }
        assert len(base) <= 1 or any(shot.key and shot.id in lost & also for shot in shots)


def test_whole_gops_without_a_keyframe_are_filled_in() -> None:
    shots = [shot for shot in camera(200, b_frames=2) if shot.id not in (40, 50, 120)]
    pattern = find_pattern([sequence(shots)])
    assert pattern is not None
    assert pattern.places(sequence(shots).time_ns).tolist() == [shot.id for shot in shots]


def test_before_the_first_keyframe_nothing_is_known() -> None:
    shots = camera(100, b_frames=2)[14:]
    pattern = find_pattern([sequence(shots)])
    assert pattern is not None
    assert (pattern.places(sequence(shots).time_ns)[:6] == UNKNOWN).all()


@pytest.mark.parametrize("order", [(3, 1, 0, 2), (3, 0, 1, 2), (2, 1, 0)])
def test_any_regular_order_is_learned(order: tuple[int, ...]) -> None:
    times, keys = [], []
    for start in range(0, 90, 1 + 2 * len(order)):
        places = [0, *(1 + at for at in order), *(1 + len(order) + at for at in order)]
        times += [T0_NS + (start + place) * STEP_NS for place in places]
        keys += [True] + [False] * 2 * len(order)
    pattern = find_pattern([Sequence(np.array(times, np.int64), np.array(keys))])
    assert pattern is not None
    assert pattern.places(np.array(times, np.int64)).tolist() == list(range(len(times)))


def test_an_irregular_order_is_no_pattern() -> None:
    chance = np.random.default_rng(1)
    times, keys = [], []
    for start in range(0, 300, 10):
        inner = 1 + chance.permutation(9)
        times += [T0_NS + (start + place) * STEP_NS for place in (0, *inner.tolist())]
        keys += [True] + [False] * 9
    assert find_pattern([Sequence(np.array(times, np.int64), np.array(keys))]) is None
