"""Merges of real surveillance footage: with sound, with B-frames, with single losses, and looped."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from merge_film import Film, Recorder, clip_film, numbers, payloads, play
from merge_world import S, Wrong

from fovideo.media.codec import AUDIO_TRACK
from fovideo.merge import merge

CLIPS = Path(__file__).parents[3] / "shared" / "clips"
Make = Callable[[str], Recorder]

pytestmark = pytest.mark.skipif(not CLIPS.is_dir(), reason="no footage in ../shared")


def shows_all(recorder: Recorder, camera: Film) -> None:
    assert numbers(recorder.store) == [take.number for take in camera.takes]
    pictures, complaints = play(recorder.store)
    assert complaints == []
    assert [pictures[at] for at in sorted(pictures)] == [
        camera.pictures[at] for at in sorted(camera.pictures)
    ]


@pytest.mark.parametrize("offset_ns", [0, -41 * S])
def test_an_outage_with_sound(recorder: Make, offset_ns: int) -> None:
    camera, audio = clip_film(CLIPS / "car-detection.mp4", 240)
    server, spare = recorder("server"), recorder("spare")
    down, up = camera.takes[97].time_ns, camera.takes[151].time_ns
    server.record([*camera.part(0, 97), *(take for take in audio if take.time_ns < down)])
    server.record([*camera.part(151, 240), *(take for take in audio if take.time_ns >= up)])
    early, late = camera.takes[70].time_ns, camera.takes[200].time_ns
    spare.record(
        [*camera.part(70, 200), *(take for take in audio if early <= take.time_ns < late)],
        wrong=Wrong(offset_ns),
    )
    report = merge(spare.store, server.store).streams[0]
    assert (report.inserted_frames, report.missing, report.clock_offset_ns) == (54, (), -offset_ns)
    shows_all(server, camera)
    assert payloads(server.store, AUDIO_TRACK) == [take.payload for take in audio]
    again = merge(spare.store, server.store).streams[0]
    assert (again.inserted_frames, again.other_frames) == (0, 0)


@pytest.mark.parametrize("offset_ns", [0, 9 * S])
def test_b_frames_and_single_losses(recorder: Make, offset_ns: int) -> None:
    camera, _ = clip_film(CLIPS / "one-by-one-person-detection.mp4", 300)
    server, spare = recorder("server"), recorder("spare")
    server.record(camera.part(0, 133), lost=[12, 47, 48, 101])
    server.record(camera.part(188, 300), lost=[205, 250])
    spare.record(camera.part(0, 240), lost=[13, 60, 102, 204], wrong=Wrong(offset_ns))
    first = merge(spare.store, server.store).streams[0]
    assert first.conflicting_frames == 0
    assert sorted(numbers(server.store, decodable=False)) == [
        number for number in range(300) if number != 250
    ]
    assert merge(spare.store, server.store).streams[0].inserted_frames == 0
