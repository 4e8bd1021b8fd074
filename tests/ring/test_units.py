"""Units: rows as pushed, stored form, and the rule by which a full ring drops."""

from __future__ import annotations

import gc
from typing import Any

import numpy as np
import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from fovideo.media import nal
from fovideo.media.codec import Codec
from fovideo.media.frames import FrameFlag, empty_frames
from fovideo.ring import NO_TIME, UNIT, Kind, Packing, Ring, leading

KEY = b"\0\0\0\1\x67sps\0\0\0\1\x68pps\0\0\1\x65" + b"key" * 1700 + b"\x80"
DELTA = b"\0\0\0\1\x41" + b"delta" * 1000 + b"\x80"


def push(ring: Ring, payload: bytes, **changes: Any) -> bool:
    unit: dict[str, Any] = {
        "kind": Kind.FRAME,
        "track": 1,
        "pts_ns": 0,
        "wall_ns": NO_TIME,
        "receipt_ns": 0,
        "session": 7,
        "packing": Packing.ANNEXB_H264,
    }
    return ring.push_unit(**(unit | changes), payload=payload)


def test_a_row_is_what_was_pushed() -> None:
    with Ring(65_536) as ring:
        assert push(ring, KEY, pts_ns=-5, wall_ns=1 << 60, receipt_ns=42, session=2**32 - 1, value=99)
        assert push(
            ring,
            b"aac",
            track=2,
            pts_ns=NO_TIME,
            packing=Packing.RAW,
            flags=FrameFlag.KEY | FrameFlag.CORRUPT,
        )
        assert push(ring, b"format", kind=Kind.FORMAT, track=0, packing=Packing.RAW, value=3)
        assert push(ring, b"", kind=Kind.END, track=0, packing=Packing.RAW)
        rows = ring.units()
        assert rows.dtype == UNIT
        video, audio, form, end = rows
        sample = nal.annexb_to_lengths(KEY, Codec.H264)
        assert ring.payload(video["position"], video["size"]) == sample
        assert video["digest"] == nal.digest_video(sample, Codec.H264)
        assert (video["pts_ns"], video["wall_ns"], video["receipt_ns"]) == (-5, 1 << 60, 42)
        assert (video["session"], video["value"], video["kind"], video["track"]) == (
            2**32 - 1,
            99,
            Kind.FRAME,
            1,
        )
        assert video["flags"] == FrameFlag.KEY | FrameFlag.PARAMS
        assert audio["digest"] == xxhash.xxh64_intdigest(b"aac")
        assert audio["flags"] == FrameFlag.KEY | FrameFlag.CORRUPT
        assert audio["pts_ns"] == audio["wall_ns"] == NO_TIME
        assert (form["kind"], form["value"], form["size"]) == (Kind.FORMAT, 3, 6)
        assert (end["kind"], end["size"]) == (Kind.END, 0)
        assert ring.pushed_units == 4
        assert ring.pushed_bytes == len(sample) + 9
        assert rows["end"][-1] == ring.head


@given(st.lists(st.binary(max_size=200), max_size=20), st.sampled_from(list(Packing)), st.integers(1, 4))
def test_any_payload_is_stored_as_the_conversion_says(
    payloads: list[bytes], packing: Packing, length_size: int
) -> None:
    with Ring(65_536) as ring:
        for payload in payloads:
            assert push(ring, payload, packing=packing, length_size=length_size)
        rows = ring.units()
        assert len(rows) == len(payloads)
        for row, payload in zip(rows, payloads, strict=True):
            stored = nal.store_form(payload, packing, length_size)
            assert bytes(ring.payload(row["position"], row["size"])) == stored.sample
            assert (row["digest"], row["flags"]) == (stored.digest, stored.flags)


def fill(ring: Ring) -> int:
    """Push delta frames until one is dropped; the number that went in."""
    count = 0
    while push(ring, DELTA):
        count += 1
    return count


def test_a_full_ring_drops_to_the_next_keyframe_that_fits() -> None:
    with Ring(65_536) as ring:
        assert push(ring, KEY)
        inside = fill(ring)
        assert inside > 5
        rows = ring.units()
        assert not push(ring, KEY)  # a keyframe, but still no room
        ring.release(int(rows["end"][3]))
        assert not push(ring, DELTA)  # room, but it refers to a frame that is not there
        assert not push(ring, DELTA)
        assert push(ring, KEY)
        assert push(ring, DELTA)
        assert ring.dropped_units == 4
        assert ring.dropped_bytes == 3 * (len(DELTA)) + len(nal.annexb_to_lengths(KEY, Codec.H264))
        key, delta = ring.units(int(rows["end"][-1]))
        assert key["value"] == 4
        assert key["flags"] == FrameFlag.KEY | FrameFlag.PARAMS | FrameFlag.LOST_BEFORE
        assert (delta["value"], delta["flags"]) == (0, 0)


def test_tracks_are_counted_apart() -> None:
    with Ring(65_536) as ring:
        fill(ring)
        assert not push(ring, bytes(3000), track=2, packing=Packing.RAW)
        assert not push(ring, bytes(3000), track=2, packing=Packing.RAW)
        ring.release(ring.head)
        assert push(ring, b"sound", track=2, packing=Packing.RAW)
        assert push(ring, b"<xml/>", track=3, packing=Packing.RAW)
        assert not push(ring, DELTA)
        assert push(ring, KEY)
        sound, document, key = ring.units()
        assert (sound["value"], sound["flags"]) == (2, FrameFlag.LOST_BEFORE)
        assert (document["value"], document["flags"]) == (0, 0)
        assert (key["value"], key["flags"] & FrameFlag.LOST_BEFORE) == (2, FrameFlag.LOST_BEFORE)


def test_format_and_end_go_in_when_frames_do_not() -> None:
    with Ring(65_536) as ring:
        fill(ring)
        while push(ring, b"x", track=2, packing=Packing.RAW):
            pass
        assert push(ring, bytes(2000), kind=Kind.FORMAT, track=0, packing=Packing.RAW)
        assert push(ring, b"", kind=Kind.END, track=0, packing=Packing.RAW)
        dropped = ring.dropped_units
        assert not push(ring, bytes(5000), kind=Kind.FORMAT, track=0, packing=Packing.RAW)
        assert ring.dropped_units == dropped  # the producer still has it


def test_drops_are_known_to_the_producer_that_comes_next() -> None:
    with Ring(65_536) as ring:
        if ring.fd < 0:
            pytest.skip("shared memory for rings exists on Linux")
        with Ring(0, fd=ring.fd) as first:
            fill(first)
        ring.release(ring.head)
        with Ring(0, fd=ring.fd) as second:
            assert not push(second, DELTA)
            assert push(second, KEY)
        assert ring.units()["value"].tolist() == [2]


def test_a_frame_larger_than_the_ring_is_dropped() -> None:
    with Ring(65_536) as ring:
        assert not push(ring, KEY + b"x" * 70_000)
        assert ring.dropped_units == 1
        assert push(ring, KEY)
        assert ring.units()["value"].tolist() == [1]


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": 0},
        {"kind": 4},
        {"track": 4},
        {"track": -1},
        {"packing": 5},
        {"packing": -1},
        {"length_size": 0},
        {"length_size": 5},
        {"flags": 256},
    ],
)
def test_units_that_cannot_be(changes: dict[str, int]) -> None:
    with Ring(65_536) as ring:
        with pytest.raises(ValueError):
            push(ring, KEY, **changes)
        assert ring.used_bytes == 0


def test_rows_are_read_in_pieces() -> None:
    with Ring(1 << 20) as ring:
        for number in range(500):
            push(ring, b"x" * number, track=2, packing=Packing.RAW, pts_ns=number)
        everything, start, pieces = ring.units(), None, []
        while len(piece := ring.units(start, 64)):
            pieces.append(piece)
            start = int(piece["end"][-1])
        assert np.concatenate(pieces).tolist() == everything.tolist()
        assert everything["pts_ns"].tolist() == list(range(500))
        assert len(ring.units(limit=0)) == 0
        assert len(ring.units(limit=-1)) == 0


def test_rows_end_with_the_one_that_fills_the_bytes_asked_for() -> None:
    with Ring(1 << 20) as ring:
        for number in range(20):
            assert push(ring, bytes(1000), value=number, packing=Packing.RAW)
        assert len(ring.units(None, most_bytes=1)) == 1
        assert len(ring.units(None, most_bytes=5000)) == 5
        assert len(ring.units(None, most_bytes=5001)) == 6
        assert len(ring.units(None, 3, 5000)) == 3
        assert len(ring.units(None, most_bytes=1 << 30)) == 20
        assert leading(ring.units(None, most_bytes=5000))[2] == 5000


def test_payloads_are_views_that_are_made_when_asked_for() -> None:
    """One by one, from the end, in parts and parts of parts; they keep the memory."""
    ring = Ring(65_536)
    for number in range(5):
        assert push(ring, bytes([number]) * (number + 1), packing=Packing.RAW, track=2)
    rows = ring.units()
    frames = empty_frames(5)
    frames["size"] = rows["size"]
    found = ring.payloads(rows["position"].copy(), frames)
    ring.close()
    expected = [bytes([number]) * (number + 1) for number in range(5)]
    assert [bytes(each) for each in found] == expected
    assert (len(found), bytes(found[-1])) == (5, expected[-1])
    for cut in (slice(1, 4), slice(3, 1), slice(None), slice(-2, None), slice(0, 99), slice(None, None, -2)):
        part = found[cut]
        assert [bytes(each) for each in part] == expected[cut]
    inner = found[1:4][1:]
    del found, part
    gc.collect()
    assert [bytes(each) for each in inner] == expected[2:4]
    assert all(each.readonly for each in inner)
    for number in (2, -3):
        with pytest.raises(IndexError, match="of 2"):
            inner[number]


def test_payloads_must_lie_in_the_ring_and_fit_the_frames() -> None:
    with Ring(65_536) as ring:
        assert push(ring, b"x" * 100, packing=Packing.RAW, track=2)
        rows, frames = ring.units(), empty_frames(1)
        frames["size"] = 101
        positions = rows["position"].copy()
        for wrong in (positions - 10_000, positions + 10_000, positions + 8):
            with pytest.raises(ValueError, match="not in the ring"):
                ring.payloads(wrong, frames)
        with pytest.raises(ValueError, match="bytes of frames"):
            ring.payloads(np.repeat(positions, 2), frames)
        assert len(ring.payloads(positions[:0], frames[:0])) == 0
