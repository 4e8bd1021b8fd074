"""RTCP of a sender (RFC 3550, section 6): sender reports and goodbyes. Pure."""

from __future__ import annotations

import struct

from fovideo.times import NS_PER_S

_NTP_EPOCH_S = 2_208_988_800
_SR, _SDES, _BYE = 200, 202, 203
_CNAME = 1


def ntp64(time_ns: int) -> int:
    """64-bit NTP time (32 bits seconds since 1900 modulo 2^32, 32 bits fraction) of a Unix time in ns."""
    seconds, rest_ns = divmod(time_ns, NS_PER_S)
    fraction = -((-rest_ns << 32) // NS_PER_S)  # up, so that receivers that cut to µs get the same µs
    return ((seconds + _NTP_EPOCH_S) << 32 | fraction) & 0xFFFF_FFFF_FFFF_FFFF


def sender_report(ssrc: int, time_ns: int, rtp_time: int, packets: int, octets: int, cname: str) -> bytes:
    """Compound packet SR + SDES: at wall clock `time_ns` the media clock stood at `rtp_time`."""
    report = struct.pack(
        ">BBHIQIII",
        0x80, _SR, 6, ssrc, ntp64(time_ns), rtp_time & 0xFFFFFFFF, packets & 0xFFFFFFFF, octets & 0xFFFFFFFF,
    )  # fmt: skip
    name = cname.encode()[:255]
    chunk = struct.pack(">IBB", ssrc, _CNAME, len(name)) + name
    chunk += bytes(4 - len(chunk) % 4)
    return report + struct.pack(">BBH", 0x81, _SDES, len(chunk) // 4) + chunk


def goodbye(report: bytes, ssrc: int) -> bytes:
    """A report, followed by BYE."""
    return report + struct.pack(">BBHI", 0x81, _BYE, 1, ssrc)
