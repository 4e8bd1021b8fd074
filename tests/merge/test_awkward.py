"""Every awkward input of a merge, each with real footage, judged by the numbers inside the stream and by a
decoder.
"""

from __future__ import annotations

import pytest
from merge_film import Film, Recorder, documents, film, held, numbers, payloads, play, sound
from merge_heal import Make, decodes, heal, is_whole, outage, shows
from merge_world import S, Wrong

from fovideo.media.codec import AUDIO_TRACK, METADATA_TRACK, Codec
from fovideo.media.frames import Clock
from fovideo.merge import merge

MINUTE = 60 * S
TRUE = Wrong(source=Clock.SENDER_REPORT)


@pytest.mark.parametrize("codec", [Codec.H264, Codec.H265])
@pytest.mark.parametrize("b_frames", [0, 2])
@pytest.mark.parametrize("scene", ["moving", "still", "loop"])
def test_an_outage(recorder: Make, codec: Codec, b_frames: int, scene: str) -> None:
    camera = film(200, codec=codec, b_frames=b_frames, scene=scene)
    server, spare = outage(recorder, camera)
    (report,) = heal(server, spare)
    is_whole(server, camera)
    assert report.streams[0].missing == ()
    assert report.streams[0].conflicting_frames == report.streams[0].held_frames == 0


def test_the_scenes_repeat_byte_for_byte() -> None:
    for scene in ("still", "loop"):
        takes = film(200, scene=scene).takes
        assert len({take.digest for take in takes}) < len(takes) / 4


def test_the_judge_sees_a_missing_reference(recorder: Make) -> None:
    camera = film(60)
    server = recorder("server")
    server.record(camera.part(0, 60), lost=[33])
    with pytest.raises(AssertionError):
        is_whole(server, camera, [number for number in range(60) if number != 33])


@pytest.mark.parametrize("offset_ns", [-7 * MINUTE, -S, -70_000_000, 20_000_000, 3 * S, 4 * MINUTE])
@pytest.mark.parametrize("b_frames", [0, 2])
def test_a_clock_that_is_off(recorder: Make, offset_ns: int, b_frames: int) -> None:
    camera = film(200, b_frames=b_frames)
    server, spare = outage(recorder, camera, wrong=Wrong(offset_ns))
    (report,) = heal(server, spare)
    is_whole(server, camera)
    assert report.streams[0].clock_offset_ns == -offset_ns
    row = next(row for row in server.store.gops("gate") if row.shift_ns)
    assert row.shift_ns == server.store.provenances("gate")[row.provenance].correction.offset_ns == -offset_ns


@pytest.mark.parametrize("ppm", [-200, 200])
def test_a_clock_that_drifts(recorder: Make, ppm: int) -> None:
    camera = film(200)
    server, spare = outage(recorder, camera, wrong=Wrong(5 * S, ppm))
    heal(server, spare)
    is_whole(server, camera)


@pytest.mark.parametrize("scene", ["still", "loop"])
def test_a_clock_that_is_off_and_content_that_repeats(recorder: Make, scene: str) -> None:
    camera = film(200, scene=scene)
    server, spare = outage(recorder, camera, wrong=Wrong(130_000_000))
    heal(server, spare)
    is_whole(server, camera)


def test_a_server_whose_clock_was_set_while_it_was_down(recorder: Make) -> None:
    camera = film(200)
    server, spare = recorder("server"), recorder("spare")
    server.record(camera.part(0, 83))
    server.record(camera.part(141, 200), wrong=Wrong(40 * S))
    spare.record(camera.part(48, 172))
    heal(server, spare)
    is_whole(server, camera)


@pytest.mark.parametrize("scene", ["moving", "still"])
@pytest.mark.parametrize("step_ns", [-3 * S, 10 * S])
def test_a_camera_whose_clock_steps(recorder: Make, scene: str, step_ns: int) -> None:
    camera = film(200, scene=scene)
    server, spare = recorder("server"), recorder("spare")
    step = {"epoch_at": 100, "camera_step_ns": step_ns, "wrong": TRUE}
    server.record(camera.part(0, 120), lost=range(85, 95), **step)
    server.record(camera.part(141, 200), wrong=Wrong(step_ns, source=Clock.SENDER_REPORT))
    spare.record(camera.part(80, 172), **step)
    heal(server, spare)
    assert held(server.store) == list(range(200))
    decodes(server, camera)


@pytest.mark.parametrize("scene", ["moving", "still"])
def test_a_camera_that_reboots_and_restarts_its_clock(recorder: Make, scene: str) -> None:
    camera = film(200, scene=scene)
    server, spare = recorder("server"), recorder("spare")
    back = Wrong(-80 * 40_000_000, source=Clock.SENDER_REPORT)
    late = 3600 * S  # the reboot took an hour, but the camera's clock begins where it began before
    server.record(camera.part(0, 60), wrong=TRUE)
    server.record(camera.part(80, 120), wrong=back, received_ns=late)
    server.record(camera.part(160, 200), wrong=back, received_ns=late)
    spare.record(camera.part(100, 180), wrong=back, received_ns=late)
    heal(server, spare)
    expected = [*range(60), *range(80, 200)]
    assert held(server.store) == expected
    decodes(server, camera)


@pytest.mark.parametrize("reports", [True, False])
def test_a_loop_that_was_recorded_at_different_times(recorder: Make, reports: bool) -> None:
    """No lap is taken for another, whether sender reports tell the time or not."""
    camera = film(250, scene="loop")
    server, spare = recorder("server"), recorder("spare")
    clock = TRUE if reports else Wrong(12_000_000)
    server.record(camera.part(0, 30), wrong=Wrong(90_000_000))
    server.record(camera.part(150, 250), wrong=TRUE if reports else Wrong(3_000_000))
    spare.record(camera.part(37, 80), wrong=clock)
    spare.record(camera.part(80, 200), wrong=clock)
    heal(server, spare)
    assert held(server.store) == [*range(30), *range(37, 250)]
    assert numbers(server.store, decodable=False) == [*range(30), *range(37, 250)]
    decodes(server, camera)


@pytest.mark.parametrize("scene", ["moving", "still", "loop"])
@pytest.mark.parametrize("b_frames", [0, 2])
@pytest.mark.parametrize("late_ns", [10_000_000, 90_000_000, 140_000_000])
def test_a_session_that_ended_before_its_first_sender_report(
    recorder: Make, scene: str, b_frames: int, late_ns: int
) -> None:
    """Its times are those of receipt, and late; what is put beside it stands in its place all the same."""
    camera = film(200, scene=scene, b_frames=b_frames)
    server, spare = recorder("server"), recorder("spare")
    server.record(camera.part(0, 60), wrong=TRUE)
    server.record(camera.part(80, 110), wrong=Wrong(late_ns), received_ns=5_000_000 - late_ns)
    server.record(camera.part(150, 200), wrong=TRUE)
    spare.record(camera.part(40, 170), wrong=TRUE)
    heal(server, spare)
    is_whole(server, camera)


@pytest.mark.parametrize("scene", ["moving", "still"])
def test_machines_whose_clocks_are_minutes_apart(recorder: Make, scene: str) -> None:
    """The spare's machine is 100 s ahead; the camera says the same time to both."""
    camera = film(200, scene=scene)
    server, spare = recorder("server"), recorder("spare")
    server.record(camera.part(0, 60), wrong=TRUE)
    server.record(camera.part(80, 110), wrong=Wrong(90_000_000), received_ns=-85_000_000)
    server.record(camera.part(150, 200), wrong=TRUE)
    spare.record(camera.part(40, 170), wrong=TRUE, received_ns=100 * S)
    heal(server, spare)
    is_whole(server, camera)


def mid_gop(recorder: Make, camera: Film, *clocks: Wrong) -> tuple[Recorder, Recorder, Recorder]:
    """A server with a gap, and two spares that started mid-GOP and together have seen all of it."""
    server, first, second = recorder("server"), recorder("first"), recorder("second")
    server.record(camera.part(0, 64))
    server.record(camera.part(157, 200))
    first.record(camera.part(55, 118), wrong=clocks[0])
    second.record(camera.part(112, 163), wrong=clocks[1])
    return server, first, second


@pytest.mark.parametrize("reverse", [False, True])
def test_recorders_that_started_mid_gop_in_any_order(recorder: Make, reverse: bool) -> None:
    camera = film(200, b_frames=2)
    server, *spares = mid_gop(recorder, camera, Wrong(), Wrong())
    heal(server, *(reversed(spares) if reverse else spares))
    is_whole(server, camera)


def test_a_merge_by_way_of_another_spare(recorder: Make) -> None:
    camera = film(200, b_frames=2)
    server, first, second = mid_gop(recorder, camera, Wrong(2 * S), Wrong(-3 * S))
    heal(first, second)
    heal(server, first, second)
    is_whole(server, camera)


def test_what_does_not_decode_waits_for_what_it_continues(recorder: Make) -> None:
    camera = film(200)
    server, late, early = recorder("server"), recorder("late"), recorder("early")
    server.record(camera.part(0, 64))
    late.record(camera.part(95, 150))
    early.record(camera.part(60, 104))
    (report,) = heal(server, late)
    assert report.streams[0].held_frames == 5
    shows(server, camera, [*range(64), *range(100, 150)])
    assert len(report.streams[0].missing) == 1
    (closed,) = heal(server, early)
    assert closed.streams[0].missing == ()
    is_whole(server, camera, range(150))


def test_a_gap_that_cannot_be_closed_stays_one(recorder: Make) -> None:
    camera = film(200)
    server, spare = recorder("server"), recorder("spare")
    server.record(camera.part(0, 64))
    server.record(camera.part(140, 200))
    spare.record(camera.part(83, 150))
    (report,) = heal(server, spare)
    (gap,) = report.streams[0].missing
    assert gap.from_ns == camera.takes[64].time_ns
    assert gap.to_ns == camera.takes[90].time_ns
    shows(server, camera, [*range(64), *range(90, 200)])


@pytest.mark.parametrize("scene", ["moving", "still", "loop"])
@pytest.mark.parametrize("b_frames", [0, 2, 3])
def test_frames_that_each_side_lost_singly(recorder: Make, scene: str, b_frames: int) -> None:
    camera = film(200, scene=scene, b_frames=b_frames)
    server, spare = recorder("server"), recorder("spare")
    server.record(camera.part(0, 200), lost=[13, 37, 38, 71, 80, 112, 150, 199])
    spare.record(camera.part(0, 200), lost=[14, 39, 72, 90, 113, 151], wrong=Wrong(12_000_000))
    heal(server, spare)
    is_whole(server, camera)


@pytest.mark.parametrize("spares", [2, 3, 5])
def test_spares_that_hold_overlapping_parts(recorder: Make, spares: int) -> None:
    camera = film(300)
    server = recorder("server")
    server.record(camera.part(0, 43))
    server.record(camera.part(271, 300))
    others = []
    for number in range(spares):
        others.append(recorder(f"spare-{number}"))
        others[-1].record(
            camera.part(30 + number * 220 // spares, 60 + (number + 1) * 230 // spares),
            wrong=Wrong((number - 2) * 11 * S),
        )
    heal(server, *others)
    is_whole(server, camera)


def test_a_spare_that_stood_in_twice(recorder: Make) -> None:
    camera = film(300)
    server, spare = recorder("server"), recorder("spare")
    for part in ((0, 61), (104, 187), (233, 300)):
        server.record(camera.part(*part))
    spare.record(camera.part(47, 115), wrong=Wrong(S))
    spare.record(camera.part(171, 244), wrong=Wrong(-S))
    heal(server, spare)
    is_whole(server, camera)


def test_a_spare_that_lost_its_connection_in_the_gap(recorder: Make) -> None:
    camera = film(300)
    server, spare = recorder("server"), recorder("spare")
    server.record(camera.part(0, 61))
    server.record(camera.part(250, 300))
    wrong = Wrong(2 * MINUTE)
    for part in ((47, 110), (110, 170), (175, 262)):
        spare.record(camera.part(*part), wrong=wrong)
    (report,) = heal(server, spare)
    assert report.streams[0].clock_offset_ns == -2 * MINUTE
    assert numbers(server.store, decodable=False) == [*range(170), *range(175, 300)]
    shows(server, camera, [*range(170), *range(180, 300)])


def test_parameters_that_change_in_the_gap(recorder: Make) -> None:
    small, large = film(100), film(100, size=(128, 96), first=100)
    camera = Film((*small.takes, *large.takes), {**small.pictures, **large.pictures})
    server, spare = outage(recorder, camera)
    heal(server, spare)
    is_whole(server, camera)


def test_another_encoder_is_cut_once_at_a_keyframe(recorder: Make) -> None:
    camera, other = film(200), film(200, gop=15, quality=30)
    server, spare = recorder("server"), recorder("spare")
    server.record(camera.part(0, 83))
    server.record(camera.part(140, 200))
    spare.record(other.part(48, 172))
    (report,) = heal(server, spare)
    stream = report.streams[0]
    assert stream.conflicting_frames == 35 + 32
    assert numbers(server.store) == [*range(83), *range(90, 200)]
    assert play(server.store)[1] == []
    kept = sum(row.frames for row in server.store.gops("gate"))
    assert kept == 83 + 60 + (172 - 48)


def test_a_conflict_is_reported_again_and_inserted_once(recorder: Make) -> None:
    camera, other = film(60), film(60, gop=15, quality=30)
    server, spare = recorder("server"), recorder("spare")
    server.record(camera.part(0, 60))
    spare.record(other.part(0, 60))
    (report,) = heal(server, spare)
    again = merge(spare.store, server.store).streams[0]
    assert report.streams[0].conflicting_frames == again.conflicting_frames == 60
    assert report.streams[0].inserted_frames == again.inserted_frames == 0
    is_whole(server, camera)


def test_sound_and_metadata_follow_their_video(recorder: Make) -> None:
    camera, audio, notes = film(200), sound(400), documents(40)
    server, spare = recorder("server"), recorder("spare")
    server.record([*camera.part(0, 83), *audio[:166], *notes[:17]])
    server.record([*camera.part(141, 200), *audio[282:], *notes[28:]])
    spare.record([*camera.part(48, 172), *audio[96:344], *notes[9:35]], wrong=Wrong(-9 * S))
    heal(server, spare)
    is_whole(server, camera)
    assert payloads(server.store, AUDIO_TRACK) == [take.payload for take in audio]
    assert payloads(server.store, METADATA_TRACK) == [take.payload for take in notes]


def test_sound_that_the_target_lacks_is_not_lost_where_it_has_the_video(recorder: Make) -> None:
    camera, audio = film(100), sound(200)
    server, spare = recorder("server"), recorder("spare")
    server.record([*camera.part(0, 100), *audio], lost=range(1_000_060, 1_000_100))
    spare.record([*camera.part(20, 80), *audio[40:160]], wrong=Wrong(S))
    (report,) = heal(server, spare)
    assert (report.streams[0].inserted_frames, report.streams[0].other_frames) == (0, 40)
    is_whole(server, camera)
    assert payloads(server.store, AUDIO_TRACK) == [take.payload for take in audio]


def test_sound_tells_the_clock_where_the_picture_stands_still(recorder: Make) -> None:
    camera, audio = film(200, scene="still"), sound(400)
    server, spare = recorder("server"), recorder("spare")
    server.record([*camera.part(0, 83), *audio[:166]])
    server.record([*camera.part(141, 200), *audio[282:]])
    spare.record([*camera.part(48, 172), *audio[96:344]], wrong=Wrong(33 * S))
    (report,) = heal(server, spare)
    assert report.streams[0].clock_offset_ns == -33 * S
    is_whole(server, camera)
