"""What is shown where rows overlap."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from rows import STEP, row, tables

from fovideo.media.frames import empty_frames
from fovideo.timeline import Choice, Gop, choose, effective, play_order
from fovideo.timeline.values import Provenance, Splice

WHO = {
    1: Provenance(recorder="rec-1", session="1", store="aa"),
    2: Provenance(recorder="spare-1", session="2", store="bb", inserted_from="bb"),
    3: Provenance(recorder="spare-2", session="3", store="cc", inserted_from="cc"),
    4: Provenance(recorder="spare-2", session="4", store="cc", inserted_from="cc", splice=Splice.CONFLICT),
    5: Provenance(recorder="other", session="5", store="dd"),
}


def shown(choices: list[Choice]) -> list[tuple[int, int]]:
    """Serial and tick of each frame that is shown."""
    return [
        (choice.gop.serial, tick)
        for choice in choices
        for tick in (tables(choice.gop)["dts_ns"] // STEP).tolist()
        if tick * STEP < choice.end_ns
    ]


def test_rows_one_after_the_other_are_all_shown() -> None:
    rows = [row(range(5), serial=1), row(range(5, 9), serial=2, provenance=2), row(range(9, 12), serial=3)]
    assert choose(rows, WHO, "aa", tables) == [Choice(gop, gop.end_ns) for gop in rows]


def test_a_frame_in_a_hole_is_shown() -> None:
    own = row([0, 1, 2, 4, 5, 6], serial=1)
    fill = row([3], serial=2, provenance=2)
    assert sorted(tick for _, tick in shown(choose([own, fill], WHO, "aa", tables))) == list(range(7))


def test_a_frame_in_a_hole_is_shown_though_clocks_differ() -> None:
    own = row([0, 1, 2, 4, 5, 6], serial=1)
    for jitter in (-STEP // 5, STEP // 5):
        fill = row([0], times=[3 * STEP + jitter], serial=2, provenance=2)
        assert len(choose([own, fill], WHO, "aa", tables)) == 2


def test_own_footage_wins_and_cuts_the_tail_of_an_inserted_row() -> None:
    inserted = row(range(10), serial=9, provenance=2)
    own = row(range(6, 16), serial=1)
    assert choose([inserted, own], WHO, "aa") == [Choice(inserted, 6 * STEP), Choice(own, own.end_ns)]


def test_what_follows_a_cut_does_not_decode_and_is_not_shown() -> None:
    own = row(range(4), serial=1)
    inserted = row(range(2, 10), serial=9, provenance=2)
    assert choose([own, inserted], WHO, "aa") == [Choice(own, own.end_ns)]


def test_a_later_clock_wins_among_own_rows() -> None:
    before = row(range(10), serial=1)
    after = row(range(7, 17), serial=2)
    assert choose([before, after], WHO, "aa") == [Choice(before, 7 * STEP), Choice(after, after.end_ns)]


def test_conflicts_are_never_shown() -> None:
    assert choose([row(range(5), serial=1, provenance=4)], WHO, "aa") == []


def test_sound_or_metadata_alone_hides_no_video() -> None:
    video = row(range(2, 12), serial=9, provenance=2)
    for track in (2, 3):
        alone = row(range(10), serial=1, track=track)
        assert choose([alone, video], WHO, "aa", tables) == [
            Choice(each, each.end_ns) for each in (alone, video)
        ]


def test_sound_alone_hides_other_sound_and_metadata_nothing() -> None:
    own, other = (row(range(10), serial=n, provenance=n, track=2) for n in (1, 2))
    assert choose([own, other], WHO, "aa", tables) == [Choice(own, own.end_ns)]
    own, other = (row(range(10), serial=n, provenance=n, track=3) for n in (1, 2))
    assert len(choose([own, other], WHO, "aa", tables)) == 2


def test_rows_of_another_store_count_as_inserted() -> None:
    foreign = row(range(10), serial=9, provenance=5)
    own = row(range(5, 10), serial=1)
    assert choose([foreign, own], WHO, "aa")[0] == Choice(foreign, 5 * STEP)
    assert choose([foreign, own], WHO)[0] == Choice(foreign, foreign.end_ns)


@st.composite
def overlapping(draw: st.DrawFn) -> list[Gop]:
    rows = []
    for serial in range(1, draw(st.integers(1, 10)) + 1):
        start = draw(st.integers(0, 40))
        ticks = [start]
        for _ in range(draw(st.integers(0, 8))):
            ticks.append(ticks[-1] + draw(st.sampled_from([1, 1, 1, 3])))
        rows.append(row(ticks, serial=serial, provenance=draw(st.sampled_from([1, 1, 2, 3])), interval=STEP))
    return sorted(rows, key=lambda gop: (gop.start_ns, gop.serial))


@given(overlapping())
def test_never_two_frames_at_an_instant_and_own_frames_first(rows: list[Gop]) -> None:
    frames = shown(choose(rows, WHO, "aa", tables))
    ticks = [tick for _, tick in frames]
    assert len(ticks) == len(set(ticks))
    own = {gop.serial for gop in rows if gop.provenance == 1}
    held_own = {
        tick for gop in rows if gop.serial in own for tick in (tables(gop)["dts_ns"] // STEP).tolist()
    }
    assert not [
        tick
        for serial, tick in frames
        if serial not in own and tick in held_own and tick not in _hidden(rows, own)
    ]


def _hidden(rows: list[Gop], own: set[int]) -> set[int]:
    """Ticks of own frames that an own row with a later clock has cut off."""
    shown_own = {
        tick for serial, tick in shown(choose([gop for gop in rows if gop.serial in own], WHO, "aa", tables))
    }
    return {
        tick for gop in rows if gop.serial in own for tick in (tables(gop)["dts_ns"] // STEP).tolist()
    } - shown_own


@given(overlapping())
def test_a_prefix_of_each_row_is_shown(rows: list[Gop]) -> None:
    for choice in choose(rows, WHO, "aa", tables):
        assert choice.gop.start_ns < choice.end_ns <= choice.gop.end_ns


@given(st.lists(st.lists(st.tuples(st.integers(0, 30), st.sampled_from([1, 2])), max_size=12), max_size=5))
def test_play_order_is_by_time_and_keeps_each_tracks_order(parts: list[list[tuple[int, int]]]) -> None:
    made = []
    for part in parts:
        table = empty_frames(len(part))
        table["dts_ns"] = sorted(dts for dts, _ in part)
        table["track"] = [track for _, track in part]
        made.append(table)
    order = play_order(made)
    assert order.shape == (sum(map(len, made)), 2)
    dts = [int(made[table]["dts_ns"][place]) for table, place in order.tolist()]
    assert dts == sorted(dts)
    for number, table in enumerate(made):
        for track in (1, 2):
            places = [
                place for owner, place in order.tolist() if owner == number and table["track"][place] == track
            ]
            assert places == sorted(places)
    ends = [15] * len(made)
    kept = play_order(made, ends)
    assert [tuple(pair) for pair in kept.tolist()] == [
        tuple(pair) for pair, time in zip(order.tolist(), dts, strict=True) if time < 15
    ]


def test_effective_times_leave_the_stored_ones_alone() -> None:
    stored = empty_frames(3)
    stored["dts_ns"] = [1, 2, 3]
    moved = effective(stored, 10)
    assert moved["dts_ns"].tolist() == [11, 12, 13]
    assert moved["receipt_ns"].tolist() == [0, 0, 0]
    assert stored["dts_ns"].tolist() == [1, 2, 3]
    assert np.array_equal(effective(stored, 0), stored)
