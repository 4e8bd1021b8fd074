"""The pause between two rounds of the writer keeps the durability that was promised."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fovideo.record.writer import Rhythm
from fovideo.times import NS_PER_MS, NS_PER_S


@given(
    durability_ns=st.integers(50 * NS_PER_MS, 60 * NS_PER_S),
    share=st.floats(0.0, 0.25),
    rounds=st.integers(1, 50),
)
def test_a_frame_waits_no_longer_than_promised(durability_ns: int, share: float, rounds: int) -> None:
    rhythm, round_ns = Rhythm(durability_ns), int(durability_ns * share)
    for _ in range(rounds):
        rhythm.took(round_ns)
    assert round_ns + rhythm.pause_ns + round_ns <= durability_ns


def test_quick_rounds_are_fewer_and_slow_ones_do_not_starve_the_disk() -> None:
    rhythm = Rhythm(NS_PER_S)
    for _ in range(20):
        rhythm.took(NS_PER_MS)
    assert rhythm.pause_ns // NS_PER_MS == 816
    rhythm.took(NS_PER_S)
    assert rhythm.pause_ns == NS_PER_S // 8


def test_one_slow_round_is_remembered_for_a_while() -> None:
    rhythm = Rhythm(NS_PER_S)
    rhythm.took(250 * NS_PER_MS)
    slow = rhythm.pause_ns
    rhythm.took(NS_PER_MS)
    assert slow < rhythm.pause_ns < 816 * NS_PER_MS
