"""Frame tables come back to the last bit, stay small, and garbage is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fovideo.errors import SegmentDamaged
from fovideo.media.frames import FRAME, FrameTable, empty_frames
from fovideo.segment import decode_table, decode_tables, encode_table

T0_NS = 1_790_000_000_123_456_789


def camera_frames(count: int, fps: float = 25.0) -> FrameTable:
    """One GOP as a camera on a quiet network delivers it."""
    rng = np.random.default_rng(count)
    frames = empty_frames(count)
    frames["time_ns"] = T0_NS + np.round(np.round(np.arange(count) * 90_000 / fps) * 1e9 / 90_000).astype(
        np.int64
    )
    frames["dts_ns"] = frames["time_ns"]
    frames["receipt_ns"] = frames["time_ns"] + 3_000_000 + rng.normal(0, 1e6, count).astype(np.int64)
    frames["error_ns"] = 1_000_000
    frames["digest"] = rng.integers(0, 2**64, count, np.uint64)
    frames["size"] = rng.integers(3_000, 12_000, count)
    frames["size"][0] = 60_000
    frames["track"] = 1
    frames["flags"][0] = 3
    frames["clock"] = 1
    return frames


def with_b_frames(frames: FrameTable) -> FrameTable:
    times = frames["dts_ns"].copy()
    for at in range(1, len(frames) - 2, 3):
        frames["time_ns"][at : at + 3] = times[[at + 2, at, at + 1]]
    return frames


@pytest.mark.parametrize("fps", [12.5, 25, 30000 / 1001])
def test_a_gop_takes_about_14_bytes_a_frame(fps: float) -> None:
    frames = camera_frames(50, fps)
    packed = encode_table(frames)
    assert (decode_table(packed) == frames).all()
    assert len(packed) <= 14.5 * len(frames)


def test_b_frames_cost_almost_nothing() -> None:
    plain, reordered = camera_frames(48), with_b_frames(camera_frames(48))
    packed = encode_table(reordered)
    assert (decode_table(packed) == reordered).all()
    assert len(packed) - len(encode_table(plain)) <= 1.0 * len(plain)


def test_no_rows() -> None:
    assert len(decode_table(encode_table(empty_frames()))) == 0


def test_tracks_in_turn_stay_in_turn() -> None:
    frames = camera_frames(9)
    frames["track"] = [1, 2, 1, 2, 2, 3, 1, 1, 2]
    assert (decode_table(encode_table(frames)) == frames).all()


@given(st.binary(max_size=20 * FRAME.itemsize))
def test_any_table_comes_back(raw: bytes) -> None:
    frames = np.frombuffer(raw[: len(raw) // FRAME.itemsize * FRAME.itemsize], FRAME)
    assert decode_table(encode_table(frames)).tobytes() == frames.tobytes()


@given(st.lists(st.integers(0, 3), min_size=1, max_size=40), st.randoms(use_true_random=False))
def test_any_order_of_presentation_comes_back(steps: list[int], random) -> None:
    frames = camera_frames(len(steps))
    frames["dts_ns"] = T0_NS + np.cumsum(steps) * 20_000_000
    times = frames["dts_ns"].tolist()
    random.shuffle(times)
    frames["time_ns"] = times
    assert (decode_table(encode_table(frames)) == frames).all()


@given(st.binary(max_size=200))
def test_garbage_is_refused(data: bytes) -> None:
    try:
        decode_table(data)
    except SegmentDamaged:
        pass


@given(st.integers(0, 10**6), st.integers(0, 7))
def test_a_changed_table_is_refused_or_stays_a_table(position: int, bit: int) -> None:
    packed = bytearray(encode_table(with_b_frames(camera_frames(20))))
    packed[position % len(packed)] ^= 1 << bit
    try:
        assert decode_table(packed).dtype == FRAME
    except SegmentDamaged:
        pass


def test_a_table_that_claims_to_be_huge_is_refused_without_taking_memory() -> None:
    packed = bytearray(encode_table(camera_frames(20)))
    packed[1:5] = b"\xff\xff\xff\xff"
    with pytest.raises(SegmentDamaged, match="do not fit"):
        decode_table(packed)


def told(packed: list[bytes]) -> list[bytes] | str:
    try:
        return [each.tobytes() for each in decode_tables(packed)]
    except SegmentDamaged as error:
        return str(error)


def told_singly(packed: list[bytes]) -> list[bytes] | str:
    try:
        return [decode_table(each).tobytes() for each in packed]
    except SegmentDamaged as error:
        return str(error)


@given(st.integers(0, 10**6), st.integers(0, 7), st.booleans())
def test_many_at_once_are_what_they_are_singly(position: int, bit: int, pack: bool) -> None:
    packed = [encode_table(camera_frames(count), pack=pack) for count in (3, 1, 30, 300)]
    packed.insert(1, encode_table(empty_frames()))
    assert told(packed) == told_singly(packed)
    for broken in (b"", b"\x10", b"\x20\1\0\0\0", b"\x11\xff\xff\xff\xff"):
        assert told([packed[0], broken]) == told_singly([packed[0], broken])
    changed = bytearray(encode_table(with_b_frames(camera_frames(20)), pack=pack))
    changed[position % len(changed)] ^= 1 << bit
    assert told([packed[0], bytes(changed)]) == told_singly([packed[0], bytes(changed)])
