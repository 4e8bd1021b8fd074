"""Markers: what is written is read, whatever stands around it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fovideo.errors import UsageError
from fovideo.media.codec import Codec
from fovideo.media.marker import make_marker, read_marker

VIDEO = st.sampled_from([Codec.H264, Codec.H265])
CAMERAS = st.integers(0, 2**32 - 1) | st.sampled_from([0, 1, 2, 3, 0x0103, 0x030000])
SEQUENCES = st.integers(0, 2**64 - 1) | st.sampled_from([0, 1, 2, 3, 0x03000001])


def sample(*nals: bytes) -> bytes:
    return b"".join(len(nal).to_bytes(4, "big") + nal for nal in nals)


@given(VIDEO, CAMERAS, SEQUENCES, st.lists(st.binary(max_size=40), max_size=4))
def test_round_trip_among_other_nal_units(
    codec: Codec, camera: int, sequence: int, others: list[bytes]
) -> None:
    data = sample(*others, make_marker(codec, camera, sequence), *others)
    assert read_marker(data, codec) == (camera, sequence)


@given(VIDEO, CAMERAS, SEQUENCES)
def test_no_start_code_can_appear_inside(codec: Codec, camera: int, sequence: int) -> None:
    nal = make_marker(codec, camera, sequence)
    assert not any(bytes((0, 0, low)) in nal for low in range(3))
    assert nal[-1] == 0x80


@given(VIDEO, CAMERAS, SEQUENCES, st.integers(0, 254), st.binary(max_size=300))
def test_read_behind_another_message_of_the_same_nal_unit(
    codec: Codec, camera: int, sequence: int, kind: int, payload: bytes
) -> None:
    alone = make_marker(codec, camera, sequence)
    header = 1 if codec is Codec.H264 else 2
    size = b"\xff" * (len(payload) // 255) + bytes((len(payload) % 255,))
    first = bytes((kind,)) + size + payload.replace(b"\0", b"\1")
    assert read_marker(sample(alone[:header] + first + alone[header:]), codec) == (camera, sequence)


@given(VIDEO, st.binary(max_size=200), st.integers(0, 100))
def test_damaged_samples_have_no_marker_and_raise_nothing(codec: Codec, noise: bytes, cut: int) -> None:
    assert read_marker(noise, codec) is None
    whole = sample(make_marker(codec, 7, 9))
    assert read_marker(whole[: -1 - cut % len(whole)], codec) is None


def test_h264_and_h265_headers() -> None:
    assert make_marker(Codec.H264, 1, 2)[0] & 0x1F == 6
    assert make_marker(Codec.H265, 1, 2)[0] >> 1 == 39


@pytest.mark.parametrize(("camera", "sequence"), [(-1, 0), (2**32, 0), (0, -1), (0, 2**64)])
def test_numbers_out_of_range_are_refused(camera: int, sequence: int) -> None:
    with pytest.raises(UsageError):
        make_marker(Codec.H264, camera, sequence)


def test_only_video_carries_markers() -> None:
    with pytest.raises(UsageError):
        make_marker(Codec.AAC, 1, 1)
    assert read_marker(sample(make_marker(Codec.H264, 1, 1)), Codec.AAC) is None
