"""Crash behaviour: of any prefix exactly the whole fragments are found; any changed bit is noticed."""

from __future__ import annotations

from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st
from streams import audio, metadata, segment, video

from fovideo.errors import SegmentDamaged
from fovideo.media.codec import Codec
from fovideo.segment import fragments, next_fragment, read_header, scan


@cache
def file() -> tuple[bytes, list[int]]:
    return segment(video(b_frames=2), audio(Codec.OPUS), metadata())


def test_a_whole_file() -> None:
    data, ends = file()
    header, start = read_header(data)
    found, end, reason = scan(data, start)
    assert (start, end, reason) == (ends[0], len(data), "")
    assert [fragment.offset + fragment.size_bytes for fragment in found] == ends[1:]
    assert {fragment.base_ns for fragment in found} == {header.base_ns}


def test_the_fragments_of_a_row_in_turn() -> None:
    data, ends = file()
    row = data[ends[1] : ends[3]]
    assert [each.offset for each in fragments(row)] == [0, ends[2] - ends[1]]
    broken = row[:-1] + bytes([row[-1] ^ 1])
    assert len(list(fragments(broken, verify=False))) == 2
    with pytest.raises(SegmentDamaged, match=f"byte {ends[2] - ends[1]}"):
        list(fragments(broken))


@given(st.data())
def test_of_any_prefix_exactly_the_whole_fragments_are_found(choice: st.DataObject) -> None:
    data, ends = file()
    near = st.sampled_from(ends).flatmap(lambda end: st.integers(end - 80, end + 200))
    length = choice.draw(
        st.one_of(st.integers(ends[0], len(data)), near.filter(lambda n: ends[0] <= n <= len(data)))
    )
    found, end, reason = scan(data[:length], ends[0])
    whole = [edge for edge in ends if edge <= length]
    assert (len(found), end) == (len(whole) - 1, whole[-1])
    assert (reason == "") == (end == length)
    assert reason == "" or ("cut off" in reason and f"(byte {end})" in reason)


@given(st.floats(0, 1, exclude_max=True), st.integers(0, 7))
def test_any_flipped_bit_is_found(where: float, bit: int) -> None:
    data, ends = file()
    position = ends[0] + int(where * (len(data) - ends[0]))
    changed = bytearray(data)
    changed[position] ^= 1 << bit
    found, end, reason = scan(changed, ends[0])
    sound = [edge for edge in ends if edge <= position]
    assert (len(found), end) == (len(sound) - 1, sound[-1])
    assert f"(byte {end})" in reason


@given(st.integers(0, 3000), st.integers(0, 7))
def test_any_flipped_bit_of_the_header_is_found(position: int, bit: int) -> None:
    data, ends = file()
    changed = bytearray(data[: ends[0]])
    changed[position % len(changed)] ^= 1 << bit
    with pytest.raises(SegmentDamaged, match=r"\(byte \d+\)"):
        read_header(changed)


@given(st.integers(0, 5000))
def test_a_cut_header_is_no_header(length: int) -> None:
    data, ends = file()
    with pytest.raises(SegmentDamaged, match=r"\(byte \d+\)"):
        read_header(data[: length % ends[0]])


@given(st.binary(max_size=300))
def test_foreign_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(SegmentDamaged):
        read_header(data)
    found, end, reason = scan(data, 0)
    assert (found, end) == ([], 0)
    assert (reason == "") == (data == b"")


def test_behind_damage_the_next_sound_fragment_is_found() -> None:
    data, ends = file()
    changed = bytearray(data)
    changed[ends[1] + 40] ^= 1
    changed[ends[2] - 1] ^= 1
    _, end, reason = scan(changed, ends[0])
    assert (end, bool(reason)) == (ends[1], True)
    again = next_fragment(changed, end + 1)
    assert again == ends[2]
    found, end, reason = scan(changed, again)
    assert (len(found), end, reason) == (len(ends) - 3, len(data), "")
    assert next_fragment(changed, ends[-2] + 1) == -1
    assert next_fragment(changed, len(data) + 10) == -1


def test_the_next_fragment_is_found_across_a_large_hole() -> None:
    data, ends = file()
    hole = bytes(2**20 - 10)
    assert next_fragment(hole + data[ends[0] :], 0) == len(hole)
