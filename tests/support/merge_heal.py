"""How merges of real footage are judged: by the numbers inside the stream and by a decoder."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from merge_film import Film, Recorder, numbers, play

from fovideo.merge import MergeReport, merge

Make = Callable[[str], Recorder]


def heal(target: Recorder, *sources: Recorder) -> list[MergeReport]:
    """Merge the sources one after the other; a second round finds nothing to do."""
    reports = [merge(source.store, target.store) for source in sources]
    for source in sources:
        again = merge(source.store, target.store).streams[0]
        assert (again.inserted_frames, again.other_frames) == (0, 0)
    assert target.store.check().problems == []
    return reports


def is_whole(target: Recorder, camera: Film, expected: Sequence[int] | None = None) -> None:
    """Each frame once, in order, decoded without complaint to the pictures that the camera sent."""
    wanted = [take.number for take in camera.takes] if expected is None else list(expected)
    assert numbers(target.store, decodable=False) == wanted
    shows(target, camera, wanted)


def shows(target: Recorder, camera: Film, wanted: Sequence[int]) -> None:
    """Of what is there, these frames are shown, each as the picture that the camera sent."""
    assert numbers(target.store) == list(wanted)
    pictures, complaints = play(target.store)
    assert complaints == []
    shown = {take.number: camera.pictures[take.time_ns] for take in camera.takes}
    sent = sorted((take.time_ns, take.number) for take in camera.takes if take.number in set(wanted))
    assert [pictures[at] for at in sorted(pictures)] == [shown[number] for _, number in sent]


def decodes(target: Recorder, camera: Film) -> None:
    """Across each splice, all that is shown decodes to pictures that the camera sent."""
    pictures, complaints = play(target.store)
    assert complaints == []
    assert pictures
    assert set(pictures.values()) <= set(camera.pictures.values())


def outage(recorder: Make, camera: Film, **spare: object) -> tuple[Recorder, Recorder]:
    """A server that lost 83 to 141, and a spare that saw 48 to 172."""
    server, stand_in = recorder("server"), recorder("spare")
    server.record(camera.part(0, 83))
    server.record(camera.part(141, 200))
    stand_in.record(camera.part(48, 172), **spare)  # type: ignore[arg-type]
    return server, stand_in
