"""Cutting batches: the quick way and the frame-by-frame way agree, and every piece is one row's."""

from __future__ import annotations

import itertools

import pytest
from footage import AUDIO, FRAME_NS, T0_NS, VIDEO, joined, sound, video
from hypothesis import given
from hypothesis import strategies as st

from fovideo.media.frames import summary
from fovideo.store import breaks
from fovideo.store.breaks import Tail, breaks_row, cut, primary_track
from fovideo.times import NS_PER_S

tails = st.one_of(
    st.none(),
    st.builds(
        Tail,
        epoch=st.sampled_from([0, 1]),
        start_ns=st.sampled_from([T0_NS - 70 * NS_PER_S, T0_NS - NS_PER_S, T0_NS]),
        last_ns=st.sampled_from([T0_NS - 6 * NS_PER_S, T0_NS - FRAME_NS, T0_NS, T0_NS + 9 * NS_PER_S]),
        primary=st.booleans(),
    ),
)


@given(tails, st.integers(0, 3), st.integers(1, 200), st.sampled_from([1, 9, 25, 1000]), st.booleans())
def test_both_ways_of_cutting_agree(tail: Tail | None, first: int, count: int, gop: int, more: bool) -> None:
    frames, _ = joined(video(first, count, gop=gop), sound(0, 10)) if more else video(first, count, gop=gop)
    with pytest.MonkeyPatch.context() as patch:
        quick = cut(tail, frames, 0, VIDEO, summary(frames, VIDEO.id))
        patch.setattr(breaks, "_is_plain", lambda *_: False)
        assert cut(tail, frames, 0, VIDEO, summary(frames, VIDEO.id)) == quick


@given(tails, st.integers(0, 3), st.integers(1, 200), st.sampled_from([1, 9, 25, 1000]))
def test_each_piece_but_the_first_begins_a_row(tail: Tail | None, first: int, count: int, gop: int) -> None:
    frames, _ = video(first, count, gop=gop)
    cuts = cut(tail, frames, 0, VIDEO, summary(frames, VIDEO.id))
    starts = [0, *cuts, len(frames)]
    for left, right in itertools.pairwise(starts):
        piece = frames[left:right]
        if left:
            assert breaks_row(tail, summary(piece, VIDEO.id), 0, VIDEO)
        if tail is None or breaks_row(tail, summary(piece, VIDEO.id), 0, VIDEO) or not tail.primary:
            tail = Tail(0, int(piece["dts_ns"][0]), int(piece["dts_ns"][0]), True)
        for frame in range(1, len(piece)):
            assert not breaks_row(tail, summary(piece[frame : frame + 1], VIDEO.id), 0, VIDEO)
            tail.last_ns = max(tail.last_ns, int(piece["dts_ns"][frame]))


def test_the_track_that_counts() -> None:
    assert primary_track((AUDIO, VIDEO)) == VIDEO
    assert primary_track((AUDIO,)) == AUDIO
    frames, _ = sound(0, 10)
    assert cut(None, frames, 0, VIDEO, summary(frames, VIDEO.id)) == []
    assert not breaks_row(Tail(0, T0_NS, T0_NS, True), summary(frames, VIDEO.id), 0, VIDEO)
    assert breaks_row(None, summary(frames, VIDEO.id), 0, VIDEO)
