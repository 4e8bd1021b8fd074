"""How far a whole merge is, and how long it still takes: over all its streams and spans, pauses left out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from footage import FRAME_NS, T0_NS
from served import open_store, record

from fovideo.merge import MergeControl, Order, Pace, Progress, Span, merge
from fovideo.merge.doing.running import MergeStatus, RunningMerge
from fovideo.store import Store
from fovideo.times import NS_PER_S


class Clock:
    """A second for each insertion."""

    now_ns = 0

    def __call__(self) -> int:
        return self.now_ns


@pytest.fixture
def sides(tmp_path: Path) -> Iterator[tuple[Store, Store]]:
    """Spare and server: two streams of which the server lacks the middle."""
    with open_store(tmp_path / "spare") as spare, open_store(tmp_path / "server") as server:
        for stream in ("gate", "yard"):
            record(server, 0, 100, stream=stream)
            record(server, 500, 100, stream=stream)
            record(spare, 50, 500, stream=stream)
        yield spare, server


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"order": Order.NEWEST},
        {"first": [Span(T0_NS + 300 * FRAME_NS, T0_NS + 350 * FRAME_NS)]},
    ],
)
def test_it_adds_up(
    sides: tuple[Store, Store], monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any]
) -> None:
    monkeypatch.setattr("fovideo.merge.doing.pace.LEAST_STEP_BYTES", 1)
    clock = Clock()
    running = RunningMerge("1", "spare", "server", MergeControl(clock=clock))
    found: list[MergeStatus] = []

    def look(done: Progress) -> None:
        clock.now_ns += NS_PER_S
        running.progress(done)
        found.append(running.status())

    pace = Pace(rate_bytes=2, brake_ns=0)
    monkeypatch.setattr(MergeControl, "wait", lambda self, ns=0: True)
    merge(*sides, pace=pace, control=running.control, progress=look, clock=clock, **settings)
    sizes = [status.size_bytes for status in found]
    assert sizes == sorted(set(sizes)), "it never goes back, whatever comes first"
    last = found[-1]
    assert (last.frames, last.of_frames, last.size_bytes) == (800, 800, last.of_bytes)
    assert (last.eta_ns, last.eta_at_least) == (0, False)
    assert found[0].eta_at_least, "the other stream is not planned yet"
    assert all(status.eta_ns is not None for status in found)


def test_pauses_do_not_count() -> None:
    clock = Clock()
    control = MergeControl(clock=clock)
    clock.now_ns += 5
    control.pause()
    control.pause()
    clock.now_ns += 7
    assert control.rested_ns == 7
    control.resume()
    control.resume()
    clock.now_ns += 11
    assert control.rested_ns == 7
