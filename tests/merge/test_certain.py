"""A frame is there only if it is, whatever of what clocks leave open is true."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from merge_site import Site, once
from merge_world import S, Wrong, camera

from fovideo.media.frames import Clock
from fovideo.merge import merge
from fovideo.merge.placing.certain import certain, is_refuted, most_once
from fovideo.merge.placing.laps import FEW
from fovideo.merge.states import CLASH, DOUBT, KEPT, MAYBE, NEW, THERE
from fovideo.timeline.values import Splice

HELD = (THERE, KEPT, DOUBT)
STATES = st.lists(st.sampled_from([NEW, THERE, CLASH, KEPT, DOUBT]), min_size=FEW, max_size=FEW)


@given(STATES, st.lists(st.tuples(STATES, st.booleans()), max_size=3))
def test_what_comes_again_is_left_out_only_if_all_that_is_possible_says_so(
    believed: list[int], others: list[tuple[list[int], bool]]
) -> None:
    told = [({0: np.array(states, np.uint8)}, likely) for states, likely in others]
    result = certain({0: np.array(believed, np.uint8)}, told, {0: np.ones(FEW, bool)})[0].tolist()
    for at, (before, after) in enumerate(zip(believed, result, strict=True)):
        lacks = any(states[at] not in HELD for states, _ in others)
        holds = any(states[at] in HELD and likely for states, likely in others)
        if before in HELD:
            assert after == (DOUBT if lacks else before)
        else:
            assert after == (MAYBE if holds else before)


@given(STATES, STATES)
def test_what_comes_but_once_is_never_in_doubt(believed: list[int], other: list[int]) -> None:
    before, told = {0: np.array(believed, np.uint8)}, [({0: np.array(other, np.uint8)}, True)]
    assert certain(before, told, {0: np.zeros(FEW, bool)})[0].tolist() == believed


def test_what_comes_but_once_refutes_another() -> None:
    before, other = {0: np.full(FEW + 1, THERE)}, {0: np.full(FEW + 1, NEW)}
    assert is_refuted(other, before, {0: np.arange(FEW + 1) == FEW})
    assert not is_refuted(other, before, {0: np.arange(FEW + 1) >= FEW - 1})


def test_what_makes_more_frames_the_same_that_come_but_once_is_believed() -> None:
    again, sound = np.ones(3 * FEW, bool), slice(2 * FEW, None)
    again[sound] = False
    first = np.array([THERE] * 2 * FEW + [NEW] * FEW, np.uint8)
    second = np.array([NEW] * 2 * FEW + [THERE] * FEW, np.uint8)
    assert most_once([{0: first}, {0: second}], {0: again}) == 1
    second[-1] = NEW
    assert most_once([{0: first}, {0: second}], {0: again}) == 0


def test_of_a_still_scene_after_a_restart_nothing_is_lost() -> None:
    """By the camera's clock, 345 to 399 are 57 to 111, which the server holds: nothing tells that it did not
    hear these.
    """
    shots, site = camera(400, gop=12, content="still"), Site()
    before, after = Wrong(source=Clock.SENDER_REPORT), Wrong(-288 * 40_000_000, source=Clock.SENDER_REPORT)
    site.hears("server", shots[30:259], before, ahead_ns=-33 * S)
    site.hears("first", shots[38:245], before, ahead_ns=-158 * S)
    site.hears("first", shots[345:400], after, ahead_ns=-158 * S)
    found = site.merged("first")
    assert found.keys() == once(range(30, 259), range(345, 400)).keys()
    server = site.timeline("server")
    assert server.ids(doubtful=False) == once(range(30, 259))
    report = merge(site.timeline("first"), server).streams[0]
    assert report.inserted_frames == 0
    assert server.ids() == found
    told = [each for each in server._provenances.values() if each.inserted_from]
    assert told
    assert all(each.splice & Splice.GUESSED for each in told)
