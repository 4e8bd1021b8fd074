"""A process that froze, a disk that stalled, a link that was congested: frames that waited in a socket are
received late, by as long as the stall took. They are the same frames all the same.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from merge_film import Recorder, film, held
from merge_world import S, Wrong

from fovideo.media.frames import Clock
from fovideo.merge import merge

TRUE = Wrong(source=Clock.SENDER_REPORT)
GUESSED = Wrong(90_000_000)
Stalls = list[tuple[int, int]]


@pytest.mark.parametrize(
    ("seconds", "where"),
    [(1, "server"), (3, "server"), (10, "server"), (3, "spare"), (10, "spare"), (10, "both"), (60, "both")],
)
@pytest.mark.parametrize("clock", ["camera", "receipt"])
def test_frames_that_waited(
    recorder: Callable[[str], Recorder], seconds: int, where: str, clock: str
) -> None:
    length = 25 * seconds
    count = length + 220
    for scene in ("moving", "loop"):
        camera = film(1720, scene=scene)
        server, spare = recorder(f"server-{scene}"), recorder(f"spare-{scene}")
        here: Stalls = [(60, 60 + length)] if where != "spare" else []
        there: Stalls = [(75, 75 + length)] if where != "server" else []
        wrong = TRUE if clock == "camera" else GUESSED
        # The server froze, and its socket's buffer held three quarters of what came meanwhile.
        kept = 60 + length * 3 // 4
        lost = range(kept, 60 + length)
        server.record(camera.part(0, count), lost=lost, stalls=here, wrong=TRUE)
        spare.record(camera.part(30, count - 60), stalls=there, wrong=wrong)
        (report,) = merge(spare.store, server.store).streams
        assert report.inserted_frames == len(lost)
        assert held(server.store) == list(range(count))
        assert merge(spare.store, server.store).streams[0].inserted_frames == 0


def test_it_stalled_again_and_again(recorder: Callable[[str], Recorder]) -> None:
    camera = film(1720)
    server, spare = recorder("server"), recorder("spare")
    stalls = [(100 * number, 100 * number + 80) for number in range(1, 15)]
    server.record(camera.part(0, 1500), lost=range(700, 730), stalls=stalls, wrong=TRUE)
    spare.record(camera.part(0, 1500), stalls=[(start + 50, stop + 50) for start, stop in stalls], wrong=TRUE)
    (report,) = merge(spare.store, server.store).streams
    assert report.inserted_frames == 30
    assert held(server.store) == list(range(1500))


def test_the_stall_lasted_from_the_first_frame_on(recorder: Callable[[str], Recorder]) -> None:
    """All that a session received had waited: only the camera's clock says when that was."""
    camera = film(1720)
    server, spare = recorder("server"), recorder("spare")
    server.record(camera.part(0, 300), wrong=TRUE)
    server.record(camera.part(340, 600), wrong=TRUE)
    spare.record(camera.part(250, 400), stalls=[(250, 900)], wrong=TRUE)
    merge(spare.store, server.store)
    assert held(server.store) == list(range(600))


def test_footage_that_was_fetched_long_after(recorder: Callable[[str], Recorder]) -> None:
    """A camera's own storage, replayed an hour later, says nothing by its receipt times."""
    camera = film(1720)
    server, card = recorder("server"), recorder("card")
    server.record(camera.part(0, 300), wrong=TRUE)
    server.record(camera.part(340, 600), wrong=TRUE)
    card.record(camera.part(200, 500), wrong=Wrong(source=Clock.CONTAINER), received_ns=3600 * S)
    merge(card.store, server.store)
    assert held(server.store) == list(range(600))
