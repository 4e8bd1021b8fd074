"""A camera of a recorder: its reader, its lane, and what is known of both."""

from __future__ import annotations

import threading

from fovideo.camera.reader import Reader
from fovideo.camera.shard import ShardReader
from fovideo.record.lane import Lane
from fovideo.record.status import CameraStatus


class Channel:
    """leaving: to be drained for the last time; left: that is done, and the ring is gone."""

    def __init__(self, reader: Reader | ShardReader, lane: Lane) -> None:
        self.reader, self.lane = reader, lane
        self.leaving = False
        self.left = threading.Event()

    def drain(self, now_ns: int) -> bool:
        """Take what is in the ring; True when it was the last time. Raises StoreError."""
        leaving = self.leaving
        self.lane.drain(now_ns)
        if leaving:
            self.lane.finish(now_ns)
        return leaving

    def leave(self) -> None:
        """Everything is durable. A reader that is still opening its camera keeps the ring for itself."""
        if self.reader.join(0):
            self.lane.ring.close()
        self.lane.left = True
        self.left.set()

    def status(self) -> CameraStatus:
        lane, ring, reader = self.lane, self.lane.ring, self.reader.status()
        return CameraStatus(
            camera=lane.name,
            mode=lane.mode,
            lease=lane.lease,
            state=reader.state,
            session=reader.session,
            sessions=reader.sessions,
            frames=reader.frames,
            bytes=reader.bytes,
            dropped_frames=reader.dropped_frames,
            lost_frames=lane.lost_frames,
            written_frames=lane.written_frames,
            written_bytes=lane.written_bytes,
            last_receipt_ns=reader.last_receipt_ns,
            durable_to_ns=lane.durable_to_ns,
            safe_ns=lane.safe_ns,
            clock=lane.clock,
            clock_ahead_ns=lane.clock_ahead_ns,
            error=reader.error or lane.error,
            ring_used_bytes=_or_zero(ring, "used_bytes"),
            ring_bytes=_or_zero(ring, "allowed_bytes"),
            failures=lane.failures,
            reader=reader,
        )


def _or_zero(ring: object, name: str) -> int:
    try:
        return int(getattr(ring, name))
    except ValueError:  # closed meanwhile
        return 0
