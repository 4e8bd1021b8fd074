"""The ring as an object: memory, attaching, closing, arguments that cannot be used."""

from __future__ import annotations

import gc
import os
import struct
import sys
import threading
import weakref
from pathlib import Path

import numpy as np
import pytest

from fovideo.ring import NO_TIME, UNIT, Kind, Ring

linux = pytest.mark.skipif(sys.platform != "linux", reason="shared memory for rings exists on Linux")


def push_frame(ring: Ring, payload: bytes = b"frame", track: int = 1) -> bool:
    return ring.push_unit(
        kind=Kind.FRAME, track=track, pts_ns=0, wall_ns=NO_TIME, receipt_ns=0, session=0, payload=payload
    )


def test_capacity_is_rounded_up() -> None:
    with Ring(1) as ring:
        assert ring.capacity_bytes == 65_536
    with Ring(65_537) as ring:
        assert ring.capacity_bytes == 131_072


@pytest.mark.parametrize("capacity", [0, -1, 1 << 50])
def test_a_capacity_that_cannot_be(capacity: int) -> None:
    with pytest.raises(ValueError, match="capacity"):
        Ring(capacity)


def test_an_empty_ring() -> None:
    with Ring(65_536) as ring:
        rows = ring.units()
        assert rows.dtype == UNIT
        assert len(rows) == 0
        assert ring.used_bytes == ring.head == ring.tail == 0
        ring.release(0)


@linux
def test_two_handles_share_one_ring() -> None:
    with Ring(65_536) as ring, Ring(0, fd=ring.fd) as peer:
        assert peer.fd != ring.fd
        assert peer.capacity_bytes == 65_536
        assert push_frame(ring, b"one")
        (row,) = peer.units()
        assert bytes(peer.payload(row["position"], row["size"])) == b"one"
        peer.release(int(row["end"]))
        assert ring.used_bytes == 0
        assert peer.pushed_units == 1
        assert peer.pushed_bytes == 3


@linux
def test_a_producer_that_dies_is_continued_by_the_next() -> None:
    with Ring(65_536) as ring:
        with Ring(0, fd=ring.fd) as first:
            assert push_frame(first, b"one")
        with Ring(0, fd=ring.fd) as second:
            assert push_frame(second, b"two")
        rows = ring.units()
        assert [bytes(ring.payload(row["position"], row["size"])) for row in rows] == [b"one", b"two"]


@linux
def test_what_cannot_be_attached_to() -> None:
    with Ring(65_536) as ring:
        with pytest.raises(ValueError, match="65536"):
            Ring(1 << 20, fd=ring.fd)
        fd = ring.fd
    other = os.memfd_create("not a ring")
    try:
        os.ftruncate(other, 131_072)
        with pytest.raises(OSError, match="attach"):
            Ring(0, fd=other)
    finally:
        os.close(other)
    with pytest.raises(OSError, match="attach"):
        Ring(0, fd=fd)


@linux
def test_discarded_memory_goes_back_to_the_system() -> None:
    def memory(ring: Ring) -> int:
        return os.fstat(ring.fd).st_blocks * 512

    with Ring(1 << 20) as ring:
        empty = memory(ring)
        for size in (1, 5000, 100_000, 700_000) * 5:
            ring.push(b"x" * size)
            rest = b"y" * 3000
            ring.push(rest)
            assert memory(ring) >= size
            first, second = ring.units()
            ring.release(int(first["end"]), discard=True)
            assert bytes(ring.payload(second["position"], second["size"])) == rest
            ring.release(int(second["end"]), discard=True)
            assert memory(ring) <= empty + 8192
        with pytest.raises(ValueError, match="release"):
            ring.release(ring.head + 8, discard=True)


@linux
def test_a_ring_that_is_emptied_goes_back_to_the_pages_that_it_kept() -> None:
    with Ring(1 << 20, keep_bytes=1 << 18) as ring:
        for _ in range(100):
            for _ in range(5):
                assert ring.push(b"x" * 20_000)
            ring.release(int(ring.units()["end"][-2]), discard=True)
        assert os.fstat(ring.fd).st_blocks * 512 < 300_000
        assert ring.used_bytes < 50_000


@linux
def test_a_ring_that_went_back_still_holds_its_whole_capacity() -> None:
    """The consumer stops after the producer went back: what is free lies on both sides of what is held."""
    sent = [bytes([number % 251]) * 9_000 for number in range(200)]
    with Ring(1 << 20, keep_bytes=1 << 18) as ring, Ring(0, fd=ring.fd) as reader:
        for payload in sent[:30]:
            assert ring.push(payload)
        reader.release(int(reader.units()["end"][26]), discard=True)
        done = 30
        while ring.push(sent[done]):
            done += 1
        assert ring.head - ring.tail > ring.capacity_bytes
        assert 0.97 * ring.capacity_bytes < ring.used_bytes < ring.capacity_bytes
        rows = reader.units()
        assert [bytes(reader.payload(r["position"], r["size"])) for r in rows] == sent[27:done]
        for row in rows:
            reader.release(int(row["end"]), discard=True)
        assert ring.used_bytes == 0
        assert os.fstat(ring.fd).st_blocks * 512 < 400_000


@linux
def test_memory_cannot_be_cut_by_a_peer() -> None:
    with Ring(65_536) as ring, pytest.raises(PermissionError):
        os.ftruncate(ring.fd, 4096)


@pytest.mark.parametrize("shared", [True, False])
def test_views_outlive_the_ring(shared: bool) -> None:
    ring = Ring(65_536, shared=shared)
    ring.push(b"x" * 1000)
    (row,) = ring.units()
    view = ring.payload(row["position"], row["size"])
    array = np.frombuffer(view, np.uint8)
    ring.close()
    ring.close()
    assert ring.closed
    assert ring.fd == -1
    del ring
    gc.collect()
    assert view == b"x" * 1000
    assert array.sum() == 1000 * ord("x")
    assert view.readonly


@linux
def test_memory_goes_with_the_last_view() -> None:
    def descriptors() -> int:
        links = (link for link in Path("/proc/self/fd").iterdir() if link.is_symlink())
        return sum("fovideo-ring" in str(link.readlink()) for link in links)

    before = descriptors()
    ring = Ring(65_536)
    ring.push(b"x")
    (row,) = ring.units()
    view = ring.payload(row["position"], row["size"])
    ring.close()
    assert descriptors() == before + 1
    view.release()
    assert descriptors() == before


def test_a_closed_ring_says_so() -> None:
    ring = Ring(65_536)
    ring.close()
    for call in (
        lambda: ring.push(b""),
        lambda: push_frame(ring),
        lambda: ring.units(),
        lambda: ring.payload(0, 0),
        lambda: ring.release(0),
        lambda: ring.used_bytes,
        lambda: ring.dropped_units,
    ):
        with pytest.raises(ValueError, match="closed"):
            call()


def test_closing_while_another_thread_pushes() -> None:
    for _ in range(20):
        ring = Ring(1 << 20)
        started = threading.Event()
        stopped: list[str] = []

        def work(ring: Ring = ring, started: threading.Event = started, out: list[str] = stopped) -> None:
            payload = bytes(100_000)
            try:
                while True:
                    ring.push(payload)
                    ring.release(ring.head)
                    started.set()
            except ValueError as error:
                out.append(str(error))

        thread = threading.Thread(target=work)
        thread.start()
        assert started.wait(10)
        ring.close()
        thread.join(10)
        assert stopped == ["the ring is closed"]


def test_positions_that_are_not_in_the_ring() -> None:
    with Ring(65_536) as ring:
        ring.push(b"a" * 100)
        end = ring.head
        ring.push(b"b" * 100)
        ring.release(end)
        for position in (0, end - 8, ring.head + 8, 1 << 60):
            with pytest.raises(ValueError, match="release"):
                ring.release(position)
        for position, size in ((0, 1), (end, 1 << 40), (ring.head, 1), (ring.head + 8, 0), (end - 8, 8)):
            with pytest.raises(ValueError, match="not in the ring"):
                ring.payload(position, size)
        for start in (0, end + 1, ring.head + 8, 1 << 60):
            with pytest.raises(ValueError, match="no record"):
                ring.units(start)
        with pytest.raises(OverflowError):
            ring.release(-1)
        assert len(ring.units(end)) == 1


@linux
def test_rubbish_in_shared_memory_is_an_error_not_a_crash() -> None:
    with Ring(65_536) as ring:
        ring.push(b"a" * 100)
        for size, kind in ((2**32 - 1, 2**32 - 1), (65_536, 0), (64, 9)):
            os.pwrite(ring.fd, struct.pack("<II", size, kind), 65_536)
            with pytest.raises(ValueError, match="no record"):
                ring.units()
        os.pwrite(ring.fd, struct.pack("<II", 16, 1), 65_536)  # a unit too short for its header
        with pytest.raises(ValueError, match="no record"):
            ring.units()


def test_a_ring_can_be_weakly_referenced_and_collected() -> None:
    ring = Ring(65_536)
    reference = weakref.ref(ring)
    del ring
    gc.collect()
    assert reference() is None
