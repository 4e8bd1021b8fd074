"""Carrying a merge out: order, stopping and going on, cut connections, saved plans."""

from __future__ import annotations

import contextlib
import itertools
import re
import threading
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from merge_world import STEP_NS, T0_NS, Held, World, camera

from fovideo.errors import PeerError, PlanStale, UsageError
from fovideo.merge import (
    MergeControl,
    Order,
    Pace,
    Progress,
    Span,
    carry_out,
    load_plans,
    make_plan,
    merge,
    save_plans,
)
from fovideo.timeline.endpoint import Inserted, Stretch
from fovideo.times import NS_PER_S

SMALL = Pace(rate_bytes=1, brake_ns=0)


class Cut(PeerError):
    """As when the connection is lost."""

    passing = True


class Now(MergeControl):
    """Waits without waiting; counts the time."""

    def __init__(self, cancel_at: int = 10**9) -> None:
        super().__init__()
        self.waited_ns = self.turns = 0
        self._cancel_at = cancel_at

    def wait(self, ns: int = 0) -> bool:
        self.waited_ns += ns
        self.turns += 1
        if self.turns > self._cancel_at:
            self.cancel()
        return not self.cancelled


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Footage of these tests is tiny, so are the steps."""
    monkeypatch.setattr("fovideo.merge.doing.pace.LEAST_STEP_BYTES", 1)


def a_world(count: int = 600) -> World:
    world = World()
    shots = camera(count)
    world.record("server", shots[:105])
    world.record("spare", shots[50:])
    return world


def sides(world: World) -> tuple[Held, Held]:
    return world.timeline("spare"), world.timeline("server")


def starts_of(target: Held, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Where insertions begin, as they come."""
    seen: list[int] = []
    insert = Held.insert

    def noted(self: Held, stretch: Stretch) -> Inserted:
        done = insert(self, stretch)
        seen.append(max(self.rows, key=lambda row: row.serial).start_ns)
        return done

    monkeypatch.setattr(Held, "insert", noted)
    return seen


@pytest.mark.parametrize("order", list(Order))
def test_order(order: Order, monkeypatch: pytest.MonkeyPatch) -> None:
    spare, server = sides(a_world())
    seen = starts_of(server, monkeypatch)
    merge(spare, server, order=order, pace=SMALL, control=Now())
    assert len(seen) > 20
    assert seen == sorted(seen, reverse=order is Order.NEWEST)
    assert server.ids() == dict.fromkeys(range(600), 1)


def test_given_spans_first(monkeypatch: pytest.MonkeyPatch) -> None:
    spare, server = sides(a_world())
    seen = starts_of(server, monkeypatch)
    wanted = [
        Span(T0_NS + 400 * STEP_NS, T0_NS + 420 * STEP_NS),
        Span(T0_NS + 300 * STEP_NS, T0_NS + 310 * STEP_NS),
    ]
    report = merge(spare, server, first=wanted, pace=SMALL, control=Now())
    assert [(start - T0_NS) // STEP_NS for start in seen[:4]] == [400, 410, 300, 105]
    (stream,) = report.streams
    assert (stream.inserted_frames, stream.duplicate_frames) == (495, 55)
    assert server.ids() == dict.fromkeys(range(600), 1)


@settings(max_examples=15)
@given(st.integers(0, 25), st.sampled_from(list(Order)))
def test_stopped_anywhere_and_gone_on_with(turns: int, order: Order) -> None:
    spare, server = sides(a_world(300))
    before = set(server.ids())
    report = merge(spare, server, pace=SMALL, order=order, control=Now(cancel_at=turns))
    (stream,) = report.streams or (None,)
    if stream is not None:
        assert stream.inserted_frames + stream.left_frames == 195
        assert report.stopped == bool(stream.left_frames)
        assert len(server.ids()) == len(before) + stream.inserted_frames
        assert stream.verified
    held = {id for row in spare.rows if row.serial in spare.settled for id in spare.ids_of(row)}
    assert held <= set(server.ids()), "only what the target holds is settled"
    rest = merge(spare, server).streams[0]
    assert rest.inserted_frames == (stream.left_frames if stream else 195)
    assert server.ids() == dict.fromkeys(range(300), 1)
    assert spare.settled == {row.serial for row in spare.rows}


def test_pause_and_resume() -> None:
    spare, server = sides(a_world())
    control, reached = MergeControl(), threading.Event()

    def progress(done: Progress) -> None:
        if not reached.is_set():
            control.pause()
            reached.set()

    pace = Pace(rate_bytes=10**9, brake_ns=0)
    reports: list[object] = []
    worker = threading.Thread(
        target=lambda: reports.append(merge(spare, server, pace=pace, control=control, progress=progress))
    )
    worker.start()
    assert reached.wait(30)
    inserted = server.inserts
    assert control.paused
    control.resume()
    worker.join(60)
    assert not worker.is_alive()
    assert inserted <= server.inserts
    assert server.ids() == dict.fromkeys(range(600), 1)


def test_the_rate_is_kept_by_waiting() -> None:
    spare, server = sides(a_world())
    control = Now()
    report = merge(spare, server, pace=Pace(rate_bytes=1000, brake_ns=0), control=control, clock=lambda: 0)
    size = sum(row.size_bytes for row in server.rows) - sum(row.size_bytes for row in server.rows[:11])
    assert report.streams[0].inserted_frames == 495
    assert control.waited_ns > 0.8 * size * NS_PER_S / 1000


def test_it_yields_to_live_recording() -> None:
    class Busy(Held):
        latencies: Sequence[int] = ()

        def write_latency_ns(self) -> int:
            found = self.latencies[0] if self.latencies else 0
            self.latencies = self.latencies[1:]
            return found

    world = a_world()
    spare, server = sides(world)
    server.__class__ = Busy
    server.latencies = [1, *[NS_PER_S] * 4, *[1] * 200]
    control, seen = Now(), []
    merge(spare, server, pace=Pace(rate_bytes=10**6), control=control, progress=seen.append, clock=lambda: 0)
    assert server.ids() == dict.fromkeys(range(600), 1)
    assert control.waited_ns >= 100_000_000
    assert [done.braking for done in seen][:1] == [True]
    assert not seen[-1].braking


def test_insertions_are_smaller_while_the_disk_is_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fovideo.merge.doing.pace.LEAST_STEP_BYTES", 1)

    class Slow(Held):
        sizes: list[int]

        def write_latency_ns(self) -> int:
            return NS_PER_S if 3 <= len(self.sizes) < 8 else 1

        def insert(self, stretch: Stretch) -> Inserted:
            self.sizes.append(sum(map(len, stretch.parts)))
            return super().insert(stretch)

    class Large(Pace, frozen=True):
        def step_bytes(self, live: bool, largest: int = 0) -> int:
            return 4000

    for order in Order:
        spare, server = sides(a_world())
        server.__class__ = Slow
        server.sizes = []
        report = merge(spare, server, order=order, pace=Large(), control=Now(), clock=lambda: 0)
        assert report.streams[0].inserted_frames == 495
        assert server.ids() == dict.fromkeys(range(600), 1)
        assert max(server.sizes[5:8]) < max(server.sizes[:3])
        assert max(server.sizes[8:]) > max(server.sizes[5:8])


def cut_insertions(
    monkeypatch: pytest.MonkeyPatch, *, requests: Sequence[int], answers: Sequence[int]
) -> None:
    """The connection is cut in the requests, or before the answers, of insertions with these numbers."""
    insert, numbers = Held.insert, itertools.count(1)

    def flaky(self: Held, stretch: Stretch) -> Inserted:
        number = next(numbers)
        if number in requests:
            raise Cut("the connection was cut")
        done = insert(self, stretch)
        if number in answers:
            raise Cut("the connection was cut")
        return done

    monkeypatch.setattr(Held, "insert", flaky)


@pytest.mark.parametrize("lost", ["request", "answer"])
def test_cut_connections(lost: str, monkeypatch: pytest.MonkeyPatch) -> None:
    spare, server = sides(a_world())
    cut_insertions(monkeypatch, requests=(3, 4, 9) if lost == "request" else (), answers=(3, 7))
    with pytest.raises(Cut):
        merge(spare, server, pace=SMALL, control=Now())
    already = len(server.ids())
    report = merge(spare, server, pace=SMALL, control=Now(), patience_ns=60 * NS_PER_S)
    assert server.ids() == dict.fromkeys(range(600), 1)
    (stream,) = report.streams
    assert stream.inserted_frames == 600 - already
    assert spare.settled == {row.serial for row in spare.rows}


def test_patience_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    spare, server = sides(a_world())

    def dead(self: Held, stretch: Stretch) -> Inserted:
        raise Cut("nothing listens there")

    monkeypatch.setattr(Held, "insert", dead)
    control = Now()
    with pytest.raises(Cut):
        merge(spare, server, control=control, patience_ns=30 * NS_PER_S, clock=lambda: control.waited_ns)
    assert 20 * NS_PER_S < control.waited_ns <= 30 * NS_PER_S
    assert not spare.settled


def test_saved_plans(tmp_path: Path) -> None:
    spare, server = sides(a_world())
    path = tmp_path / "plan.json"
    save_plans(path, (make_plan(spare, server, "gate"),), source="spare", target="server", now_ns=T0_NS)
    text = path.read_text()
    assert '"created": "2026-09-21T' in text
    assert '"frames": 495' in text
    with pytest.raises(UsageError, match="there already"):
        save_plans(path, (), source="", target="", now_ns=0)
    saved = load_plans(path)
    assert (saved.source, saved.target) == ("spare", "server")
    path.write_text(re.sub(r'"shift_ns": -?\d+', '"shift_ns": 5000000000', text))
    with pytest.raises(UsageError, match="was changed since it was saved"):
        load_plans(path)
    assert carry_out(spare, server, saved.plans[0]).inserted_frames == 495
    assert server.ids() == dict.fromkeys(range(600), 1)


@settings(max_examples=20)
@given(st.lists(st.tuples(st.integers(0, 9), st.sampled_from(list(Order))), max_size=5), st.booleans())
def test_a_saved_plan_that_is_cut_off_goes_on(cuts: list[tuple[int, Order]], answered: bool) -> None:
    """Cut off before or after an insertion, again and again: each frame is inserted once, all are settled."""
    spare, server = sides(a_world(300))
    plan = make_plan(spare, server, "gate")
    there = len(server.ids())
    for steps, order in cuts:
        with pytest.MonkeyPatch.context() as patch, contextlib.suppress(Killed):
            killed_after(patch, steps, answered=answered)
            carry_out(spare, server, plan, order=order, pace=SMALL, control=Now())
        assert set(server.ids().values()) <= {1}
        assert len(server.ids()) >= there
        there = len(server.ids())
    report = carry_out(spare, server, plan, pace=SMALL, control=Now())
    assert report.verified
    assert report.inserted_frames == 300 - there
    assert report.duplicate_frames == 55 + there - 105
    assert server.ids() == dict.fromkeys(range(300), 1)
    assert spare.settled == {row.serial for row in spare.rows}
    again = carry_out(spare, server, plan)
    assert (again.inserted_frames, again.duplicate_frames) == (0, 250)


class Killed(BaseException):
    """The merging process is gone."""


def killed_after(patch: pytest.MonkeyPatch, steps: int, *, answered: bool) -> None:
    insert, left = Held.insert, [steps]

    def dying(self: Held, stretch: Stretch) -> Inserted:
        left[0] -= 1
        if left[0] < 0 and not answered:
            raise Killed
        done = insert(self, stretch)
        if left[0] < 0:
            raise Killed
        return done

    patch.setattr(Held, "insert", dying)


@pytest.mark.parametrize("change", ["another merge", "freed beside", "moved beside", "source moved"])
def test_a_saved_plan_that_was_cut_off_is_refused_by_a_store_that_changed(
    change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = a_world(300)
    world.record("other", camera(340)[290:])
    spare, server = sides(world)
    plan, own = make_plan(spare, server, "gate"), list(server.rows)
    why = "server: gate has changed since the plan was made"
    with monkeypatch.context() as patch:
        killed_after(patch, 3, answered=True)
        with pytest.raises(Killed):
            carry_out(spare, server, plan, pace=SMALL, control=Now())
    if change == "another merge":
        merge(world.timeline("other"), server)
    elif change == "source moved":
        spare.rows[-1] = msgspec.structs.replace(spare.rows[-1], shift_ns=spare.rows[-1].shift_ns + 1)
        why = "gate: the source has corrected its times"
    else:
        beside = max((row for row in own), key=lambda row: row.start_ns)
        server.rows.remove(beside)
        if change == "moved beside":
            server.rows.append(msgspec.structs.replace(beside, shift_ns=beside.shift_ns + 1))
        server.generation += 1
    with pytest.raises(PlanStale, match=why):
        carry_out(spare, server, plan)
    merge(spare, server)
    assert set(range(105, 290)) <= set(server.ids())
    assert set(server.ids().values()) == {1}


def test_a_saved_plan_stands_what_has_nothing_to_do_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that is full frees its oldest footage all the time."""
    spare, server = sides(a_world(300))
    plan = make_plan(spare, server, "gate")
    server.rows.remove(min(server.rows, key=lambda row: row.start_ns))
    server.generation += 1
    with monkeypatch.context() as patch:
        killed_after(patch, 3, answered=True)
        with pytest.raises(Killed):
            carry_out(spare, server, plan, pace=SMALL, control=Now())
    freed = min(server.rows, key=lambda row: row.start_ns)
    server.rows.remove(freed)
    server.generation += 1
    report = carry_out(spare, server, plan)
    assert report.verified
    assert set(range(105, 300)) <= set(server.ids())
    assert set(server.ids().values()) == {1}


def test_a_saved_plan_rides_out_a_cut_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    spare, server = sides(a_world())
    plan = make_plan(spare, server, "gate")
    cut_insertions(monkeypatch, requests=(2, 5), answers=(3, 7))
    report = carry_out(spare, server, plan, pace=SMALL, control=Now(), patience_ns=60 * NS_PER_S)
    assert (report.inserted_frames, report.duplicate_frames) == (495, 55)
    assert server.ids() == dict.fromkeys(range(600), 1)


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"fovideo_plan": 9}', "\xff"])
def test_files_that_are_no_plans(tmp_path: Path, content: str) -> None:
    path = tmp_path / "plan.json"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(UsageError, match="plan"):
        load_plans(path)
    with pytest.raises(UsageError, match="cannot read"):
        load_plans(tmp_path / "none")
