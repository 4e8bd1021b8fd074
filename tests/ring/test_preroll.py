"""What a ring in standby keeps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fovideo.media.frames import FrameFlag
from fovideo.ring import UNIT, Kind, Units, trim_position
from fovideo.ring.preroll import FULL

S = 1_000_000_000
CAPACITY = 1_000_000


def units(kinds: Sequence[str], *, size: int = 1000, step_ns: int = S, first: int = 5000) -> Units:
    """Rows at 1 per step from time 0 on: K keyframe, d delta frame, a audio, F format, E end."""
    rows = np.zeros(len(kinds), UNIT)
    rows["receipt_ns"] = np.arange(len(kinds)) * step_ns
    rows["size"] = size
    rows["end"] = first + np.arange(1, len(kinds) + 1) * (size + 56)
    rows["position"] = rows["end"] - size
    rows["kind"] = [{"F": Kind.FORMAT, "E": Kind.END}.get(kind, Kind.FRAME) for kind in kinds]
    rows["track"] = [{"F": 0, "E": 0, "a": 2}.get(kind, 1) for kind in kinds]
    rows["flags"] = [FrameFlag.KEY if kind in "Ka" else 0 for kind in kinds]
    return rows


def used(rows: Units) -> int:
    return int(rows["end"][-1] - rows["end"][0] + rows["size"][0] + 56) if len(rows) else 0


def kept(rows: Units, now_s: float, preroll_s: float, capacity: int = CAPACITY) -> int:
    """Number of the first row that stays."""
    position = trim_position(rows, round(now_s * S), round(preroll_s * S), used(rows), capacity)
    return 0 if position is None else int(np.searchsorted(rows["end"], position)) + 1


def test_an_empty_ring_keeps_everything() -> None:
    assert trim_position(np.zeros(0, UNIT), 0, S, 0, CAPACITY) is None


def test_whole_gops_that_cover_the_preroll_stay() -> None:
    rows = units("FKddKddKddKdd")
    assert kept(rows, 12, 3) == 7
    assert kept(rows, 12, 5) == 7
    assert kept(rows, 12, 5.01) == 4
    assert kept(rows, 12, 100) == 0


def test_exactly_at_a_keyframe() -> None:
    rows = units("KdKd")
    assert kept(rows, 3, 1) == 2
    assert kept(rows, 3, 0) == 2
    assert kept(rows, 1, 0) == 0  # the clock that is handed in may be behind the rows


def test_sound_between_is_no_place_to_begin_with_video() -> None:
    assert kept(units("KadaKada"), 7, 2) == 4
    assert kept(units("KadaKada"), 7, 5) == 0


def test_without_video_every_frame_is_a_place_to_begin() -> None:
    assert kept(units("Faaaaa"), 5, 2) == 3


def test_video_without_keyframes_stays() -> None:
    assert kept(units("Fddddd"), 5, 1) == 0


def test_only_formats() -> None:
    assert kept(units("FE"), 100, 1) == 0


def test_a_ring_too_full_gives_up_the_oldest_gops() -> None:
    rows = units("KddKddKddKdd")
    assert kept(rows, 11, 100, capacity=round(9 * 1056 / FULL)) == 3
    assert kept(rows, 11, 100, capacity=round(9 * 1056 / FULL) - 2) == 6
    assert kept(rows, 11, 100, capacity=round(12 * 1056 / FULL) + 2) == 0


def test_a_gop_larger_than_the_ring_is_cut_inside() -> None:
    rows = units("Kddddddddd")
    assert kept(rows, 9, 100, capacity=round(6 * 1056 / FULL) + 1) == 4


@given(
    st.text("KKddddaaFE", max_size=60),
    st.integers(0, 70),
    st.integers(0, 70),
    st.integers(3000, 90_000),
)
def test_what_stays(kinds: str, now_s: int, preroll_s: int, capacity: int) -> None:
    rows = units(list(kinds))
    begin = kept(rows, now_s, preroll_s, capacity)
    stays, goes = rows[begin:], rows[:begin]
    full = used(rows) > FULL * capacity
    if begin:
        assert stays[0]["kind"] == Kind.FRAME
    if not full:
        # All of the pre-roll is there, from a keyframe on.
        assert not (goes["receipt_ns"] > (now_s - preroll_s) * S).any()
        if begin and (rows["track"] == 1).any():
            assert stays[0]["flags"] & FrameFlag.KEY
            assert stays[0]["track"] == 1
    elif (stays["kind"] == Kind.FRAME)[1:].any():
        assert used(stays) <= FULL * capacity
