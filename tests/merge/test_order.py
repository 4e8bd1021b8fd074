"""In which order, in which steps and how fast a plan is carried out: pure decisions."""

from __future__ import annotations

from functools import cache

from hypothesis import given
from hypothesis import strategies as st
from merge_world import World, Wrong, camera

from fovideo.merge import Order, Pace, Plan, make_plan
from fovideo.merge.doing.order import recut, steps
from fovideo.merge.doing.pace import FIRST_PAUSE_NS, LONGEST_PAUSE_NS, eta_ns, retry_after_ns
from fovideo.timeline.values import Gop, GopFlag
from fovideo.times import NS_PER_MS, NS_PER_S


@cache
def planned(wrong: int = 0) -> tuple[Plan, dict[int, Gop]]:
    world = World()
    shots = camera(600)
    world.record("server", shots[:105])
    world.record("spare", shots[55:300], wrong=Wrong(wrong))
    world.record("spare", shots[330:600], wrong=Wrong(wrong), lost=range(402, 407))
    spare = world.timeline("spare")
    return make_plan(spare, world.timeline("server"), "gate"), {row.serial: row for row in spare.rows}


@given(st.integers(0, 3_000), st.sampled_from(list(Order)), st.sampled_from([0, -7 * NS_PER_S]))
def test_steps_are_the_plan_in_playable_portions(step_bytes: int, order: Order, wrong: int) -> None:
    made, rows = planned(wrong)
    found = steps(made.stretches, rows, order=order, step_bytes=step_bytes)
    wanted = [(piece, stretch.provenance) for stretch in made.stretches for piece in stretch.pieces]
    got = [(piece, step.provenance) for step in found for piece in step.pieces]
    assert sorted(got, key=repr) == sorted(wanted, key=repr)
    firsts = {stretch.pieces[0] for stretch in made.stretches}
    for step in found:
        begin = step.pieces[0]
        assert begin in firsts or (not begin.rows and rows[begin.serial].flags & GopFlag.KEY)
        whole = next(stretch for stretch in made.stretches if step.pieces[0] in stretch.pieces)
        assert whole.span.from_ns <= step.span.from_ns < step.span.to_ns <= whole.span.to_ns
    starts = [step.span.from_ns for step in found]
    assert starts == sorted(starts, reverse=order is Order.NEWEST)
    for stretch in made.stretches:
        mine = [step.span for step in found if step.pieces[0] in stretch.pieces]
        assert min(span.from_ns for span in mine) == stretch.span.from_ns
        assert max(span.to_ns for span in mine) == stretch.span.to_ns


@given(st.integers(1, 10**10), st.lists(st.tuples(st.integers(1, 10**8), st.integers(0, 10**10)), min_size=1))
def test_a_rate_is_kept_over_any_steps(rate: int, sizes: list[tuple[int, int]]) -> None:
    pace = Pace(rate_bytes=rate)
    spent_ns = sum(took_ns + pace.wait_ns(size, took_ns) for size, took_ns in sizes)
    assert spent_ns >= sum(size * NS_PER_S // rate for size, _ in sizes)
    assert Pace().wait_ns(10**9, 0) == 0


@given(st.lists(st.integers(0, 2 * NS_PER_S)))
def test_the_brake_yields_and_lets_go(latencies: list[int]) -> None:
    pace, pause_ns = Pace(brake_ns=250 * NS_PER_MS), 0
    for latency_ns in latencies:
        before_ns, pause_ns = pause_ns, pace.pause_ns(pause_ns, latency_ns)
        assert 0 <= pause_ns <= LONGEST_PAUSE_NS
        if latency_ns > 250 * NS_PER_MS:
            assert pause_ns >= max(before_ns, FIRST_PAUSE_NS)
        else:
            assert pause_ns <= before_ns // 2
    for _ in range(8):
        pause_ns = pace.pause_ns(pause_ns, 0)
    assert pause_ns == 0
    assert Pace(brake_ns=0).pause_ns(NS_PER_S, 10 * NS_PER_S) == 0


@given(st.lists(st.integers(0, 2 * NS_PER_S)), st.integers(1, 64 << 20))
def test_the_brake_makes_insertions_small_and_large_again(latencies: list[int], most: int) -> None:
    pace, size = Pace(brake_ns=250 * NS_PER_MS), 0
    for latency_ns in latencies:
        before, size = size, pace.next_step_bytes(size, latency_ns, most)
        assert min(256 << 10, most) <= size <= most
        if before and latency_ns > 250 * NS_PER_MS:
            assert size <= max(before // 4, 256 << 10)
        elif before:
            assert size >= before
    for _ in range(9):
        size = pace.next_step_bytes(size, 1, most)
    assert size == most
    assert Pace(brake_ns=0).next_step_bytes(0, NS_PER_S, most) == most


@given(st.integers(0, 3_000), st.integers(0, 3_000), st.sampled_from(list(Order)), st.data())
def test_what_is_left_can_be_cut_anew(first: int, then: int, order: Order, data: st.DataObject) -> None:
    made, rows = planned(0)
    whole = steps(made.stretches, rows, order=order, step_bytes=first)
    done = data.draw(st.integers(0, len(whole)))
    left = recut(made.stretches, whole[done:], rows, order, then)
    wanted = [(piece, stretch.provenance) for stretch in made.stretches for piece in stretch.pieces]
    got = [(piece, step.provenance) for step in (*whole[:done], *left) for piece in step.pieces]
    assert sorted(got, key=repr) == sorted(wanted, key=repr)
    fresh = steps(made.stretches, rows, order=order, step_bytes=then)
    assert done or left == fresh


def test_a_slow_disk_is_soon_left_alone() -> None:
    pace, pause_ns, spent_ns = Pace(), 0, 0
    for _ in range(10):
        pause_ns = pace.pause_ns(pause_ns, NS_PER_S)
        spent_ns += pause_ns
    assert pause_ns == LONGEST_PAUSE_NS
    assert spent_ns > 40 * NS_PER_S


@given(st.integers(0, 10**12), st.booleans())
def test_steps_are_small_where_they_must_wait(rate: int, live: bool) -> None:
    size = Pace(rate_bytes=rate).step_bytes(live)
    assert 256 << 10 <= size <= 64 << 20
    if live:
        assert size <= 16 << 20
    if rate >= 1 << 20:
        assert size <= rate // 2 + (256 << 10)


@given(st.integers(-(10**12), 10**12), st.integers(0, 10**12))
def test_time_left(left: int, pace: int) -> None:
    left_ns = eta_ns(left, pace)
    if left <= 0:
        assert left_ns == 0
    elif pace:
        assert left_ns == left * NS_PER_S // pace
    else:
        assert left_ns is None


def test_pauses_between_attempts_grow_to_a_limit() -> None:
    pauses = [retry_after_ns(tries) for tries in range(100)]
    assert pauses == sorted(pauses)
    assert (pauses[0], pauses[-1]) == (200 * NS_PER_MS, 5 * NS_PER_S)
