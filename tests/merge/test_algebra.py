"""A merge is the union of sets of frames: idempotent, monotone, commutative, associative."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st
from merge_world import Held, World, Wrong, camera

from fovideo.media.frames import Clock
from fovideo.merge import merge

COUNT = 120
Part = tuple[int, int, frozenset[int], int]
Recorded = list[list[Part]]


@st.composite
def sessions(draw: st.DrawFn) -> list[Part]:
    """Sessions of a recorder, one after the other: first frame, end, what was lost, number for its error."""
    cuts = sorted(draw(st.sets(st.integers(0, COUNT), max_size=4)))
    return [
        (start, stop, draw(st.frozensets(st.integers(start, stop), max_size=4)), draw(st.integers(1, 99)))
        for start, stop in zip(cuts[::2], cuts[1::2], strict=False)
    ]


histories = st.tuples(
    st.lists(sessions(), min_size=3, max_size=3),
    st.sampled_from(["moving", "still", "frozen", "loop"]),
    st.sampled_from([0, 2]),
)


def recorders(parts: Recorded, content: str, b_frames: int) -> list[Held]:
    """A timeline for each recorder; by the camera's clock, so that any overlap can be told, however short."""
    world = World()
    shots = camera(COUNT, content=content, b_frames=b_frames)
    for name, mine in zip("abc", parts, strict=True):
        world.timeline(name)
        for start, stop, lost, number in mine:
            world.record(
                name,
                shots[start:stop],
                wrong=Wrong(source=Clock.SENDER_REPORT),
                lost=lost,
                noise_ns=2_000_000,
                session=f"{ord(name):08x}{start:04x}{number:04x}",
            )
    return [world.timeline(name) for name in "abc"]


def union(target: Held, *sources: Held) -> Held:
    for source in sources:
        merge(source, target)
    return target


def way(*steps: Callable[[list[Held]], Held]) -> list[Callable[[list[Held]], Held]]:
    return list(steps)


@settings(max_examples=60)
@given(histories)
def test_union(history: tuple[Recorded, str, int]) -> None:
    everything: dict[int, int] = {}
    for held in recorders(*history):
        everything.update(dict.fromkeys(held.ids(), 1))
    ways = way(
        lambda r: union(r[0], r[1], r[2]),
        lambda r: union(r[0], r[2], r[1]),
        lambda r: union(r[1], r[0], r[2]),
        lambda r: union(r[0], union(r[1], r[2])),
        lambda r: union(r[2], union(r[1], r[0])),
    )
    for each in ways:
        assert each(recorders(*history)).ids() == everything


@settings(max_examples=60)
@given(histories)
def test_idempotent_and_monotone(history: tuple[Recorded, str, int]) -> None:
    target, source, other = recorders(*history)
    for each in (source, other, source):
        before = list(target.rows)
        merge(each, target)
        assert [row for row in target.rows if row in before] == before
        rows = list(target.rows)
        merge(each, target)
        assert target.rows == rows
