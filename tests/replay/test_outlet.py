"""Outlets: RTP headers, the media clock, and what sender reports say of it."""

from __future__ import annotations

import struct
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fovideo.media.codec import Codec, Track
from fovideo.replay.rtp import rtcp
from fovideo.replay.rtsp.outlet import Outlet
from fovideo.replay.source import Unit, UnitFlag

VIDEO = Track(id=1, codec=Codec.H264)
T0_NS = 1_790_000_000_123_456_789
S = 1_000_000_000


class Tape:
    """A link that keeps what is sent."""

    backlog_bytes = 0

    def __init__(self) -> None:
        self.reports: list[bytes] = []

    def describe(self) -> str:
        return ""

    async def rtp(self, packets: list[bytes]) -> None: ...

    def rtcp(self, packet: bytes) -> None:
        self.reports.append(packet)

    async def drain(self) -> None: ...

    def close(self) -> None: ...


def unit(media_ns: int, *, time_ns: int = T0_NS, payloads: int = 1, flags: int = 0, key: bool = True) -> Unit:
    parts = [(b"x" * 10, 0, number == payloads - 1) for number in range(payloads)]
    return Unit(1, time_ns, media_ns, media_ns, key, parts, flags)


def rtp_time(packet: bytes) -> int:
    return int.from_bytes(packet[4:8], "big")


def test_packets_of_a_unit_share_time_and_count_on() -> None:
    outlet = Outlet(VIDEO, Tape(), "x")
    first, second = outlet.packets_of(unit(0, payloads=3)), outlet.packets_of(unit(40_000_000))
    assert {rtp_time(packet) for packet in first} == {rtp_time(first[0])}
    assert rtp_time(second[0]) - rtp_time(first[0]) & 0xFFFFFFFF == 3600
    numbers = [int.from_bytes(packet[2:4], "big") for packet in first + second]
    assert [(number - numbers[0]) & 0xFFFF for number in numbers] == [0, 1, 2, 3]
    assert [packet[1] >> 7 for packet in first] == [0, 0, 1]
    assert {packet[0] for packet in first} == {0x80}
    assert {packet[1] & 0x7F for packet in first} == {96}
    assert {packet[8:12] for packet in first} == {outlet.ssrc.to_bytes(4, "big")}


@given(st.integers(-(10**12), 10**15), st.sampled_from([8000, 44_100, 48_000]))
def test_audio_time_is_exact_to_the_sample(samples: int, rate: int) -> None:
    track = Track(id=2, codec=Codec.AAC, sample_rate=rate, channels=1)
    outlet = Outlet(track, Tape(), "x")
    assert (outlet.rtp_time(samples * S // rate) - outlet.rtp_time(0)) & 0xFFFFFFFF == samples & 0xFFFFFFFF


@given(st.integers(0, 10**13), st.integers(0, 2**62))
def test_a_report_ties_wall_clock_to_media_clock(media_ns: int, time_ns: int) -> None:
    tape = Tape()
    outlet = Outlet(VIDEO, tape, "camera")
    outlet.packets_of(unit(media_ns, time_ns=time_ns))
    outlet.report(None)
    kind, length, ssrc, ntp, ticks = struct.unpack_from(">xBHIQI", tape.reports[0])
    assert (kind, length, ssrc) == (200, 6, outlet.ssrc)
    seconds = (ntp >> 32) - 2_208_988_800
    reported_ns = (seconds % 2**32) * S + ((ntp & 0xFFFFFFFF) * S >> 32)
    ahead_ticks = (ticks - outlet.rtp_time(media_ns) + 2**31) % 2**32 - 2**31
    assert (
        abs((reported_ns - time_ns + 2**31 * S) % (2**32 * S) - 2**31 * S - ahead_ticks * S // 90_000)
        < 11_200
    )


def test_a_report_counts_packets_and_names_the_source() -> None:
    tape = Tape()
    outlet = Outlet(VIDEO, tape, "camera")
    outlet.report(None)
    assert not tape.reports, "nothing to report before the first packet"
    outlet.packets_of(unit(0, payloads=3))
    outlet.report((S, T0_NS + S))
    assert struct.unpack_from(">II", tape.reports[0], 20) == (3, 30)
    assert b"camera" in tape.reports[0][28:]
    assert len(tape.reports[0]) % 4 == 0
    outlet.goodbye()
    assert tape.reports[1].endswith(struct.pack(">BBHI", 0x81, 203, 1, outlet.ssrc))


@pytest.mark.parametrize("fraction_ns", [0, 1, 123_456_000, 999_999_000, 999_999_999])
def test_ntp_time_keeps_the_microsecond(fraction_ns: int) -> None:
    ntp = rtcp.ntp64(1_790_000_000 * S + fraction_ns)
    assert ntp >> 32 == 1_790_000_000 + 2_208_988_800
    assert (ntp & 0xFFFFFFFF) * 1_000_000 >> 32 == fraction_ns // 1000


def test_after_a_seek_rtp_time_goes_on_whatever_the_media_time() -> None:
    outlet = Outlet(VIDEO, Tape(), "x")
    outlet.anchor(100 * S, Fraction(1))
    last = rtp_time(outlet.packets_of(unit(101 * S))[0])
    outlet.anchor(7 * S, Fraction(1))
    assert (rtp_time(outlet.packets_of(unit(7 * S))[0]) - last) & 0xFFFFFFFF == 3600


def test_scale_compresses_rtp_time() -> None:
    outlet = Outlet(VIDEO, Tape(), "x")
    outlet.anchor(0, Fraction(4))
    assert (outlet.rtp_time(4 * S) - outlet.rtp_time(0)) & 0xFFFFFFFF == 90_000


def test_a_jump_of_the_wall_clock_is_noticed() -> None:
    outlet = Outlet(VIDEO, Tape(), "x")
    outlet.packets_of(unit(0))
    assert not outlet.has_jumped, "nothing was reported yet"
    outlet.report(None)
    outlet.packets_of(unit(S, time_ns=T0_NS + S))
    assert not outlet.has_jumped
    outlet.packets_of(unit(2 * S, time_ns=T0_NS + 60 * S))
    assert outlet.has_jumped


def test_replay_extension_stands_on_the_first_packet_of_each_unit() -> None:
    outlet = Outlet(VIDEO, Tape(), "x")
    outlet.replay_cseq = 0x1234
    flags = UnitFlag.JUMP | UnitFlag.SECTION_END | UnitFlag.LAST
    first, second = outlet.packets_of(unit(0, payloads=2, flags=flags))
    assert (first[0], second[0]) == (0x90, 0x80)
    assert first[12:16] == b"\xab\xac\x00\x03"
    assert int.from_bytes(first[16:24], "big") == rtcp.ntp64(T0_NS)
    assert first[24:28] == b"\xf0\x34\x00\x00"
    assert first[28:] == second[12:] == b"x" * 10
