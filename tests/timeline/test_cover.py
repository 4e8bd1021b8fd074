"""Spans and gaps against slow and obvious references that look at single frames."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import msgspec
import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from rows import STEP, row, tables

from fovideo.media.frames import FrameFlag
from fovideo.segment import encode_table
from fovideo.timeline import Gap, Gop, GopFlag, Loss, Span, gaps, spans
from fovideo.timeline.values import Provenance

OWN = Provenance(recorder="rec-1", session="1")
MERGED = Provenance(recorder="spare-1", session="2", inserted_from="ab")
WHO = {1: OWN, 2: MERGED}


@st.composite
def histories(draw: st.DrawFn) -> list[Gop]:
    """Frames at whole multiples of STEP, dealt to rows of up to 12 frames; some rows have holes."""
    rows = []
    at = 0
    for serial in range(draw(st.integers(0, 12))):
        at += draw(st.sampled_from([0, 0, 0, 1, 3, 50]))
        ticks = [at]
        for _ in range(draw(st.integers(2, 12))):
            ticks.append(ticks[-1] + draw(st.sampled_from([1, 1, 1, 1, 1, 2, 4])))
        if draw(st.booleans()):
            at = ticks[-1] + 1
        rows.append(row(ticks, serial=serial, provenance=draw(st.sampled_from([1, 2])), interval=STEP))
    return sorted(rows, key=lambda gop: (gop.start_ns, gop.serial))


def ticks_of(rows: Sequence[Gop]) -> list[int]:
    return sorted(tick for gop in rows for tick in (tables(gop)["dts_ns"] // STEP).tolist())


@given(histories())
def test_gaps_are_what_no_frame_covers(rows: list[Gop]) -> None:
    held = sorted(set(ticks_of(rows)))
    expected = [
        Gap((left + 1) * STEP, right * STEP) for left, right in itertools.pairwise(held) if right > left + 1
    ]
    assert gaps(rows, tables=tables) == expected


@given(histories(), st.integers(0, 100), st.integers(1, 100))
def test_gaps_in_a_window_are_clipped(rows: list[Gop], start: int, length: int) -> None:
    stop = start + length
    held = set(ticks_of(rows))
    missing = [tick for tick in range(start, stop) if tick not in held]
    expected = []
    for tick in missing:
        if expected and expected[-1][1] == tick:
            expected[-1][1] = tick + 1
        else:
            expected.append([tick, tick + 1])
    met = [gop for gop in rows if gop.start_ns < stop * STEP and gop.end_ns > start * STEP]
    found = gaps(met, (), start * STEP, stop * STEP, tables)
    # Where a window's edge cuts off a single frame's time, that may be jitter as well.
    edges = {(start, start + 1), (stop - 1, stop)}
    assert [
        (gap.start_ns // STEP, gap.end_ns // STEP)
        for gap in found
        if (gap.start_ns // STEP, gap.end_ns // STEP) not in edges
    ] == [(left, right) for left, right in expected if (left, right) not in edges]


@given(histories())
def test_spans_count_each_frame_once(rows: list[Gop]) -> None:
    found = spans(rows, WHO, tables)
    assert sum(span.frames for span in found) == len(ticks_of(rows))
    for label in {span.provenance for span in found}:
        mine = [span for span in found if span.provenance == label]
        held = sorted(set(ticks_of([gop for gop in rows if WHO[gop.provenance].label == label])))
        runs: list[list[int]] = []
        for tick in held:
            if runs and runs[-1][1] == tick:
                runs[-1][1] = tick + 1
            else:
                runs.append([tick, tick + 1])
        assert [[span.start_ns // STEP, span.end_ns // STEP] for span in mine] == runs


def test_nothing() -> None:
    assert spans([], {}) == []
    assert gaps([]) == []
    assert gaps([], (), 5, 10) == [Gap(5, 10)]
    assert gaps([], (), 10, 5) == []
    assert gaps([], (), 5, None) == []


def test_jitter_is_no_gap() -> None:
    frames = np.arange(50) * STEP
    frames += np.where(np.arange(50) % 2, STEP // 5, 0)
    first = row([0], times=frames[:25].tolist(), serial=1)
    second = row([0], times=frames[25:].tolist(), serial=2)
    assert gaps([first, second], tables=tables) == []


def test_one_missing_frame_between_rows_is_a_gap() -> None:
    assert gaps([row(range(5), serial=1), row(range(6, 9), serial=2)]) == [Gap(5 * STEP, 6 * STEP)]


def test_a_slower_rate_is_no_gap() -> None:
    fast = row(range(25), serial=1)
    slow = row([0], times=[25 * STEP + 5 * STEP * n for n in range(5)], serial=2)
    faster = row(range(50, 60), serial=3)
    assert gaps([fast, slow, faster], tables=tables) == []


def test_a_row_without_primary_frames_covers_nothing() -> None:
    silent = row(range(3), serial=1, frames=0)
    assert spans([silent], WHO) == []
    assert gaps([silent], (), 0, STEP * 2) == [Gap(0, STEP * 2)]


def test_a_single_frame_takes_its_neighbours_interval() -> None:
    lone = row([5], serial=2, provenance=2, interval=0)
    assert gaps([row(range(5), serial=1), lone, row(range(6, 9), serial=3)]) == []


def test_lost_before_marks_a_hole_that_is_hardly_too_long() -> None:
    times = [0, STEP, 2 * STEP, int(3.5 * STEP), int(4.5 * STEP)]
    plain = row([0], times=times, serial=1)
    assert not plain.flags & GopFlag.GAPS
    told = row([0], times=times, serial=1, lost=(3,))
    assert told.flags & GopFlag.GAPS
    assert gaps([told], tables=tables) == [Gap(3 * STEP, int(3.5 * STEP))]
    assert tables(told)["flags"][3] & FrameFlag.LOST_BEFORE


def test_holes_are_seen_only_with_tables() -> None:
    holed = row([0, 1, 2, 8, 9], serial=1)
    assert gaps([holed]) == []
    assert gaps([holed], tables=tables) == [Gap(3 * STEP, 8 * STEP)]
    assert spans([holed], WHO, tables) == [
        Span(0, 3 * STEP, 3, "rec-1"),
        Span(8 * STEP, 10 * STEP, 2, "rec-1"),
    ]


def test_a_gap_says_why_where_losses_explain_most_of_it() -> None:
    rows = [row(range(5), serial=1), row(range(25, 30), serial=2), row(range(130, 140), serial=3)]
    losses = [
        Loss(5 * STEP, 20 * STEP, 15, "disk-slow"),
        Loss(18 * STEP, 22 * STEP, 4, "transport"),
        Loss(30 * STEP, 40 * STEP, 10, "cut"),
    ]
    assert [gap.reason for gap in gaps(rows, losses)] == ["disk-slow", ""]


def reordered(*order: int, serial: int, key: bool = True) -> Gop:
    """A row of frames at these ticks, in the order in which they are sent."""
    made = row(sorted(order), serial=serial, key=key, interval=STEP)
    table = tables(made)
    table["time_ns"] = [tick * STEP for tick in order]
    return msgspec.structs.replace(made, table=encode_table(table))


def test_the_first_and_last_frames_of_reordered_footage_lie_apart_without_a_gap() -> None:
    """Joined behind the frame for 3, left before the ones for 13 and 14 came."""
    rows = [
        reordered(2, 6, 4, 5, 9, 7, 8, serial=0, key=False),
        reordered(12, 10, 11, serial=1),
        reordered(15, serial=2),
    ]
    assert gaps(rows, tables=tables) == []
    assert gaps(rows, from_ns=0, to_ns=20 * STEP, tables=tables) == [
        Gap(0, 2 * STEP),
        Gap(3 * STEP, 4 * STEP),
        Gap(13 * STEP, 15 * STEP),
        Gap(16 * STEP, 20 * STEP),
    ]


def test_a_frame_missing_near_the_edge_of_footage_in_order_is_a_gap() -> None:
    assert gaps([row([2, 4, 5, 6], serial=0, key=False)], tables=tables) == [Gap(3 * STEP, 4 * STEP)]


def test_a_frame_missing_inside_of_reordered_footage_is_a_gap() -> None:
    rows = [
        reordered(0, 3, 1, 2, 6, 4, 5, serial=0),
        reordered(10, 8, 9, 13, 11, 12, serial=1),
        reordered(16, 14, 15, serial=2),
    ]
    assert gaps(rows, tables=tables) == [Gap(7 * STEP, 8 * STEP)]


def test_single_frames_last_as_long_as_the_others() -> None:
    """Two spares that each bring one frame of a slow camera: where one ends, the next begins."""
    step = 3  # in ticks: slower than the interval that is taken where nothing else is known
    alone = [row([at * step], serial=at, interval=0, key=False) for at in (3, 4)]
    rows = [row([0, step, 2 * step], serial=0), *alone, row([5 * step, 6 * step, 7 * step], serial=9)]
    assert gaps(rows, tables=tables) == []
