"""A file of a looped camera was not received live: its frames keep their order, and the file its lap."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest
from merge_film import Recorder, film, numbers
from merge_world import S, World, Wrong, camera

from fovideo.media.frames import Clock
from fovideo.merge import merge
from fovideo.merge.chain import Link, chained

LAP = 150
FILE = Wrong(400_000_000, source=Clock.CONTAINER)


@pytest.mark.parametrize(
    "held",
    [
        pytest.param(
            [(160, 200), (200, 265), (363, 450)], id="a lap back is what ends where the file begins"
        ),
        pytest.param([(200, 265), (426, 458)], id="a lap on is what comes after the file"),
        pytest.param([(200, 265), (363, 388), (426, 458)], id="a lap on, and its own end"),
    ],
)
def test_an_unbroken_file_is_on_one_lap(held: list[tuple[int, int]]) -> None:
    world, shots = World(), camera(500, content="loop", loop=LAP)
    for start, stop in held:
        world.record("server", shots[start:stop])
    world.record("card", shots[200:390], wrong=FILE)
    server, card = world.timeline("server"), world.timeline("card")
    everything = set(server.ids()) | set(card.ids())
    report = merge(card, server).streams[0]
    assert server.ids() == dict.fromkeys(everything, 1)
    assert report.conflicting_frames == 0
    times = server.times()
    assert all(abs(times[shot.id] - shot.time_ns) < 20_000_000 for shot in shots if shot.id in times)
    assert merge(card, server).streams[0].inserted_frames == 0


def test_a_file_of_real_video_closes_the_gap_between_two_sessions(
    recorder: Callable[[str], Recorder],
) -> None:
    shown = film(105, scene="loop")
    server, card = recorder("server"), recorder("card")
    server.record(shown.part(30, 60), epoch_at=40)
    server.record(shown.part(85, 105))
    card.record(shown.part(40, 92), wrong=FILE)
    report = merge(card.store, server.store).streams[0]
    assert (report.inserted_frames, report.missing) == (25, ())
    assert Counter(numbers(server.store)) == Counter(range(30, 105))
    assert merge(card.store, server.store).streams[0].inserted_frames == 0


def link(start_s: float, end_s: float, offset_s: float, matched: int) -> Link:
    middle_ns = round((start_s + end_s) / 2 * S)
    return Link(round(start_s * S), round(end_s * S), [(middle_ns, round(offset_s * S))], matched)


def test_of_matches_that_contradict_each_other_those_with_most_frames_are_believed() -> None:
    first, back, last = link(0, 13, 0.4, 157), link(24, 31, -31, 200), link(33, 39, 0.4, 69)
    assert chained([back, first, last], 2 * S, round(31.4 * S)) == [False, True, True]
    assert chained([first, link(13, 20, 31.8, 90)], 2 * S, round(31.4 * S)) == [True, False]
    assert chained([first, link(13, 20, 9, 90)], 2 * S, round(31.4 * S)) == [True, True]
    assert chained([first, link(5, 8, 9, 20)], 2 * S, 0) == [True, False]
    assert chained([first, link(20, 25, -5, 20)], 2 * S, 0) == [True, True]
    assert chained([], 0, 0) == []
