"""Lines taken from frame tables and compared by compiled code: the same as plainly with numpy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fovideo.media.frames import FRAME, FrameFlag, FrameTable, joined, picked
from fovideo.merge import _lines
from fovideo.merge.line import COVERED, Line, covered, line_of
from fovideo.merge.placing.offset import partners

times = st.lists(st.integers(0, 60), max_size=20)


def table(times_ns: list[int], seed: int) -> FrameTable:
    chance = np.random.default_rng(seed)
    frames = np.zeros(len(times_ns), FRAME)
    frames["time_ns"] = times_ns
    frames["dts_ns"] = np.sort(times_ns)
    frames["digest"] = chance.integers(0, 3, len(frames))
    frames["track"] = chance.integers(1, 3, len(frames))
    frames["flags"] = chance.integers(0, 4, len(frames))
    return frames


@given(times, st.integers(0, 99), st.integers(1, 3))
def test_a_line_is_its_track_by_presentation(times_ns: list[int], seed: int, step: int) -> None:
    frames = table(times_ns, seed)[::step]
    line = line_of(frames, 1)
    index = np.flatnonzero(frames["track"] == 1)
    index = index[np.argsort(frames["time_ns"][index], kind="stable")]
    assert line.index.tolist() == index.tolist()
    assert line.time_ns.tolist() == frames["time_ns"][index].tolist()
    assert line.digest.tolist() == frames["digest"][index].tolist()
    assert line.key.tolist() == (frames["flags"][index] & FrameFlag.KEY != 0).tolist()


def plain_partners(source: Line, target: Line, tolerance_ns: int) -> list[int]:
    found = []
    for at_ns, digest in zip(source.time_ns.tolist(), source.digest.tolist(), strict=True):
        after = int(np.searchsorted(target.time_ns, at_ns))
        near = [
            (abs(int(target.time_ns[place]) - at_ns), place)
            for place in (after - 1, after)
            if 0 <= place < len(target) and target.digest[place] == digest
        ]
        best = min(near, default=(tolerance_ns + 1, -1))
        found.append(best[1] if best[0] <= tolerance_ns else -1)
    return found


@given(times, times, st.integers(0, 99), st.integers(0, 8))
def test_partners_are_neighbours_with_the_same_digest(
    ours: list[int], theirs: list[int], seed: int, tolerance_ns: int
) -> None:
    source, target = line_of(table(ours, seed), 1), line_of(table(theirs, seed + 1), 1)
    assert partners(source, target, tolerance_ns).tolist() == plain_partners(source, target, tolerance_ns)


@given(times, times, st.integers(0, 8), st.integers(1, 8))
def test_covered_is_between_close_neighbours_or_near_one(
    at: list[int], times_ns: list[int], reach_ns: int, interval_ns: int
) -> None:
    held = sorted(times_ns)
    frames = table(held, 0)
    frames["track"] = 1
    expected = []
    for at_ns in at:
        after = int(np.searchsorted(held, at_ns))
        between = 0 < after < len(held) and held[after] - held[after - 1] <= COVERED * interval_ns
        expected.append(between or any(abs(each - at_ns) <= reach_ns for each in held))
    found = covered(np.array(at, np.int64), line_of(frames, 1), reach_ns, interval_ns)
    assert found.tolist() == expected


@given(times, st.integers(0, 99))
def test_whole_rows_are_copied(times_ns: list[int], seed: int) -> None:
    frames = table(times_ns, seed)
    chosen = frames["track"] == 1
    assert picked(frames, chosen).tobytes() == frames[chosen].tobytes()
    back = np.arange(len(frames))[::-1]
    assert picked(frames, back).tobytes() == frames[back].tobytes()
    both = joined([frames, picked(frames, chosen)])
    assert both.tobytes() == frames.tobytes() + frames[chosen].tobytes()
    both["time_ns"] += 1  # a copy that may be changed
    assert frames["time_ns"].tolist() == times_ns


def test_what_does_not_fit_is_refused() -> None:
    frames, numbers, digests = table([1, 2], 0), np.zeros(2, np.int64), np.zeros(2, np.uint64)
    with pytest.raises(ValueError, match="no room for 2 frames"):
        _lines.line(frames, 1, 1, numbers, digests, numbers[:1], np.zeros(2, np.uint8))
    with pytest.raises(ValueError, match="not a frame table"):
        _lines.line(numbers, 1, 1, numbers, digests, numbers, np.zeros(2, np.uint8))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="different lengths"):
        _lines.partners(numbers, digests[:1], numbers, digests, 1, numbers)
    with pytest.raises(ValueError, match="different lengths"):
        _lines.covered(numbers, numbers, 1, 1, np.zeros(3, np.uint8))
