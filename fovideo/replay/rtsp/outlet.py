"""Outlet: one track on its way to one client - RTP headers, media clock, sender reports."""

from __future__ import annotations

import secrets
import struct
from fractions import Fraction

from fovideo.media.codec import Track
from fovideo.replay.rtp import rtcp
from fovideo.replay.rtsp.link import Link
from fovideo.replay.rtsp.sdp import clock_rate, payload_type
from fovideo.replay.source import Unit
from fovideo.times import NS_PER_S

_HEADER = struct.Struct(">BBHII")


class Outlet:
    """Sequence numbers, SSRC and time base are random, as RFC 3550 asks, and last as long as the session."""

    def __init__(self, track: Track, link: Link, cname: str) -> None:
        self.track, self.link = track, link
        self.ssrc = secrets.randbits(32)
        self.packets = self.octets = self.units = 0
        self._cname = cname
        self._sequence = secrets.randbits(16)
        self._type, self._rate = payload_type(track), clock_rate(track)
        self._base, self._anchor_ns, self._scale = secrets.randbits(32), 0, Fraction(1)
        self._last: Unit | None = None
        self.report_due_ns: int | None = None

    @property
    def sequence(self) -> int:
        """Sequence number of the next packet."""
        return self._sequence

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
        for payload, later, marker in unit.payloads:
            out.append(pack(0x80, kind | marker << 7, sequence, ticks + later & 0xFFFFFFFF, ssrc) + payload)
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
