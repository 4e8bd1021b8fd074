"""Where the target's clock steps, each frame of the source goes beside its neighbours."""

from __future__ import annotations

from merge_site import Site, once, without
from merge_world import STEP_NS, S, Shot, Wrong, camera, documents, sound

from fovideo.media.frames import Clock
from fovideo.merge import merge
from fovideo.timeline.values import Splice

CAMERA = Wrong(47 * S, source=Clock.SENDER_REPORT)


def by_time(*tracks: list[Shot]) -> list[Shot]:
    return sorted((shot for track in tracks for shot in track), key=lambda shot: shot.time_ns)


def off_ns(site: Site) -> dict[int, int]:
    """How far from true time the server shows each frame."""
    true_ns = {shot.id: shot.time_ns for shot in [*camera(400), *documents(80)]}
    return {number: at_ns - true_ns[number] for number, at_ns in site.timeline("server").times().items()}


def test_a_row_that_goes_on_from_one_session_to_the_next_is_put_to_both() -> None:
    """The server had no sender report in its first session, so that its two lie 47 s apart."""
    shots, site = camera(400), Site()
    site.hears("server", without(shots[20:145], 142))
    site.hears("server", without(shots[145:300], 147), CAMERA)
    site.hears("spare", shots[100:250], CAMERA)
    assert site.merged("spare") == once(range(20, 300))
    found = off_ns(site)
    for number in range(20, 300):
        assert abs(found[number] - (3_000_000 if number < 145 else 47 * S)) < STEP_NS // 4, number
    before = list(site.timeline("server").rows)
    site.merged("spare")
    assert site.timeline("server").rows == before


def test_a_row_in_two_parts_is_settled_when_both_are_there() -> None:
    shots, site = camera(400), Site()
    site.hears("server", without(shots[20:145], 142))
    site.hears("server", without(shots[145:300], 147), CAMERA)
    site.hears("spare", shots[100:250], CAMERA)
    site.merged("spare")
    spare = site.timeline("spare")
    assert spare.settled == {row.serial for row in spare.rows}


def test_a_clock_steps_where_the_last_frame_in_common_is() -> None:
    """Documents of the first session, which the server did not hear, stay with their pictures: half way
    between the middles of both sessions they would go with those of the second.
    """
    shots, site = camera(400), Site()
    site.hears("server", shots[20:240], CAMERA)
    site.hears("server", shots[260:300])
    site.hears("spare", by_time(shots[30:290], documents(60)[8:]), CAMERA)
    merge(site.timeline("spare"), site.timeline("server"))
    found = off_ns(site)
    early = [found[20_000_000 + number] for number in range(8, 47)]
    assert set(early) == {47 * S}


def test_what_arrived_at_another_time_is_no_neighbour() -> None:
    """The camera's clock was set back by 3 s: frames from before show the instants of frames from after."""
    shots, site = camera(400), Site()
    before, after = Wrong(source=Clock.SENDER_REPORT), Wrong(-3 * S, source=Clock.SENDER_REPORT)
    site.hears("server", shots[14:174], before)
    site.hears("server", shots[281:393], after)
    site.hears("spare", shots[245:361], after)
    site.merged("spare")
    rows = site.timeline("server").rows
    provenances = site.timeline("server").provenances("gate")
    told = {
        number: provenances[row.provenance]
        for row in rows
        for number in site.timeline("server").ids_of(row)
        if provenances[row.provenance].inserted_from
    }
    assert set(told) == set(range(245, 281))
    assert {(told[number].splice, told[number].links) for number in range(245, 250)} == {(Splice.NAMED, b"")}


def test_silence_of_two_seconds_later_is_not_the_same() -> None:
    """Of the first spare's session the second one holds a single frame of silence, when it comes to the
    server, and that is 2 s before what the server heard.
    """
    shots, site = camera(400), Site()
    silence = sound(800, silent=True)
    before, after = Wrong(source=Clock.SENDER_REPORT), CAMERA
    site.hears("first", by_time(shots[:217], silence[:434]), before)
    site.hears("second", without(by_time(shots[:217], silence[:434]), silence[432].id), before)
    site.hears("second", by_time(shots[340:390], silence[680:780]), after)
    site.hears("server", by_time(shots[266:390], silence[532:780]), after)
    merge(site.timeline("first"), site.timeline("second"))
    held = {shot.id: 1 for shot in [*shots[:217], *shots[266:390], *silence[:434], *silence[532:780]]}
    assert site.merged("second") == held
