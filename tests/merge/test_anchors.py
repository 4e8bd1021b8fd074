"""What stretches of frames in common say of a run's clock: by hand, and for any stretches."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fovideo.merge.placing.anchors import Stretch, anchors_of

MS = 1_000_000


def stretch(first: int, last: int, offset: int, *, leading: bool = True, step: int = 40) -> Stretch:
    """Frames at these ms, each `step` ms, at one offset in ms."""
    return Stretch(np.arange(first, last + 1, step) * MS, (offset * MS, offset * MS), leading)


def anchors(*stretches: Stretch) -> list[tuple[int, int]]:
    return [(time_ns // MS, offset_ns // MS) for time_ns, offset_ns in anchors_of(stretches)]


def test_a_seam_where_frames_are_reordered_is_told_once() -> None:
    found = anchors(stretch(0, 2000, 0), stretch(1960, 2960, 865))
    assert found == [(0, 0), (2000, 0), (2040, 865), (2960, 865)]


def test_metadata_says_nothing_where_there_is_video() -> None:
    notes = stretch(0, 40_000, -700, leading=False, step=200)
    assert anchors(notes, stretch(10_000, 20_000, 0)) == [
        (0, -700),
        (9800, -700),
        (10_000, 0),
        (20_000, 0),
        (20_200, -700),
        (40_000, -700),
    ]


def test_a_pause_of_a_stretch_is_not_told_by_it_if_another_tells() -> None:
    paused = Stretch(np.concatenate([np.arange(0, 2000, 40), np.arange(6000, 9000, 40)]) * MS, (0, 0), True)
    assert anchors(paused) == [(0, 0), (8960, 0)]
    assert anchors(paused, stretch(3000, 4000, 5)) == [
        (0, 0),
        (1960, 0),
        (3000, 5),
        (4000, 5),
        (6000, 0),
        (8960, 0),
    ]


def test_a_part_of_a_stretch_keeps_its_offsets_there() -> None:
    drifting = Stretch(np.arange(0, 4001, 40) * MS, (0, 4 * MS), True)
    found = anchors_of([drifting, stretch(3000, 9000, 50)])
    assert found[1] == (2960 * MS, round(2.96 * MS))


@given(
    st.lists(
        st.tuples(
            st.lists(st.integers(0, 60), min_size=1, max_size=40, unique=True),
            st.integers(-5, 5),
            st.booleans(),
        ),
        max_size=6,
    )
)
def test_every_instant_is_told_once(made: list[tuple[list[int], int, bool]]) -> None:
    given_stretches = [
        Stretch(np.array(sorted(places)) * 40 * MS, (offset * MS, offset * MS), leading)
        for places, offset, leading in made
    ]
    found = anchors_of(given_stretches)
    assert all(after[0] >= before[0] for before, after in pairwise(found))
    video = [each for each in given_stretches if each.leading]
    most = max((len(each.times_ns) for each in video), default=0)
    if most and sum(len(each.times_ns) == most for each in video) == 1:  # the best one says all that it knew
        best = next(each for each in video if len(each.times_ns) == most)
        assert {*best.anchors} <= set(found)
