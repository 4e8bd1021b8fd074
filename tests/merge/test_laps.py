"""A file of a scene that repeats was not received live: only its clock tells its lap, and nothing is lost for
that; what may be there already is kept, and told.
"""

from __future__ import annotations

import copy
import os
from collections import Counter
from collections.abc import Callable

import pytest
from merge_camera import STEP_NS
from merge_file_source import card_history, card_world, lacking, scarce
from merge_film import Recorder, film, held, numbers
from merge_world import Held, S, Shot, World, Wrong, camera

from fovideo.media.frames import Clock
from fovideo.merge import merge

COUNT = int(os.environ.get("FOVIDEO_HISTORIES", "200")) // 5
PORTIONS = 4
LAP = 150
FILE = Wrong(400_000_000, source=Clock.CONTAINER)


@pytest.mark.parametrize("portion", range(PORTIONS))
def test_no_card_of_a_random_world_loses_a_frame(portion: int) -> None:
    for seed in range(portion, COUNT, PORTIONS):
        world, shots, reach_ns = card_world(seed)
        server, card = world.timeline("server"), world.timeline("card")
        everything = set(server.ids()) | set(card.ids())
        merge(card, server)
        assert not lacking(server, (shots[each] for each in everything), reach_ns)[:5], seed
        before = server.ids()
        assert merge(card, server).streams[0].inserted_frames == 0, seed
        assert server.ids() == before, seed


@pytest.mark.parametrize("portion", range(PORTIONS))
def test_no_card_among_spares_loses_a_frame(portion: int) -> None:
    for seed in range(portion, COUNT // 4, PORTIONS):
        in_turn_and_by_way_of_the_last(seed)


@pytest.mark.parametrize(
    "seed",
    [
        pytest.param(11, id="a spare that overlaps a card is on the lap on which that was put"),
        pytest.param(23, id="another encode says nothing of a card's lap"),
        pytest.param(25, id="what of a card was in doubt on a spare still is"),
    ],
)
def test_what_a_card_among_spares_once_lost(seed: int) -> None:
    in_turn_and_by_way_of_the_last(seed)


def in_turn_and_by_way_of_the_last(seed: int) -> None:
    tale = card_history(seed)
    way, everything = copy.deepcopy(tale), set(tale.target.ids())
    for name in tale.sources:
        source = tale.world.timeline(name)
        everything |= set(source.ids())
        merge_twice(source, tale.target, [tale.shots[each] for each in everything], tale.label)
    *others, last = (way.world.timeline(name) for name in way.sources)
    for each in others:
        merge(each, last)
    merge_twice(last, way.target, [way.shots[each] for each in everything], way.label)


def merge_twice(source: Held, target: Held, wanted: list[Shot], label: str) -> None:
    """Nothing of what is wanted is lacking then, and the second time changes nothing."""
    merge(source, target)
    assert not scarce(target, wanted), label
    before = target.inserts
    merge(source, target)
    assert target.inserts == before, label


@pytest.mark.parametrize(
    "recorded",
    [
        pytest.param(
            [(160, 200), (200, 265), (363, 450)], id="a lap back is what ends where the file begins"
        ),
        pytest.param([(200, 265), (426, 458)], id="a lap on is what comes after the file"),
        pytest.param([(200, 265), (363, 388), (426, 458)], id="a lap on, and its own end"),
    ],
)
def test_an_unbroken_file_is_on_one_lap(recorded: list[tuple[int, int]]) -> None:
    world, shots = World(), camera(500, content="loop", loop=LAP)
    for start, stop in recorded:
        world.record("server", shots[start:stop])
    world.record("card", shots[200:390], wrong=FILE)
    server, card = world.timeline("server"), world.timeline("card")
    everything = set(server.ids()) | set(card.ids())
    report = merge(card, server).streams[0]
    assert server.ids(conflicts=False) == dict.fromkeys(everything, 1)
    assert report.conflicting_frames == 0
    assert report.possible_duplicate_frames == server.ids().total() - len(everything)
    times = server.times()
    assert all(abs(times[shot.id] - shot.time_ns) < 20_000_000 for shot in shots if shot.id in times)
    again = merge(card, server).streams[0]
    assert (again.inserted_frames, again.possible_duplicate_frames, again.conflicting_frames) == (0, 0, 0)


def test_where_pictures_move_nothing_is_in_doubt() -> None:
    world, shots = World(), camera(300)
    world.record("server", shots[:100])
    world.record("server", shots[130:220])
    world.record("card", shots[50:260], wrong=Wrong(-70 * S, source=Clock.CONTAINER))
    server, card = world.timeline("server"), world.timeline("card")
    report = merge(card, server).streams[0]
    assert server.ids() == dict.fromkeys(range(260), 1)
    assert (report.possible_duplicate_frames, report.possible_duplicates) == (0, ())


@pytest.mark.parametrize(
    ("scene", "off_ns"),
    [
        pytest.param("loop", 400_000_000, id="a loop, 0.4 s"),
        pytest.param("loop", -1_300_000_000, id="a loop, 1.3 s back"),
        pytest.param("loop", 20 * STEP_NS, id="a loop, half a lap"),
        pytest.param("loop", 47 * STEP_NS, id="a loop, more than a lap"),
        pytest.param("still", -1_300_000_000, id="a still scene"),
    ],
)
def test_real_video_of_a_card_whose_clock_is_off(
    recorder: Callable[[str], Recorder], scene: str, off_ns: int
) -> None:
    shown, lap = film(140, scene=scene), 40 if scene == "loop" else 10
    server, card = recorder("server"), recorder("card")
    server.record(shown.part(0, 50))
    server.record(shown.part(80, 100))
    card.record(shown.part(30, 140), wrong=Wrong(off_ns, source=Clock.CONTAINER))
    report = merge(card.store, server.store).streams[0]
    found = Counter(number % lap for number in held(server.store))
    assert not Counter(number % lap for number in range(140)) - found
    assert report.conflicting_frames == 0
    kept = len(held(server.store)) - len(numbers(server.store))
    assert report.possible_duplicate_frames == kept
    again = merge(card.store, server.store).streams[0]
    assert (again.inserted_frames, again.possible_duplicate_frames) == (0, 0)


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
    assert numbers(server.store) == list(range(30, 105))
    assert merge(card.store, server.store).streams[0].inserted_frames == 0
