"""A record through the ring from Python, and the ring beside memcpy and fixed slots in C."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.compiled import queues, seconds
from fovideo.ring import Kind, Ring


@pytest.mark.parametrize("size", [64, 40_960])
def test_push_unit(benchmark, size: int) -> None:
    ring = Ring(1 << 24)
    payload = (size - 4).to_bytes(4, "big") + b"\x65" + bytes(size - 5)

    def once() -> None:
        ring.push_unit(
            kind=Kind.FRAME, track=1, pts_ns=0, wall_ns=0, receipt_ns=0, session=1, payload=payload, packing=3
        )
        ring.release(ring.head)

    benchmark(once)
    assert ring.dropped_units == 0


def test_read_units(benchmark) -> None:
    ring = Ring(1 << 24)
    for _ in range(250):
        ring.push_unit(
            kind=Kind.FRAME, track=1, pts_ns=0, wall_ns=0, receipt_ns=0, session=1, payload=bytes(9000)
        )
    assert len(benchmark(ring.units)) == 250


@pytest.mark.parametrize("how", ["threads", "processes"])
@pytest.mark.parametrize("queue", ["ring", "slots", "memcpy"])
@pytest.mark.parametrize("size", [64, 40_960])
def test_through_queue(benchmark, tmp_path: Path, large: bool, queue: str, how: str, size: int) -> None:
    program = queues(tmp_path)
    if program is None:
        pytest.skip("no C compiler")
    count = (40_000_000 if large else 40_000) // size * 64
    assert benchmark.pedantic(seconds, args=(program, queue, how, size, count), rounds=3 if large else 1) > 0
