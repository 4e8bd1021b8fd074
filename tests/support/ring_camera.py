"""The producer's end of a ring, without a camera: sessions of made-up frames, pushed by hand."""

from __future__ import annotations

import struct

from footage import PPS, SPS, VIDEO, sample

from fovideo.camera import SessionStart
from fovideo.media.codec import Track
from fovideo.ring import NO_TIME, Kind, Packing, Ring

MS = 1_000_000
FRAME_NS = 40 * MS
WALL = 1_790_000_000_000_000_000
MONOTONIC = 1_000_000_000_000


def with_sets(payload: bytes, *sets: bytes) -> bytes:
    """A sample that begins with these parameter sets."""
    return b"".join(struct.pack(">I", len(unit)) + unit for unit in sets) + payload


class RingCamera:
    """Pushes frames 0, 1, 2, ... of one camera, whose clock is told by sender reports."""

    def __init__(self, ring: Ring, *, gop: int = 10, size: int = 200) -> None:
        self.ring, self.gop, self.size = ring, gop, size
        self.next = 0
        self.digests: list[int] = []
        self._session = 0

    @property
    def now_ns(self) -> int:
        """Monotonic clock when the newest frame came."""
        return MONOTONIC + self.next * FRAME_NS

    def begin(self, name: str = "", tracks: tuple[Track, ...] = (VIDEO,)) -> SessionStart:
        self._session += 1
        start = SessionStart(
            tracks=tracks,
            source="rtsp://camera/",
            session=name or f"{self._session:016x}",
            wall_at_start_ns=WALL + self.next * FRAME_NS,
            receipt_at_start_ns=self.now_ns,
        )
        assert self._note(Kind.FORMAT, start.encode())
        return start

    def end(self) -> None:
        assert self._note(Kind.END, b"")

    def frames(self, count: int, *sets: bytes, sets_at: int = -1, track: int = 1) -> int:
        """Push so many frames; how many went in. sets: parameter sets in band, at frame number sets_at."""
        pushed = 0
        for _ in range(count):
            payload = sample(self.next, key=self.next % self.gop == 0, size=self.size)
            if self.next == sets_at:
                payload = with_sets(payload, *sets)
            pushed += self._push(payload, track)
            self.next += 1
        return pushed

    def _push(self, payload: bytes, track: int) -> bool:
        return self.ring.push_unit(
            kind=Kind.FRAME,
            track=track,
            pts_ns=self.next * FRAME_NS,
            wall_ns=WALL + self.next * FRAME_NS,
            receipt_ns=self.now_ns,
            session=self._session,
            payload=payload,
            packing=Packing.AVCC_H264,
        )

    def _note(self, kind: Kind, payload: bytes) -> bool:
        return self.ring.push_unit(
            kind=kind,
            track=0,
            pts_ns=NO_TIME,
            wall_ns=NO_TIME,
            receipt_ns=self.now_ns,
            session=self._session,
            payload=payload,
        )


__all__ = ["FRAME_NS", "MONOTONIC", "MS", "PPS", "SPS", "WALL", "RingCamera", "with_sets"]
