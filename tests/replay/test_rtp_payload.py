"""Packetisation: what a receiver puts together is what went in, and no packet is too long."""

from __future__ import annotations

import depacketise
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fovideo.media.codec import Codec, Track
from fovideo.replay.rtp import h264, h265
from fovideo.replay.rtp.payload import packetise, video

LIMITS = st.integers(16, 1400)
SIZES = st.integers(0, 60) | st.sampled_from([1397, 1398, 1399, 1400, 1401, 1402, 2797, 2800, 5000])


@st.composite
def h264_nal(draw: st.DrawFn) -> bytes:
    kind, importance = draw(st.integers(1, 23)), draw(st.integers(0, 3))
    return bytes((importance << 5 | kind,)) + bytes(draw(SIZES))


@st.composite
def h265_nal(draw: st.DrawFn) -> bytes:
    kind, layer, temporal = draw(st.integers(0, 47)), draw(st.integers(0, 63)), draw(st.integers(1, 7))
    return bytes((kind << 1 | layer >> 5, (layer & 31) << 3 | temporal)) + bytes(draw(SIZES))


@given(st.lists(h264_nal(), min_size=1, max_size=8), LIMITS)
def test_h264_comes_back_whole(nals: list[bytes], limit: int) -> None:
    payloads = h264.split(nals, limit)
    assert depacketise.h264(payloads) == nals
    assert max(map(len, payloads)) <= limit


@given(st.lists(h265_nal(), min_size=1, max_size=8), LIMITS)
def test_h265_comes_back_whole(nals: list[bytes], limit: int) -> None:
    payloads = h265.split(nals, limit)
    assert depacketise.h265(payloads) == nals
    assert max(map(len, payloads)) <= limit


@given(st.lists(h264_nal(), min_size=1, max_size=8), LIMITS)
def test_only_the_last_packet_of_an_access_unit_is_marked(nals: list[bytes], limit: int) -> None:
    marks = [marker for _, _, marker in video(Codec.H264, nals, limit)]
    assert marks == [False] * (len(marks) - 1) + [True]
    assert not any(marker for _, _, marker in video(Codec.H264, nals, limit, last=False))


def test_small_parameter_sets_share_a_packet_and_slices_do_not() -> None:
    sps, pps, idr = b"\x67" + bytes(20), b"\x68" + bytes(4), b"\x65" + bytes(100)
    assert [payload[0] & 0x1F for payload in h264.split([sps, pps, idr], 1400)] == [24, 5]
    vps, sps, idr = b"\x40\x01" + bytes(20), b"\x42\x01" + bytes(30), b"\x26\x01" + bytes(99)
    assert [payload[0] >> 1 for payload in h265.split([vps, sps, idr], 1400)] == [48, 19]


def test_aggregation_keeps_the_highest_importance() -> None:
    assert h264.split([b"\x06ab", b"\x67cd"], 1400)[0][0] == 3 << 5 | 24


def test_stumps_are_left_out() -> None:
    assert h264.split([b"", b"\x65a"], 1400) == [b"\x65a"]
    assert h265.split([b"", b"\x26", b"\x26\x01a"], 1400) == [b"\x26\x01a"]


AAC = Track(id=2, codec=Codec.AAC, sample_rate=48_000, channels=2, config=b"\x11\x90")


@given(st.binary(min_size=1, max_size=8191), LIMITS)
def test_aac_frames_come_back_whole(frame: bytes, limit: int) -> None:
    payloads = packetise(AAC, [frame], limit)
    assert b"".join(payload[4:] for payload, _, _ in payloads) == frame
    assert {payload[:2] for payload, _, _ in payloads} == {b"\x00\x10"}
    assert {int.from_bytes(payload[2:4], "big") for payload, _, _ in payloads} == {len(frame) << 3}
    assert [marker for _, _, marker in payloads] == [False] * (len(payloads) - 1) + [True]
    assert max(len(payload) for payload, _, _ in payloads) <= limit


@pytest.mark.parametrize("channels", [1, 2])
@given(data=st.binary(min_size=2, max_size=9000))
def test_g711_is_cut_at_samples_with_their_time(channels: int, data: bytes) -> None:
    data = data[: len(data) // channels * channels]
    track = Track(id=2, codec=Codec.PCMU, sample_rate=8000, channels=channels)
    payloads = packetise(track, [data], 1401)
    assert b"".join(payload for payload, _, _ in payloads) == data
    at = 0
    for payload, ticks, _ in payloads:
        assert (ticks, len(payload) % channels) == (at // channels, 0)
        at += len(payload)


def test_opus_is_never_cut() -> None:
    track = Track(id=2, codec=Codec.OPUS, sample_rate=48_000, channels=1)
    assert packetise(track, [bytes(1500)], 1400) == [(bytes(1500), 0, False)]


@given(st.binary(min_size=1, max_size=5000), LIMITS)
def test_the_marker_ends_a_metadata_document(document: bytes, limit: int) -> None:
    payloads = packetise(Track(id=3, codec=Codec.ONVIF), [document], limit)
    assert b"".join(payload for payload, _, _ in payloads) == document
    assert [marker for _, _, marker in payloads] == [False] * (len(payloads) - 1) + [True]
