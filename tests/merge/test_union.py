"""A union shows what the merge would give, without merging, and goes on showing it while the merge runs."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from merge_world import STEP_NS, T0_NS, Held, S, World, Wrong, camera, sound

from fovideo.errors import NoSuchStream, PeerError, UsageError
from fovideo.merge import Union, merge
from fovideo.segment import samples, scan
from fovideo.timeline.endpoint import FileRange, Timeline
from fovideo.timeline.values import Gop, Loss, Provenance, Splice, StreamInfo


def ids_of(union: Union, row: Gop) -> list[int]:
    data = union.read("gate", row)
    assert not isinstance(data, FileRange)
    assert len(data) == row.size_bytes
    return [
        int.from_bytes(bytes(sample)[:8], "big")
        for fragment in scan(data, 0)[0]
        for sample in samples(fragment, data, fragment.offset)
    ]


def ids(union: Union, from_ns: int | None = None, to_ns: int | None = None) -> Counter[int]:
    found: Counter[int] = Counter()
    for row in union.gops("gate", from_ns, to_ns):
        found.update(ids_of(union, row))
    return found


def times(union: Union) -> dict[int, int]:
    found: dict[int, int] = {}
    for row in union.gops("gate"):
        data = union.read("gate", row)
        assert not isinstance(data, FileRange)
        for fragment in scan(data, 0)[0]:
            names = [int.from_bytes(bytes(s)[:8], "big") for s in samples(fragment, data, fragment.offset)]
            found |= dict(zip(names, (fragment.frames["time_ns"] + row.shift_ns).tolist(), strict=True))
    return found


def outage(offset_ns: int = 0, b_frames: int = 0) -> World:
    world = World()
    shots = camera(600, b_frames=b_frames) + sound(1200)
    world.record("server", [s for s in shots if s.time_ns < T0_NS + 203 * STEP_NS])
    world.record("server", [s for s in shots if s.time_ns >= T0_NS + 397 * STEP_NS])
    inside = [s for s in shots if T0_NS + 150 * STEP_NS <= s.time_ns < T0_NS + 450 * STEP_NS]
    world.record("spare", inside, wrong=Wrong(offset_ns))
    return world


@pytest.mark.parametrize("b_frames", [0, 2])
def test_an_outage_is_seen_before_it_is_merged(b_frames: int) -> None:
    world = outage(2 * S, b_frames)
    server, spare = world.timeline("server"), world.timeline("spare")
    union = Union([server, spare])
    seen, at = ids(union), times(union)
    assert server.inserts == 0
    merge(spare, server)
    assert seen == server.ids()
    merged = server.times()
    assert at.keys() == merged.keys()
    assert max(abs(at[each] - merged[each]) for each in at) < 2_000_000


def test_what_was_listed_is_read_after_it_was_merged() -> None:
    world = outage()
    server, spare = world.timeline("server"), world.timeline("spare")
    now = [0]
    union = Union([server, spare], monotonic_ns=lambda: now[0])
    before = ids(union)
    rows = union.gops("gate")
    merge(spare, server)
    now[0] += 10 * S
    found: Counter[int] = Counter()
    for row in rows:
        found.update(ids_of(union, row))
        assert union.tracks("gate", row)
    assert found == before
    assert all(row.serial < 1 << 61 for row in union.gops("gate"))
    assert ids(union) == before
    ours = next(row for row in rows if row.serial >= 1 << 61)
    assert union.find("gate", ours.serial) == ours


def test_rows_keep_their_serials() -> None:
    world = outage(S, 2)
    now = [0]
    union = Union([world.timeline("server"), world.timeline("spare")], monotonic_ns=lambda: now[0])
    first = union.gops("gate")
    now[0] += 10 * S
    assert union.gops("gate") == first
    now[0] += 10 * S
    window = union.gops("gate", T0_NS + 260 * STEP_NS, T0_NS + 300 * STEP_NS)
    assert {row.serial for row in window} <= {row.serial for row in first}


def test_labels_tell_what_is_to_be_merged() -> None:
    world = outage()
    union = Union([world.timeline("server"), world.timeline("spare")])
    provenances = union.provenances("gate")
    labels = {provenances[row.provenance].label for row in union.gops("gate")}
    assert labels == {"server", "spare (to merge)"}


def test_one_timeline_is_itself() -> None:
    server = outage().timeline("server")
    union = Union([server])
    assert union.gops("gate") == server.gops("gate")
    assert union.identity == server.identity


def test_it_cannot_be_written_to() -> None:
    union = Union([outage().timeline("server")])
    with pytest.raises(UsageError, match="merge into one"):
        union.settle("gate", [1])
    with pytest.raises(NoSuchStream):
        union.gops("door")


class Away(Held):
    """A timeline that does not answer."""

    away = True

    def _answer(self) -> None:
        if self.away:
            raise PeerError("no answer", where=self.location)

    def streams(self) -> list[StreamInfo]:
        self._answer()
        return super().streams()

    def provenances(self, stream: str) -> dict[int, Provenance]:
        self._answer()
        return super().provenances(stream)

    def losses(self, stream: str, from_ns: int | None = None, to_ns: int | None = None) -> list[Loss]:
        self._answer()
        return super().losses(stream, from_ns, to_ns)


def test_a_server_that_is_away_is_left_out_and_comes_back() -> None:
    world = outage()
    world.timelines["server"].__class__ = Away
    server, spare = world.timeline("server"), world.timeline("spare")
    assert isinstance(server, Away)
    now = [0]
    union = Union([server, spare], patient=True, monotonic_ns=lambda: now[0])
    assert ids(union) == spare.ids()
    assert union.missing == (server.location,)
    assert union.identity == spare.identity
    server.away = False
    now[0] += 10 * S
    assert len(ids(union)) > len(spare.ids())
    assert union.identity == server.identity
    server.away = True
    with pytest.raises(PeerError):
        Union([server, spare]).streams()
    with pytest.raises(PeerError):
        Union([server], patient=True).streams()


@pytest.mark.parametrize("asked", [0, 1])
def test_nothing_is_refused_when_a_server_dies_between_two_questions(asked: int) -> None:
    """Who has the stream was known a moment ago."""
    world = outage()
    members = [world.timeline(name) for name in ("server", "spare")]
    members[asked].__class__ = Away
    dying, other = members[asked], members[1 - asked]
    assert isinstance(dying, Away)
    dying.away = False
    union = Union(members, patient=True, monotonic_ns=lambda: 0)
    assert union.gops("gate")
    dying.away = True
    assert union.losses("gate") == other.losses("gate")
    assert union.missing == (dying.location,)
    assert other.provenances("gate").items() <= union.provenances("gate").items()
    dying.away = False
    union = Union(members, patient=True, monotonic_ns=lambda: 0)
    assert union.gops("gate")
    dying.away = True
    assert union.provenances("gate")


@st.composite
def worlds(draw: st.DrawFn) -> tuple[World, list[str]]:
    world = World()
    shots = camera(200, gop=draw(st.sampled_from([5, 10])), b_frames=draw(st.sampled_from([0, 2])))
    names = ["server", "spare", "other"][: draw(st.integers(2, 3))]
    for name in names:
        edges = sorted(draw(st.sets(st.integers(0, 40), min_size=4, max_size=4)))
        sessions = [(edges[0], edges[1]), (edges[2], edges[3])][: draw(st.integers(1, 2))]
        for first, last in sessions:
            lost = draw(st.sets(st.integers(first * 5 + 1, last * 5), max_size=3))
            offset_ns = draw(st.integers(-3, 3)) * S if name != "server" else 0
            world.record(name, shots[first * 5 : last * 5], wrong=Wrong(offset_ns), lost=lost)
    return world, [name for name in names if world.timeline(name).rows]


@settings(max_examples=40)
@given(worlds())
def test_a_union_is_what_merging_gives(made: tuple[World, list[str]]) -> None:
    world, names = made
    members: list[Timeline] = [world.timeline(name) for name in names]
    union = Union(members)
    every: Counter[int] = Counter()
    provenances = None
    for row in union.gops("gate"):
        provenances = provenances or union.provenances("gate")
        if not provenances[row.provenance].splice & Splice.CONFLICT:
            every.update(ids_of(union, row))
    first = world.timeline(names[0])
    for name in names[1:]:
        merge(world.timeline(name), first)
    assert every == first.ids(conflicts=False)
