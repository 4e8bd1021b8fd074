"""Seams name the frames that meet there, and readers go by that, on every way of merges."""

from __future__ import annotations

import msgspec
import pytest
from merge_world import Held, World
from merge_world import camera as frames_of

from fovideo.merge import merge
from fovideo.replay import read_packets
from fovideo.timeline.values import Splice


def shown(timeline: Held) -> list[int]:
    return [int.from_bytes(packet.payload[:8], "big") for packet in read_packets(timeline, "gate")]


def of_an_earlier_version(timeline: Held) -> Held:
    """The same with what a version would have written that knew no names."""
    timeline._provenances = {
        number: msgspec.structs.replace(each, links=b"", splice=each.splice & ~Splice.NAMED)
        for number, each in timeline._provenances.items()
    }
    return timeline


def healed_spare(b_frames: int = 0) -> tuple[World, Held]:
    """A spare that lost frames one by one, and got them from another one."""
    shots, world = frames_of(100, b_frames=b_frames), World()
    world.record("spare", shots[:60], lost=[17, 34, 35, 52])
    world.record("other", shots[3:100], lost=[40, 71])
    merge(world.timeline("other"), world.timeline("spare"))
    return world, world.timeline("spare")


@pytest.mark.parametrize("b_frames", [0, 2])
def test_what_an_earlier_version_wrote_is_shown_as_ever(b_frames: int) -> None:
    _, spare = healed_spare(b_frames)
    before = shown(spare)
    assert {17, 34, 35, 52} <= set(before)
    assert shown(of_an_earlier_version(spare)) == before


@pytest.mark.parametrize("b_frames", [0, 2])
def test_links_go_along_by_way_of_another_store(b_frames: int) -> None:
    world, spare = healed_spare(b_frames)
    before = shown(spare)
    merge(spare, world.timeline("server"))
    assert shown(world.timeline("server")) == before


def test_of_an_earlier_version_goes_along_what_a_frame_follows() -> None:
    world, spare = healed_spare()
    merge(of_an_earlier_version(spare), world.timeline("server"))
    assert {17, 34, 35, 52} <= set(shown(world.timeline("server")))


def test_what_continues_a_named_frame_waits_for_that_one() -> None:
    """The spare saw 45 to 59; what the server shows is not what 45 continues, until another brings that."""
    shots, world = frames_of(100), World()
    world.record("server", shots[:33])
    world.record("spare", shots[45:60])
    world.record("other", shots[28:50])
    server = world.timeline("server")
    merge(world.timeline("spare"), server)
    assert shown(server) == [*range(33), *range(50, 60)]
    assert {each.splice & Splice.NAMED for each in server._provenances.values() if each.inserted_from} == {
        Splice.NAMED
    }
    merge(world.timeline("other"), server)
    assert shown(server) == list(range(60))
