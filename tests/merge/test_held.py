"""Footage that is kept, but not shown, is told as readers find it, until what it continues is brought."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest
from merge_film import Recorder, film

from fovideo.merge import merge
from fovideo.replay import read_packets
from fovideo.store import Store
from fovideo.store.describe import describe


def hidden(store: Store) -> list[int]:
    """Times of the frames that a reader leaves out, but for those before the first keyframe."""
    shown = [packet.time_ns for packet in read_packets(store, "gate")]
    every = [packet.time_ns for packet in read_packets(store, "gate", decodable=False)]
    return [time_ns for time_ns in (Counter(every) - Counter(shown)).elements() if time_ns > min(shown)]


@pytest.mark.parametrize("b_frames", [0, 2])
def test_what_is_held_is_told(b_frames: int, recorder: Callable[[str], Recorder]) -> None:
    camera = film(300, b_frames=b_frames)
    server, spare = recorder("server"), recorder("spare")
    server.record(camera.part(0, 83))
    server.record(camera.part(205, 300), lost=[240, 251])
    spare.record(camera.part(127, 190))
    merge(spare.store, server.store)
    (stream,) = describe(server.store)
    found = hidden(server.store)
    assert found
    assert all(any(start <= time_ns < end for start, end in stream.held) for time_ns in found)
    spare.record(camera.part(60, 270))
    merge(spare.store, server.store)
    (stream,) = describe(server.store)
    assert (hidden(server.store), stream.held, stream.gaps) == ([], (), ())
