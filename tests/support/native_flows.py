"""Flows fed by hand: RTP packets in, units out."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from fovideo.camera import _native
from fovideo.media.codec import METADATA_TRACK, VIDEO_TRACK, Codec, Track
from fovideo.media.frames import FrameFlag
from fovideo.replay.rtp import rtcp
from fovideo.replay.rtp.payload import packetise
from fovideo.ring import Kind, Ring

START = b"start"
SSRC = 0x12345678
TYPE = 96
STEP = 3600
REPORTED_NS = 1_790_000_000_000_000_000
FREEZE_NS = 3_000_000_000
KEY, CORRUPT, LOST = FrameFlag.KEY, FrameFlag.CORRUPT, FrameFlag.LOST_BEFORE
REPLY = b"RTSP/1.0 200 OK\r\nCSeq: 7\r\nContent-Length: 4\r\n\r\n$ok\n"
REQUEST = b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n"


class Frame(NamedTuple):
    """A unit of a ring, with its payload."""

    track: int
    pts_ns: int
    wall_ns: int
    receipt_ns: int
    digest: int
    flags: int
    value: int
    payload: bytes


class Bench:
    """A flow with one track (or those that are added), its ring, and a sender that numbers packets."""

    def __init__(
        self,
        form: int = _native.H264,
        *,
        sockets: bool = False,
        ring_bytes: int = 1 << 20,
        shared: bool = True,
        rate: int = 90_000,
        reported: bool = True,
    ) -> None:
        """reported: a sender report has come: at REPORTED_NS, RTP time 0."""
        self.ring = Ring(ring_bytes, shared=shared)
        self.flow = _native.Flow(self.ring, session=7, start=START, freeze_ns=FREEZE_NS)
        self.now_ns = 1_000_000
        self.sequence = {0: 65_530}
        self.sockets = sockets
        track = VIDEO_TRACK if form in (_native.H264, _native.H265) else 2
        self.add(form, METADATA_TRACK if form == _native.DOCUMENTS else track, rate)
        if reported:
            self.report(REPORTED_NS, 0)

    def add(self, form: int, track: int, rate: int) -> int:
        number = self.flow.add_track(
            form,
            track=track,
            payload_type=TYPE,
            rate=rate,
            channels=None if self.sockets else (2 * (track - 1), 2 * track - 1),
            sockets=(-1, -1) if self.sockets else None,
        )
        self.sequence[number] = 65_530
        return number

    def packet(
        self,
        payload: bytes,
        timestamp: int,
        *,
        marker: bool = False,
        track: int = 0,
        kind: int = TYPE,
        sequence: int | None = None,
        ssrc: int = SSRC,
    ) -> bytes:
        """An RTP packet with the next sequence number."""
        if sequence is None:
            sequence = self.sequence[track]
            self.sequence[track] = sequence + 1 & 0xFFFF
        return (
            struct.pack(
                ">BBHII", 0x80, kind | marker << 7, sequence & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc + track
            )
            + payload
        )

    def give(self, packets: Iterable[bytes], *, track: int = 0, rtcp: bool = False) -> None:
        for packet in packets:
            self.now_ns += 1_000_000
            self.flow.feed_packet(track, packet, self.now_ns, rtcp=rtcp)

    def send(self, payload: bytes, timestamp: int, *, marker: bool = False, track: int = 0) -> None:
        """Packet, and give it."""
        self.give([self.packet(payload, timestamp, marker=marker, track=track)], track=track)

    def report(self, time_ns: int, timestamp: int, *, track: int = 0) -> None:
        self.give([rtcp.sender_report(SSRC + track, time_ns, timestamp, 1, 1, "cam")], track=track, rtcp=True)

    def rows(self) -> list[Frame]:
        """All records but the FORMAT and END ones."""
        return [
            Frame(
                int(row["track"]),
                int(row["pts_ns"]),
                int(row["wall_ns"]),
                int(row["receipt_ns"]),
                int(row["digest"]),
                int(row["flags"]),
                int(row["value"]),
                bytes(self.ring.payload(row["position"], row["size"])),
            )
            for row in self.ring.units()
            if row["kind"] == Kind.FRAME
        ]


def packets_of(bench: Bench, codec: Codec, units: Sequence[Sequence[bytes]], limit: int = 200) -> list[bytes]:
    """RTP packets of access units (lists of NAL units), a frame interval apart."""
    track = Track(id=VIDEO_TRACK, codec=codec)
    return [
        bench.packet(payload, number * STEP, marker=marker)
        for number, nals in enumerate(units)
        for payload, _, marker in packetise(track, nals, limit)
    ]


def interleaved(packets: Iterable[bytes], channel: int = 0) -> bytes:
    """Packets as they lie in an RTSP connection."""
    return b"".join(struct.pack(">BBH", 0x24, channel, len(packet)) + packet for packet in packets)


def stored(nals: Iterable[bytes]) -> bytes:
    """The stored form of an access unit."""
    return b"".join(len(nal).to_bytes(4, "big") + nal for nal in nals)


def unit(fill: int, size: int = 300, *, key: bool = False) -> list[bytes]:
    return [(b"\x65\x88" if key else b"\x41\x9a") + bytes([fill % 255 + 1]) * size]


UNITS = [unit(n, 50 + 97 * n % 700, key=n % 5 == 0) for n in range(12)]


def payloads(bench: Bench) -> list[bytes]:
    return [row.payload for row in bench.rows()]
