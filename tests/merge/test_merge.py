"""Merging two timelines: what is inserted, what is reported, and that a second run does nothing."""

from __future__ import annotations

import pytest
from merge_world import STEP_NS, T0_NS, S, World, Wrong, camera

from fovideo.errors import NoSuchStream, UsageError
from fovideo.merge import Span, merge


def outage(content: str = "moving", offset_ns: int = 0, b_frames: int = 0) -> World:
    """A server that was down from frame 200 to 400, and a spare that saw 150 to 450."""
    world = World()
    shots = camera(600, content=content, b_frames=b_frames)
    world.record("server", shots[:200])
    world.record("server", shots[400:])
    world.record("spare", shots[150:450], wrong=Wrong(offset_ns))
    return world


@pytest.mark.parametrize("content", ["moving", "still", "frozen", "loop"])
def test_every_frame_is_there_once(content: str) -> None:
    world = outage(content)
    spare, server = world.timeline("spare"), world.timeline("server")
    report = merge(spare, server).streams[0]
    assert server.ids() == dict.fromkeys(range(600), 1)
    assert (report.inserted_frames, report.duplicate_frames, report.conflicting_frames) == (200, 100, 0)
    assert report.missing == ()
    assert report.inserted == (Span(T0_NS + 200 * STEP_NS, T0_NS + 400 * STEP_NS),)
    assert report.verified
    assert report.settled_rows == 30
    assert spare.settled == {row.serial for row in spare.rows}


def test_a_second_run_inserts_nothing() -> None:
    world = outage(offset_ns=3 * S)
    spare, server = world.timeline("spare"), world.timeline("server")
    first = merge(spare, server).streams[0]
    inserts = server.inserts
    second = merge(spare, server).streams[0]
    assert server.inserts == inserts
    assert (second.inserted_frames, second.duplicate_frames) == (0, 300)
    assert second.clock_offset_ns == first.clock_offset_ns == -3 * S


def test_a_dry_run_says_the_same_and_writes_nothing() -> None:
    world = outage()
    spare, server = world.timeline("spare"), world.timeline("server")
    dry = merge(spare, server, dry_run=True)
    assert dry.dry_run
    assert server.inserts == 0
    real = merge(spare, server).streams[0]
    for name in ("inserted_frames", "duplicate_frames", "missing", "inserted", "clock_offset_ns"):
        assert getattr(dry.streams[0], name) == getattr(real, name)


def test_a_stream_that_the_target_lacks_is_made() -> None:
    world = World()
    world.record("spare", camera(100))
    report = merge(world.timeline("spare"), world.timeline("server")).streams[0]
    assert report.inserted_frames == 100
    assert world.timeline("server").ids() == dict.fromkeys(range(100), 1)


def test_a_target_that_changes_meanwhile_is_planned_anew() -> None:
    world = outage()
    spare, server = world.timeline("spare"), world.timeline("server")
    server.stale = [2, 4]
    report = merge(spare, server).streams[0]
    assert server.ids() == dict.fromkeys(range(600), 1)
    assert (report.inserted_frames, report.duplicate_frames) == (200, 100)


def test_json_has_the_promised_names() -> None:
    world = outage()
    made = merge(world.timeline("spare"), world.timeline("server")).as_json()
    stream = made["streams"][0]
    assert stream["name"] == "gate"
    assert {
        "name",
        "inserted_frames",
        "duplicate_frames",
        "conflicting_frames",
        "missing",
        "clock_offset_ns",
    } <= set(stream)


def test_errors() -> None:
    world = outage()
    with pytest.raises(NoSuchStream):
        merge(world.timeline("spare"), world.timeline("server"), streams=["door"])
    with pytest.raises(UsageError):
        merge(world.timeline("spare"), world.timeline("spare"))
