"""A reader never shows a frame after another one than that which it continues."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import msgspec
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fovideo.media.frames import FrameFlag, FrameTable, empty_frames
from fovideo.timeline.held import Chain, hidden_rows
from fovideo.timeline.links import link, packed, unpacked
from fovideo.timeline.order import play_order
from fovideo.timeline.values import Gop, GopFlag, Provenance, Splice

STEP_NS = 40_000_000
COUNT, GOP = 24, 6


class World(NamedTuple):
    """tables: of each row. of: by serial, the row's frames. named: pairs that some row names."""

    rows: list[Gop]
    tables: dict[int, FrameTable]
    provenances: dict[int, Provenance]
    named: set[tuple[int, int]]


def digest(number: int) -> int:
    return (number + 1) * 0x9E3779B97F4A7C15 & (1 << 64) - 1


@st.composite
def worlds(draw: st.DrawFn, *, overlaps: bool = True) -> World:
    """Frames of one encode in rows of several recordings; of the pairs of neighbours some are named.
    overlaps: the clocks of the recordings may differ by a frame or so.
    """
    owner = draw(st.lists(st.integers(0, 3), min_size=COUNT, max_size=COUNT))
    off_ns = [draw(st.integers(-4, 4)) * STEP_NS // 3 if overlaps else 0 for _ in range(4)]
    rows, tables, named = [], {}, set[tuple[int, int]]()
    names: dict[int, set[int]] = {recording: set() for recording in range(4)}
    for before, after in pairwise(range(COUNT)):
        if owner[before] != owner[after] and draw(st.booleans()):
            teller = draw(st.sampled_from([owner[before], owner[after]]))
            names[teller].add(link(digest(before), digest(after)))
            named.add((before, after))
    for recording in range(4):
        for start in range(0, COUNT, GOP):
            mine = [number for number in range(start, start + GOP) if owner[number] == recording]
            if not mine:
                continue
            table = empty_frames(len(mine))
            table["time_ns"] = table["dts_ns"] = [n * STEP_NS + off_ns[recording] for n in mine]
            table["digest"] = [digest(number) for number in mine]
            table["track"], table["size"] = 1, mine
            table["flags"] = [FrameFlag.KEY if number % GOP == 0 else 0 for number in mine]
            serial = len(rows) + 1
            tables[serial] = table
            rows.append(
                Gop(
                    stream="gate",
                    serial=serial,
                    start_ns=int(table["dts_ns"][0]),
                    end_ns=int(table["dts_ns"][-1]) + STEP_NS,
                    shift_ns=0,
                    segment=recording + 1,
                    offset=0,
                    size_bytes=1,
                    provenance=recording + 1,
                    epoch=0,
                    frames=len(mine),
                    interval_ns=STEP_NS,
                    flags=GopFlag.GAPS | (GopFlag.KEY if mine[0] % GOP == 0 else 0),
                )
            )
    provenances = {
        recording + 1: Provenance(
            recorder="r",
            session=f"{recording:016x}",
            inserted_from="s" if recording else "",
            splice=Splice.NAMED | draw(st.sampled_from([0, Splice.FOLLOWS, Splice.LEADS])),
            links=packed(names[recording]),
        )
        for recording in range(4)
    }
    return World(rows, tables, provenances, named)


def played(world: World) -> list[tuple[Gop, int, bool]]:
    """Row and number of each frame in play order, and whether it is shown."""
    chain = Chain(lambda row: world.provenances[row.provenance])
    tables = [world.tables[row.serial] for row in world.rows]
    found = []
    for row, place in play_order(tables).tolist():
        frame = tables[row][place]
        shown = chain.shows(
            world.rows[row],
            int(frame["digest"]),
            int(frame["dts_ns"]),
            key=bool(frame["flags"] & FrameFlag.KEY),
        )
        found.append((world.rows[row], int(frame["size"]), shown))
    return found


@given(worlds())
def test_what_is_shown_continues_what_was_shown(world: World) -> None:
    rows_of = {number: row for row, number, _ in played(world)}
    last: int | None = None
    skipped = False
    for row, number, shown in played(world):
        own = [each for each, other in rows_of.items() if other.serial == row.serial and each < number]
        neighbour = last is not None and bool(own) and max(own) == last
        joined = (
            last is not None
            and rows_of[last].provenance == row.provenance
            and rows_of[last].serial != row.serial
            and number == last + 1
        )
        told = (last, number) in world.named
        if shown:
            lost = last is not None and number > last + 1
            assert number % GOP == 0 or joined or told or (neighbour and not (skipped and lost))
            last = number
        else:
            assert number % GOP
            assert not neighbour or number != last + 1
            assert not joined
        skipped = not shown


@given(worlds(overlaps=False))
def test_what_is_told_as_held_is_what_is_not_shown(world: World) -> None:
    hidden = hidden_rows(world.rows, world.provenances, lambda row: world.tables[row.serial])
    lacking = {row.serial for row, _, shown in played(world) if not (shown or row.flags & GopFlag.KEY)}
    assert {row.serial for row in hidden} == lacking


@given(st.sets(st.integers(0, (1 << 32) - 1)))
def test_names_are_packed(names: set[int]) -> None:
    assert unpacked(packed(names)) == names
    assert unpacked(packed(names) + b"abc") == names
    assert packed(names) == packed(sorted(names, reverse=True))


def test_names_differ_by_order_and_by_either_frame() -> None:
    one, other = digest(1), digest(2)
    assert len({link(one, other), link(other, one), link(one, one), link(other, other)}) == 4
    assert link(one, other) == link(int(np.uint64(one)), int(np.uint64(other)))


def test_what_earlier_versions_wrote_is_read_as_ever() -> None:
    written = msgspec.msgpack.encode({"recorder": "r", "session": "1", "splice": Splice.LEADS})
    old = msgspec.msgpack.decode(written, type=Provenance)
    assert (old.links, old.splice) == (b"", Splice.LEADS)
    assert b"links" not in msgspec.msgpack.encode(old)
