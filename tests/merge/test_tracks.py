"""Sound and metadata beside real video, and without any: each goes where its video goes, and is told apart in
its own terms. Judged by the numbers inside the pictures, and by payloads.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from merge_film import Film, Recorder, Take, documents, film, numbers, sound
from merge_heal import Make, heal, is_whole
from merge_world import S, Wrong

from fovideo.media.codec import AUDIO_TRACK, METADATA_TRACK, Codec
from fovideo.media.frames import Clock
from fovideo.merge import merge
from fovideo.replay import read_packets
from fovideo.store.describe import gaps

TRUE = Wrong(source=Clock.SENDER_REPORT)
OFF = Wrong(-9 * S)


def beside(recorder: Recorder, track: int) -> list[tuple[int, Codec, bytes]]:
    """Time, codec and payload of each frame of a track, as a reader gets them."""
    return [
        (packet.time_ns, next(each.codec for each in packet.tracks if each.id == track), packet.payload)
        for packet in read_packets(recorder.store, "gate", tracks=[track])
    ]


def sent(takes: Sequence[Take]) -> list[tuple[int, Codec, bytes]]:
    return [(take.time_ns, take.track.codec, take.payload) for take in takes]


def test_a_spare_that_records_no_sound(recorder: Make) -> None:
    camera, audio, notes = film(200), sound(400), documents(40)
    server, spare = recorder("server"), recorder("spare")
    server.record([*camera.part(0, 83), *audio[:166], *notes[:17]])
    server.record([*camera.part(141, 200), *audio[282:], *notes[29:]])
    spare.record(camera.part(48, 172), wrong=OFF)
    heal(server, spare)
    is_whole(server, camera)
    assert beside(server, AUDIO_TRACK) == sent([*audio[:166], *audio[282:]])
    assert beside(server, METADATA_TRACK) == sent([*notes[:17], *notes[29:]])


def test_a_server_that_records_no_sound(recorder: Make) -> None:
    """It has the video of much of it; the sound comes beside that, whatever the spare's clock says."""
    camera, audio, notes = film(200), sound(400), documents(40)
    server, spare = recorder("server"), recorder("spare")
    server.record(camera.part(0, 83))
    server.record(camera.part(141, 200))
    spare.record([*camera.part(48, 172), *audio[96:344], *notes[10:35]], wrong=OFF)
    (report,) = heal(server, spare)
    assert report.streams[0].other_frames == 344 - 96 + 25
    is_whole(server, camera)
    assert beside(server, AUDIO_TRACK) == sent(audio[96:344])
    assert beside(server, METADATA_TRACK) == sent(notes[10:35])


def test_sound_that_begins_later(recorder: Make) -> None:
    """A microphone that is switched on in the gap, and off behind it."""
    camera, audio = film(200), sound(400)
    heard = audio[220:320]
    server, spare = recorder("server"), recorder("spare")
    server.record(camera.part(0, 83))
    server.record([*camera.part(141, 200), *heard[62:]])
    spare.record([*camera.part(48, 172), *heard], wrong=OFF)
    (report,) = heal(server, spare)
    assert report.streams[0].other_frames == 62
    is_whole(server, camera)
    assert beside(server, AUDIO_TRACK) == sent(heard)


@pytest.mark.parametrize("change", [100, 140])
def test_sound_whose_codec_changes_in_the_gap(recorder: Make, change: int) -> None:
    camera = film(200)
    audio = [*sound(400)[: 2 * change], *sound(400, Codec.PCMA)[2 * change :]]
    server, spare = recorder("server"), recorder("spare")
    server.record([*camera.part(0, 83), *audio[:166]])
    server.record([*camera.part(141, 200), *audio[282:]])
    spare.record([*camera.part(48, 172), *audio[96:344]], wrong=OFF)
    heal(server, spare)
    is_whole(server, camera)
    assert beside(server, AUDIO_TRACK) == sent(audio)


def test_sound_and_metadata_where_the_size_of_the_picture_changes(recorder: Make) -> None:
    small, large = film(110), film(90, size=(128, 96), first=110)
    camera = Film((*small.takes, *large.takes), {**small.pictures, **large.pictures})
    audio, notes = sound(400), documents(40)
    server, spare = recorder("server"), recorder("spare")
    server.record([*camera.part(0, 83), *audio[:166], *notes[:17]])
    server.record([*camera.part(141, 200), *audio[282:], *notes[29:]])
    spare.record([*camera.part(48, 172), *audio[96:344], *notes[10:35]], wrong=OFF)
    heal(server, spare)
    is_whole(server, camera)
    assert beside(server, AUDIO_TRACK) == sent(audio)
    assert beside(server, METADATA_TRACK) == sent(notes)


@pytest.mark.parametrize("scene", ["moving", "still"])
def test_the_camera_s_clock_steps_and_the_server_lacks_the_sound(recorder: Make, scene: str) -> None:
    """Sound and metadata of either side of the step lie beside the video of their time."""
    camera, audio, notes = film(200, scene=scene), sound(400), documents(40)
    server, spare = recorder("server"), recorder("spare")
    server.record(camera.part(0, 200), wrong=TRUE, epoch_at=110, camera_step_ns=5 * S)
    spare.record(
        [*camera.part(20, 180), *audio[40:360], *notes[4:36]],
        wrong=TRUE,
        epoch_at=110,
        camera_step_ns=5 * S,
    )
    (report,) = heal(server, spare)
    assert (report.streams[0].inserted_frames, report.streams[0].other_frames) == (0, 320 + 32)
    assert numbers(server.store) == list(range(200))
    for track, takes in ((AUDIO_TRACK, audio[40:360]), (METADATA_TRACK, notes[4:36])):
        step_ns = [5 * S * (take.time_ns >= camera.takes[110].time_ns) for take in takes]
        assert [time_ns for time_ns, *_ in beside(server, track)] == [
            take.time_ns + by_ns for take, by_ns in zip(takes, step_ns, strict=True)
        ]


def test_the_sound_of_another_encode_is_there_once(recorder: Make) -> None:
    """A spare pulls the small stream of a camera: another video, the same sound."""
    camera, other, audio, notes = film(200), film(200, gop=15, quality=30), sound(400), documents(40)
    server, spare = recorder("server"), recorder("spare")
    server.record([*camera.part(0, 83), *audio[:166], *notes[:17]])
    server.record([*camera.part(140, 200), *audio[280:], *notes[28:]])
    spare.record([*other.part(48, 172), *audio[96:344], *notes[10:35]], wrong=Wrong(S))
    (report,) = heal(server, spare)
    assert report.streams[0].conflicting_frames == 35 + 32
    assert beside(server, AUDIO_TRACK) == sent(audio)
    assert beside(server, METADATA_TRACK) == sent(notes)


@pytest.mark.parametrize("wrong", [TRUE, OFF])
def test_a_stream_of_metadata_alone(recorder: Make, wrong: Wrong) -> None:
    notes = documents(300)
    server, spare = recorder("server"), recorder("spare")
    server.record(notes[:100], wrong=TRUE)
    server.record(notes[170:], wrong=TRUE)
    spare.record(notes[40:230], wrong=wrong)
    (report,) = heal(server, spare)
    assert report.streams[0].inserted_frames == 70
    assert beside(server, METADATA_TRACK) == sent(notes)


def test_a_stream_of_sound_and_metadata(recorder: Make) -> None:
    audio, notes = sound(400), documents(40)
    server, spare = recorder("server"), recorder("spare")
    server.record([*audio[:120], *notes[:12]])
    server.record([*audio[240:], *notes[24:]])
    spare.record([*audio[80:320], *notes[8:32]], wrong=OFF)
    heal(server, spare)
    assert beside(server, AUDIO_TRACK) == sent(audio)
    assert beside(server, METADATA_TRACK) == sent(notes)


def test_metadata_of_a_camera_of_which_a_third_records_nothing_else(recorder: Make) -> None:
    """A third recorder holds the documents alone; they fill what the others lack of them."""
    camera, notes = film(200), documents(40)
    server, spare, third = recorder("server"), recorder("spare"), recorder("third")
    server.record([*camera.part(0, 83), *notes[:17]], wrong=TRUE)
    server.record([*camera.part(141, 200), *notes[29:]], wrong=TRUE)
    spare.record(camera.part(48, 172), wrong=TRUE)
    third.record(notes, wrong=TRUE)
    heal(server, spare, third)
    is_whole(server, camera)
    assert beside(server, METADATA_TRACK) == sent(notes)
    assert merge(third.store, server.store).streams[0].other_frames == 0


@pytest.mark.parametrize("takes", [documents(40), sound(400)], ids=["metadata", "sound"])
def test_what_comes_without_its_video_closes_no_gap(recorder: Make, takes: Sequence[Take]) -> None:
    camera, track = film(200), takes[0].track.id
    server, spare, third = recorder("server"), recorder("spare"), recorder("third")
    server.record(camera.part(0, 83), wrong=TRUE)
    server.record(camera.part(141, 200), wrong=TRUE)
    third.record(takes, wrong=TRUE)
    (report,) = heal(server, third)
    counts = (report.streams[0].inserted_frames, report.streams[0].other_frames)
    assert counts == (0, len(takes))
    assert len(report.streams[0].missing) == 1
    assert len(gaps(server.store, "gate")) == 1
    assert beside(server, track) == sent(takes)
    spare.record(camera.part(48, 172), wrong=TRUE)
    (report,) = heal(server, spare)
    assert report.streams[0].missing == ()
    is_whole(server, camera)
    assert beside(server, track) == sent(takes)
