"""Corrections never put a recording out of its own order."""

from __future__ import annotations

from dataclasses import replace

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from fovideo.merge.manifest import Manifest
from fovideo.merge.placing.clock import Clock
from fovideo.merge.planning.inorder import in_order
from fovideo.timeline.values import Gop, Provenance
from fovideo.times import NS_PER_MS, NS_PER_S

INTERVAL_NS = 80 * NS_PER_MS
START_NS = 1_790_000_000 * NS_PER_S


def _manifest(counts: list[int], epochs: list[int] | None = None) -> Manifest:
    rows, at_ns = [], START_NS
    for serial, count in enumerate(counts):
        end_ns = at_ns + count * INTERVAL_NS
        epoch = epochs[serial] if epochs else 0
        rows.append(Gop("gate", serial, at_ns, end_ns, 0, 0, serial, 1, 1, epoch, count, INTERVAL_NS, 3))
        at_ns = end_ns
    return Manifest("s", "gate", rows, provenances={1: Provenance(recorder="spare-1", session="5" * 16)})


def _check(source: Manifest, clock: Clock) -> list[int]:
    (run,) = source.runs()
    clocks = in_order(source, [(run, clock)])
    shifts = [clocks[place].offset_at(row.start_ns) for place, row in enumerate(source.rows)]
    for row, shift, following, later in zip(source.rows, shifts, source.rows[1:], shifts[1:], strict=False):
        assert row.end_ns - INTERVAL_NS + shift < following.start_ns + later
    return shifts


def test_rows_before_a_fall_of_the_offset_give_way() -> None:
    source = _manifest([10, 10, 10, 10])
    fall = Clock.of([(START_NS, 86 * NS_PER_MS), (source.rows[2].end_ns, 0)])
    shifts = _check(source, fall)
    assert shifts[0] == 86 * NS_PER_MS
    assert shifts[3] == 0
    assert sorted(shifts, reverse=True) == shifts


def test_epochs_of_one_session_keep_their_order_too() -> None:
    source = _manifest([10, 10, 10], epochs=[0, 0, 1])
    before, after = source.runs()
    clocks = in_order(source, [(before, Clock.of([(START_NS, 90 * NS_PER_MS)])), (after, Clock())])
    shifts = [clocks[place].offset_at(row.start_ns) for place, row in enumerate(source.rows)]
    assert shifts[0] == 90 * NS_PER_MS
    assert shifts[1] < INTERVAL_NS
    assert shifts[2] == 0


def test_rows_that_the_target_holds_in_part_stay() -> None:
    source = _manifest([10, 10, 10, 10], epochs=[0, 1, 1, 1])
    before, after = source.runs()
    clocks = in_order(source, [(before, Clock.of([(START_NS, 90 * NS_PER_MS)])), (after, Clock())], {0})
    shifts = [clocks[place].offset_at(row.start_ns) for place, row in enumerate(source.rows)]
    assert shifts == [90 * NS_PER_MS, 34 * NS_PER_MS, 0, 0]


def test_a_stray_row_between_two_others_does_not_hide_their_overlap() -> None:
    source = _manifest([10, 10, 10], epochs=[0, 1, 1])
    stray = msgspec.structs.replace(
        source.rows[0], serial=9, start_ns=START_NS + 1, end_ns=START_NS + 2, epoch=7
    )
    source = replace(source, rows=(source.rows[0], stray, *source.rows[1:]))
    clocks = {0: Clock.of([(START_NS, 90 * NS_PER_MS)])}
    found = in_order(source, [(run, clocks.get(run.epoch, Clock())) for run in source.runs()], {0})
    assert found[2].offset_at(source.rows[2].start_ns) == 34 * NS_PER_MS


def test_an_offset_that_stays_or_rises_is_left_alone() -> None:
    source = _manifest([10, 10, 10])
    (run,) = source.runs()
    for anchors in ([(START_NS, 5)], [(START_NS, 0), (source.rows[1].end_ns, 86 * NS_PER_MS)]):
        clock = Clock.of(anchors)
        assert in_order(source, [(run, clock)]) == dict.fromkeys(run.places, clock)


@given(
    st.lists(st.integers(2, 30), min_size=12, max_size=20),
    st.integers(-400, 400),
    st.integers(-100, 100),
)
def test_any_step_between_two_anchors_keeps_the_order(counts: list[int], first_ms: int, last_ms: int) -> None:
    source = _manifest(counts)
    _check(
        source, Clock.of([(START_NS, first_ms * NS_PER_MS), (source.rows[-1].end_ns, last_ms * NS_PER_MS)])
    )
