"""Decode times of inserted frames: around the fixed ones, in order, moved as little as can be."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fovideo.merge.planning.sequence import fit

MS = 1_000_000
NONE = (np.zeros(0, np.int64), np.zeros(0, np.int64))


def fitted(dts: list[int], fixed: list[bool]) -> list[int]:
    times = np.array(dts, np.int64)
    return fit(times, times, np.array(fixed), NONE, None).tolist()


def test_what_fits_stays() -> None:
    assert fitted([0, 40 * MS, 80 * MS], [True, False, True]) == [0, 40 * MS, 80 * MS]


def test_what_does_not_fit_moves_between_its_neighbours() -> None:
    moved = fitted([120 * MS, 80 * MS, 100 * MS, 160 * MS], [True, False, False, True])
    assert moved[0] == 120 * MS
    assert 120 * MS < moved[1] < moved[2] < 160 * MS


def test_without_room_nothing_moves() -> None:
    assert fitted([100, 50, 99], [True, False, True]) == [100, 50, 99]


def test_where_the_clock_was_set_back_nothing_goes_on() -> None:
    moved = fitted([80 * MS, 40 * MS, -5_000 * MS, -4_960 * MS], [True, False, False, True])
    assert moved == [80 * MS, 81 * MS, -5_000 * MS, -4_960 * MS]


def test_nothing_moves_far() -> None:
    far = [5_000 * MS, 40 * MS, 9_000 * MS]
    assert fitted(far, [True, False, True]) == far


@given(
    st.lists(st.integers(1, 60), min_size=3, max_size=20),
    st.data(),
)
def test_fixed_ones_stay_and_order_holds(steps: list[int], data: st.DataObject) -> None:
    fixed = [data.draw(st.booleans()) for _ in steps]
    true = np.cumsum(steps) * MS
    noise = [0 if keep else data.draw(st.integers(-90, 90)) * MS for keep in fixed]
    given_dts = (true + noise).tolist()
    free = [at for at, keep in enumerate(fixed) if not keep]
    # Within one session decode times rise: only where fixed ones lie between can the order be wrong.
    for before, after in pairwise(free):
        if after == before + 1 and given_dts[after] <= given_dts[before]:
            given_dts[after] = given_dts[before] + 1
    moved = fitted(given_dts, fixed)
    for at, keep in enumerate(fixed):
        if keep:
            assert moved[at] == given_dts[at]
    edges = [at for at, keep in enumerate(fixed) if keep]
    for before, after in pairwise(edges):
        assert moved[before : after + 1] == sorted(set(moved[before : after + 1]))
