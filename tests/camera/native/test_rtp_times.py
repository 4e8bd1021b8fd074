"""Media time and wall clock of units: RTP time through its wraps, sender reports, times that cannot be."""

from __future__ import annotations

import pytest
from native_flows import STEP, Bench

from fovideo.camera import _native
from fovideo.media.frames import FrameFlag
from fovideo.ring import NO_TIME

LOST = FrameFlag.LOST_BEFORE


def idr(size: int = 900, fill: int = 1) -> bytes:
    return b"\x65\x88" + bytes([fill]) * size


def delta(size: int = 500, fill: int = 2) -> bytes:
    return b"\x41\x9a" + bytes([fill]) * size


def test_pts_follow_rtp_time_through_its_wrap_and_b_frames() -> None:
    bench = Bench(reported=False)
    base = 2**32 - STEP - 1
    for ticks in (0, 3 * STEP, STEP, 2 * STEP, 6 * STEP):
        bench.send(delta(fill=ticks % 251), base + ticks, marker=True)
    assert [row.pts_ns for row in bench.rows()] == [n * 40_000_000 for n in (0, 3, 1, 2, 6)]


def test_sender_reports_give_the_wall_clock_also_through_the_wrap() -> None:
    bench = Bench(reported=False)
    wall = 1_790_000_000_123_456_000
    bench.send(delta(), 2**32 - 2 * STEP, marker=True)
    bench.send(delta(), 2**32 - STEP, marker=True)
    bench.report(wall, 2**32 - STEP)
    for number in range(1, 4):
        bench.send(delta(fill=number), (number - 1) * STEP, marker=True)
    bench.report(wall + 7_000_000, 2 * STEP)
    bench.send(delta(), 3 * STEP, marker=True)
    first, second, *others = bench.rows()
    assert (first.wall_ns, second.wall_ns) == (NO_TIME, NO_TIME)
    wanted = [wall + n * 40_000_000 for n in (1, 2, 3)] + [wall + 47_000_000]
    assert all(abs(row.wall_ns - time) < 1000 for row, time in zip(others, wanted, strict=True))


@pytest.mark.parametrize("time_ns", [-1_000_000_000, 2_085_978_496_500_000_000, 2_200_000_000_000_000_000])
def test_wall_clocks_before_1970_and_after_2036(time_ns: int) -> None:
    bench = Bench(reported=False)
    bench.report(time_ns, 100)
    bench.send(delta(), 100 + 90, marker=True)
    assert abs(bench.rows()[0].wall_ns - time_ns - 1_000_000) < 1000


def test_a_report_without_a_time_is_none() -> None:
    bench = Bench(reported=False)
    bench.report(-2_208_988_800_000_000_000, 0)
    for number in range(2):
        bench.send(delta(), number * STEP, marker=True)
    assert bench.rows()[0].wall_ns == NO_TIME


def test_the_first_unit_waits_for_a_report_until_the_next_one_begins() -> None:
    bench = Bench(reported=False)
    bench.send(idr(), 0, marker=True)
    assert not bench.rows()
    bench.report(10**18, 0)
    bench.send(delta(), STEP, marker=True)
    assert [row.wall_ns for row in bench.rows()] == [10**18, 10**18 + 40_000_000]
    assert [row.receipt_ns for row in bench.rows()] == [2_000_000, 4_000_000]


@pytest.mark.parametrize("lost", [False, True])
def test_the_first_unit_is_whole_although_it_waits(lost: bool) -> None:
    bench = Bench(reported=False)
    bench.send(idr(), 0, marker=True)
    if lost:
        bench.sequence[0] += 1
        bench.send(delta(), 2 * STEP, marker=True)
    bench.flow.close()
    assert [row.flags for row in bench.rows()] == [FrameFlag.KEY, LOST][: 1 + lost]


def test_absurd_timestamps_give_no_time_instead_of_nonsense() -> None:
    bench = Bench(_native.PACKETS, rate=1)
    for number in range(4):
        bench.send(b"x", number * 0x7FFFFFFF)
    assert [row.pts_ns for row in bench.rows()] == [0, 0x7FFFFFFF * 10**9, NO_TIME, NO_TIME]
