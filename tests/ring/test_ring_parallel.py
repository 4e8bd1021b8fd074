"""Two threads, and two processes, pass records that carry their own checksum.

FOVIDEO_RING_SECONDS (default 0.5) is how long each passes records: minutes for a soak.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from fovideo.media.nal import xxh64
from fovideo.ring import Kind, Packing, Ring

SECONDS = float(os.environ.get("FOVIDEO_RING_SECONDS", "0.5"))
CAPACITY = 1 << 20
PRODUCER = """
import os, random, sys, time
from fovideo.ring import NO_TIME, Kind, Packing, Ring
seconds, first = float(sys.argv[2]), int(sys.argv[3])
ring = Ring(0, fd=int(sys.argv[1]))
block = os.urandom(1 << 17)
deadline, number = time.monotonic() + seconds, first
while time.monotonic() < deadline:
    size = random.choice((random.randrange(100), random.randrange(100_000)))
    at = random.randrange(1000)
    unit = dict(kind=Kind.FRAME, track=2, pts_ns=number, wall_ns=NO_TIME, receipt_ns=0, session=0)
    while not ring.push_unit(**unit, payload=block[at:at + size], packing=Packing.RAW):
        time.sleep(0)
    number += 1
while not ring.push_unit(**(unit | {"pts_ns": number, "kind": Kind.END}), payload=b""):
    time.sleep(0)
"""


def consume(ring: Ring, alive: Callable[[], bool]) -> int:
    """Checks number and digest of every record until END; the number of records."""
    expected = 0
    while True:
        rows = ring.units()
        if not len(rows):
            assert alive(), "the producer died"
            time.sleep(0.0002)
            continue
        for row in rows:
            assert row["pts_ns"] == expected
            assert xxh64(ring.payload(row["position"], row["size"])) == row["digest"]
            if row["kind"] == Kind.END:
                return expected
            expected += 1
        ring.release(int(rows["end"][-1]))


def start_producer(ring: Ring, seconds: float, first: int = 0) -> subprocess.Popen[bytes]:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    return subprocess.Popen(
        [sys.executable, "-c", PRODUCER, str(ring.fd), str(seconds), str(first)],
        pass_fds=[ring.fd],
        env=environment,
        cwd=Path(__file__).parent,
    )


@pytest.mark.skipif(sys.platform != "linux", reason="shared memory for rings exists on Linux")
def test_two_processes() -> None:
    with Ring(CAPACITY) as ring:
        producer = start_producer(ring, SECONDS)
        try:
            assert consume(ring, lambda: producer.poll() is None or ring.used_bytes > 0) > 100
            assert producer.wait(30) == 0
        finally:
            producer.kill()
            producer.wait()


@pytest.mark.skipif(sys.platform != "linux", reason="shared memory for rings exists on Linux")
def test_a_killed_producer_leaves_whole_records_and_is_replaced() -> None:
    with Ring(CAPACITY) as ring:
        expected = 0
        for _ in range(3):
            producer = start_producer(ring, 60, expected)
            try:
                base = ring.pushed_units
                while ring.pushed_units < base + 300:
                    assert producer.poll() is None
                    rows = ring.units()
                    if len(rows):
                        ring.release(int(rows["end"][-1]))
                        expected = int(rows["pts_ns"][-1]) + 1
                    time.sleep(0.0002)
            finally:
                producer.send_signal(signal.SIGKILL)
                producer.wait()
            rows = ring.units()
            for row in rows:
                assert row["pts_ns"] == expected
                assert xxh64(ring.payload(row["position"], row["size"])) == row["digest"]
                expected += 1
            if len(rows):
                ring.release(int(rows["end"][-1]))
        assert ring.used_bytes == 0


@pytest.mark.parametrize("shared", [True, False])
def test_two_threads(shared: bool) -> None:
    with Ring(CAPACITY, shared=shared) as ring:
        stop = threading.Event()
        block = os.urandom(1 << 17)

        def produce() -> None:
            number = 0
            unit = {"track": 2, "wall_ns": 0, "receipt_ns": 0, "session": 0, "packing": Packing.RAW}
            while not stop.is_set() or number == 0:
                payload = memoryview(block)[: (number * 7919) % 90_000]
                while not ring.push_unit(**unit, kind=Kind.FRAME, pts_ns=number, payload=payload):
                    time.sleep(0)
                number += 1
            while not ring.push_unit(**unit, kind=Kind.END, pts_ns=number, payload=b""):
                time.sleep(0)

        producer = threading.Thread(target=produce)
        timer = threading.Timer(SECONDS, stop.set)
        producer.start()
        timer.start()
        try:
            assert consume(ring, lambda: producer.is_alive() or ring.used_bytes > 0) > 100
        finally:
            stop.set()
            timer.cancel()
            producer.join(30)
