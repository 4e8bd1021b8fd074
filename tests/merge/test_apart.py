"""What has nothing in common with the target's footage is not put within it, wherever clocks are wrong."""

from __future__ import annotations

from dataclasses import replace

from merge_history import History
from merge_reference import Reference
from merge_world import S, Shot, World, Wrong, camera, sound

from fovideo.media.frames import Clock
from fovideo.merge import merge

TRUE = Wrong(source=Clock.SENDER_REPORT)


def healed(world: World, shots: list[Shot], *sources: str) -> None:
    """Merge all; nothing is lost, doubled or decoded after what it does not continue."""
    tale = History(world, list(sources), {shot.id: shot for shot in shots}, False, "")
    reference = Reference.of(tale)
    for name in sources:
        merge(world.timeline(name), tale.target)
        reference.add(world.timeline(name))
        assert reference.problems() == []


def test_a_camera_that_sets_its_clock_back_in_a_session_shows_no_instant_twice() -> None:
    shots, world = camera(400, gop=12, b_frames=2), World()
    back = Wrong(-3 * S, source=Clock.SENDER_REPORT)
    world.record("server", shots[15:139], wrong=TRUE)
    world.record("server", shots[292:397], wrong=back)
    session = world.record("spare", shots[120:276], wrong=TRUE, goes_on=True)
    world.record("spare", shots[276:381], wrong=back, session=session, epoch=1)
    healed(world, shots, "spare")


def test_a_camera_that_sets_its_clock_right_by_less_than_frames_may_wait() -> None:
    """All pictures are alike, and the machines' clocks are 2 s apart: the step is not taken for that."""
    shots, world = camera(400, content="frozen"), World()
    late = Wrong(900_000_000, source=Clock.SENDER_REPORT)
    for name, start, stop, ahead_ns in (("server", 30, 300, -374_000_000), ("spare", 60, 390, 1_370_000_000)):
        receipts = {shot.id: shot.time_ns + ahead_ns + 3_000_000 for shot in shots}
        session = world.record(name, shots[start:150], wrong=TRUE, receipts=receipts, goes_on=True)
        world.record(name, shots[150:stop], wrong=late, receipts=receipts, session=session, epoch=1)
        if name == "server":
            own = Wrong(ahead_ns + 3_000_000)
            world.record(name, shots[330:360], wrong=own, receipts=receipts)
    healed(world, shots, "spare")


def test_sound_alone_that_is_encoded_otherwise_is_kept() -> None:
    """A camera without pictures for a while; the target has other sound of that time."""
    world, other = World(), [replace(shot, id=shot.id + 1000) for shot in sound(200, seed=4)]
    world.record("server", other, wrong=TRUE)
    world.record("spare", sound(300)[20:], wrong=TRUE)
    healed(world, [*other, *sound(300)], "spare")
