"""Outlet: one track on its way to one client - RTP headers, media clock, sender reports."""

from __future__ import annotations

import secrets
import struct
from fractions import Fraction

from fovideo.media.codec import Track
from fovideo.replay.rtp import rtcp
from fovideo.replay.rtsp.link import Link
from fovideo.replay.rtsp.sdp import clock_rate, payload_type
from fovideo.replay.source import Unit, UnitFlag
from fovideo.times import NS_PER_S

_HEADER = struct.Struct(">BBHII")
_EXTENSION = struct.Struct(">HHQBBxx")
_ONVIF_REPLAY = 0xABAC


def replay_extension(unit: Unit, cseq: int) -> bytes:
    """ONVIF replay header extension (streaming specification, 6.2) of a unit's first packet."""
    bits = 0x80 * unit.key
    bits |= 0x40 * bool(unit.flags & UnitFlag.SECTION_END)
    bits |= 0x20 * bool(unit.flags & UnitFlag.JUMP)
    bits |= 0x10 * bool(unit.flags & UnitFlag.LAST)
    return _EXTENSION.pack(_ONVIF_REPLAY, 3, rtcp.ntp64(unit.time_ns), bits, cseq & 0xFF)


class Outlet:
    """Sequence numbers, SSRC and time base are random, as RFC 3550 asks, and last as long as the session.

    replay_cseq: CSeq of the PLAY request, when packets are to carry the ONVIF replay extension; else None.
    """

    def __init__(self, track: Track, link: Link, cname: str) -> None:
        self.track, self.link = track, link
        self.ssrc = secrets.randbits(32)
        self.packets = self.octets = self.units = 0
        self._cname = cname
        self._sequence = secrets.randbits(16)
        self._type, self._rate = payload_type(track), clock_rate(track)
        self._base, self._anchor_ns, self._scale = secrets.randbits(32), 0, Fraction(1)
        self._last: Unit | None = None
        self._reported_ns: int | None = None  # wall clock - media clock, as last reported
        self.report_due_ns: int | None = None
        self.replay_cseq: int | None = None

    @property
    def sequence(self) -> int:
        """Sequence number of the next packet."""
        return self._sequence

    @property
    def has_jumped(self) -> bool:
        """Whether the last unit's wall clock does not follow from the last report."""
        last = self._last
        return last is not None and self._reported_ns not in (None, last.time_ns - last.media_ns)

    def anchor(self, media_ns: int, scale: Fraction) -> None:
        """The next unit is near `media_ns`, and media time passes `scale` times as fast as RTP time.

        RTP time goes on after what was sent before, whatever the jump in the media.
        """
        if self._last is not None:
            self._base = self.rtp_time(self._last.media_ns) + self._rate // 25
        self._anchor_ns, self._scale = media_ns, scale

    def rtp_time(self, media_ns: int) -> int:
        """RTP timestamp of an instant of the media clock."""
        return self._base + self._ticks(media_ns) & 0xFFFFFFFF

    def _ticks(self, media_ns: int) -> int:
        divisor = NS_PER_S * self._scale.numerator
        return ((media_ns - self._anchor_ns) * self._rate * self._scale.denominator + divisor // 2) // divisor

    def packets_of(self, unit: Unit) -> list[bytes]:
        """RTP packets of a unit; advances the sequence number."""
        ticks, sequence, kind = self.rtp_time(unit.media_ns), self._sequence, self._type
        pack, ssrc = _HEADER.pack, self.ssrc
        out = []
        first, extension = 0x80, b""
        if self.replay_cseq is not None:
            first, extension = 0x90, replay_extension(unit, self.replay_cseq)
        for payload, later, marker in unit.payloads:
            header = pack(first, kind | marker << 7, sequence, ticks + later & 0xFFFFFFFF, ssrc)
            out.append(header + extension + payload)
            first, extension = 0x80, b""
            sequence = sequence + 1 & 0xFFFF
            self.octets += len(payload)
        self._sequence = sequence
        self.packets += len(out)
        self.units += 1
        self._last = unit
        return out

    def report(self, clock: tuple[int, int] | None) -> None:
        """Send a sender report. clock: (media_ns, time_ns) of this instant, None = those of the last unit."""
        if (data := self._report(clock)) is not None:
            self.link.rtcp(data)

    def goodbye(self) -> None:
        """Send BYE, if anything was sent at all."""
        if (data := self._report(None)) is not None:
            self.link.rtcp(rtcp.goodbye(data, self.ssrc))

    def _report(self, clock: tuple[int, int] | None) -> bytes | None:
        if self._last is None:
            return None
        media_ns, time_ns = clock or (self._last.media_ns, self._last.time_ns)
        self._reported_ns = time_ns - media_ns
        ticks = self._ticks(media_ns)
        on_tick_ns = self._anchor_ns + round(ticks * NS_PER_S * self._scale / self._rate)
        return rtcp.sender_report(
            self.ssrc,
            time_ns + on_tick_ns - media_ns,
            self._base + ticks,
            self.packets,
            self.octets,
            self._cname,
        )
