"""Matching two frame tables: what is paired is equal, near and in order, and nothing that could be is
left.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from merge_world import STEP_NS, T0_NS, S, Wrong, camera, sound, table_of

from fovideo.merge.line import line_of
from fovideo.merge.placing.match import match, offsets_at, pair_up, walk
from fovideo.merge.placing.offset import NEAR_NS, Prior, find_offset

MINUTE = 60 * S
FAR = Prior(window_ns=10 * MINUTE)


def ids(payloads: list[bytes], rows: np.ndarray) -> list[int]:
    return [int.from_bytes(payloads[row][:8], "big") for row in rows.tolist()]


def matched(ours: list, theirs: list, wrong: Wrong, prior: Prior = FAR) -> tuple[list[int], list[int], int]:
    """Numbers of the matched frames on both sides, and the offset."""
    source, source_payloads = table_of(ours, wrong)
    target, target_payloads = table_of(theirs)
    found = match(source, target, prior)
    return ids(source_payloads, found.source), ids(target_payloads, found.target), found.offset_ns


@pytest.mark.parametrize("b_frames", [0, 2])
@pytest.mark.parametrize("offset_ns", [0, 33_000_000, -5 * S, 8 * MINUTE])
def test_overlap_is_found_whatever_the_clock_says(b_frames: int, offset_ns: int) -> None:
    shots = camera(400, b_frames=b_frames)
    ours, theirs, offset = matched(shots[100:300], shots[0:180], Wrong(offset_ns))
    assert sorted(ours) == sorted(theirs) == list(range(100, 180))
    assert ours == theirs
    assert offset == -offset_ns


@pytest.mark.parametrize("content", ["still", "frozen", "loop"])
def test_repeating_content_is_matched_frame_by_frame(content: str) -> None:
    shots = camera(400, content=content)
    ours, theirs, offset = matched(shots[100:300], shots[0:180], Wrong(15_000_000))
    assert ours == theirs == list(range(100, 180))
    assert offset == -15_000_000


@pytest.mark.parametrize("content", ["still", "frozen", "loop"])
def test_repeating_content_that_only_adjoins_is_not_matched(content: str) -> None:
    shots = camera(800, content=content)
    assert matched(shots[400:800], shots[0:400], Wrong())[0] == []


@pytest.mark.parametrize("off_ns", [-27_000_000, 0, 27_000_000])
def test_a_lap_is_not_believed_where_footage_only_adjoins(off_ns: int) -> None:
    """Clocks that differ a little let the last frame meet the first of the other side, which refutes it."""
    shots = camera(800, content="still")
    prior = Prior(again_ns=10 * STEP_NS)
    assert matched(shots[403:800], shots[0:403], Wrong(off_ns), prior)[0] == []


def test_another_encode_is_not_matched() -> None:
    ours = camera(200, seed=2)
    assert matched(ours, camera(200, seed=1), Wrong())[0] == []


def test_drift_is_followed_and_measured() -> None:
    shots = camera(25 * 400)
    source, _ = table_of(shots, Wrong(2 * S, 200))
    target, _ = table_of(shots)
    found = match(source, target, FAR)
    assert found.source.tolist() == found.target.tolist() == list(range(len(shots)))
    assert found.drift_ppb == pytest.approx(-200_000, rel=0.01)
    corrected = source["time_ns"] + offsets_at(found.anchors, source["time_ns"])
    assert int(np.abs(corrected - target["time_ns"]).max()) < 5_000_000


def test_a_clock_that_is_put_right_in_between_is_followed() -> None:
    shots = camera(1000)
    source, _ = table_of(shots)
    source["time_ns"][600:] += 210_000_000
    target, _ = table_of(shots)
    found = match(source, target, FAR)
    assert found.source.tolist() == found.target.tolist() == list(range(1000))


def test_frames_lost_on_either_side_are_left_out() -> None:
    shots = camera(300, content="frozen")
    ours, theirs, _ = matched(
        [shot for shot in shots if shot.id not in (50, 51, 120)],
        [shot for shot in shots if shot.id not in (52, 121, 200)],
        Wrong(4_000_000),
    )
    assert ours == theirs == sorted(set(range(300)) - {50, 51, 52, 120, 121, 200})


def test_sound_is_matched_beside_its_video() -> None:
    video, audio = camera(200), sound(400, silent=True)
    ours, theirs, _ = matched([*video[50:], *audio[100:]], [*video[:150], *audio[:300]], Wrong(7 * S))
    assert ours == theirs
    assert sorted(ours) == [*range(50, 150), *range(10_000_100, 10_000_300)]


def test_trusted_clocks_are_not_overruled_by_a_long_loop() -> None:
    shots = camera(1000, content="loop", loop=500)
    source, _ = table_of(shots[500:750])
    target, _ = table_of(shots[0:400])
    ours, theirs = line_of(source, 1), line_of(target, 1)
    trusted = Prior(window_ns=10 * MINUTE, near_ns=50_000_000, trusted=True)
    assert find_offset(ours, theirs, trusted) is None


@st.composite
def lists(draw: st.DrawFn) -> tuple[list[int], list[int], list[int], list[int], int]:
    def side() -> tuple[list[int], list[int]]:
        times = sorted(draw(st.lists(st.integers(0, 60), max_size=12)))
        return times, [draw(st.integers(0, 3)) for _ in times]

    source, target = side(), side()
    return (*source, *target, draw(st.integers(0, 9)))


@given(lists())
def test_a_walk_pairs_what_is_equal_near_and_in_order(given_lists: tuple) -> None:
    source_ns, source, target_ns, target, tolerance_ns = given_lists
    left, right = walk(source_ns, source, target_ns, target, tolerance_ns)
    assert left == sorted(set(left))
    assert right == sorted(set(right))
    for i, j in zip(left, right, strict=True):
        assert source[i] == target[j]
        assert abs(source_ns[i] - target_ns[j]) <= tolerance_ns


@given(
    st.lists(st.integers(0, 3), min_size=1, max_size=30),
    st.sets(st.integers(0, 29)),
    st.sets(st.integers(0, 29)),
    st.integers(-17_000_000, 17_000_000),
)
def test_an_even_stream_is_paired_without_a_walk_as_with_one(
    digests: list[int], lost: set[int], also: set[int], noise_ns: int
) -> None:
    def side(missing: set[int], shift_ns: int) -> tuple[list[int], list[int]]:
        kept = [place for place in range(len(digests)) if place not in missing]
        return [T0_NS + place * STEP_NS + shift_ns for place in kept], [digests[place] for place in kept]

    (ours, mine), (there, theirs) = side(lost, 0), side(also, noise_ns)
    tolerance_ns = 18_000_000
    left, right = walk(ours, mine, there, theirs, tolerance_ns)
    tables = []
    for times, values in ((ours, mine), (there, theirs)):
        frames, _ = table_of([])
        frames = np.zeros(len(times), frames.dtype)
        frames["time_ns"], frames["digest"], frames["track"] = times, values, 1
        tables.append(line_of(frames, 1))
    fast = pair_up(*tables, tolerance_ns)
    assert (fast[0].tolist(), fast[1].tolist()) == (left, right)
    common = [place for place in range(len(digests)) if place not in lost | also]
    assert [round((ours[i] - T0_NS) / STEP_NS) for i in left] == common


def test_near_is_the_default_guess() -> None:
    assert Prior().near_ns == NEAR_NS
