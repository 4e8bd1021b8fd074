"""Clocks of runs: straight between anchors, stepped where no drift explains it; corrections that add up."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fovideo.merge.placing.clock import Clock, combined, uncorrected_ns
from fovideo.timeline.values import Correction

S = 1_000_000_000
T0 = 1_790_000_000 * S

corrections = st.builds(
    Correction,
    st.integers(-600 * S, 600 * S),
    st.integers(-300_000, 300_000),
    st.integers(T0 - 3600 * S, T0 + 3600 * S),
)
times = st.integers(T0 - 3600 * S, T0 + 3600 * S)


def test_without_anchors_nothing_is_corrected() -> None:
    assert Clock.of([]).offset_at(T0) == Clock.of([]).offset_ns == 0


def test_the_offset_grows_evenly_between_anchors_and_stays_beyond() -> None:
    clock = Clock.of([(T0, S), (T0 + 100 * S, S + 20_000_000)])
    assert clock.offset_at(T0 - 50 * S) == S
    assert clock.offset_at(T0 + 50 * S) == S + 10_000_000
    assert clock.offset_at(T0 + 900 * S) == S + 20_000_000


def test_what_no_drift_explains_is_a_step() -> None:
    clock = Clock.of([(T0, 0), (T0 + 100 * S, 40 * S)])
    assert clock.offset_at(T0 + 49 * S) == 0
    assert clock.offset_at(T0 + 51 * S) == 40 * S
    assert clock.piece(T0 + 49 * S)[0] != clock.piece(T0 + 51 * S)[0]


@given(st.lists(st.tuples(times, st.integers(-S, S)), min_size=1, max_size=6), times)
def test_an_offset_lies_between_those_of_its_neighbours(anchors: list[tuple[int, int]], at: int) -> None:
    offset = Clock.of(anchors).offset_at(at)
    rounding_ns = 10_000  # drift is kept in whole ppb
    assert min(o for _, o in anchors) - rounding_ns <= offset <= max(o for _, o in anchors) + rounding_ns


@given(times, corrections)
def test_a_correction_can_be_taken_back(time_ns: int, correction: Correction) -> None:
    before = uncorrected_ns(time_ns, correction)
    assert abs(before + correction.shift_ns(before) - time_ns) <= 1


@given(times, corrections, corrections)
def test_two_corrections_become_one(time_ns: int, first: Correction, second: Correction) -> None:
    once = time_ns + first.shift_ns(time_ns)
    twice = once + second.shift_ns(once)
    assert abs(time_ns + combined(first, second).shift_ns(time_ns) - twice) <= 2_000_000
    if not first.drift_ppb and not second.drift_ppb:
        assert time_ns + combined(first, second).shift_ns(time_ns) == twice
