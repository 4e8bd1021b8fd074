"""What a recorder knows about its cameras and its store at one instant."""

from __future__ import annotations

import msgspec

from fovideo.camera.state import CameraState, ReaderStatus
from fovideo.media.frames import Clock
from fovideo.record.events import Mode


class CameraStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One camera. Times are wall clock ns unless said otherwise.

    reader: the connection: counters, state, error.
    written_frames, written_bytes: frames that the store has made durable.
    lost_frames: frames that never reached the store, of any track.
    last_receipt_ns: monotonic clock of the last frame's arrival, 0 before the first.
    durable_to_ns: time of the newest durable frame, 0 before the first.
    safe_ns: monotonic clock: whatever arrived before is durable, or given up; 0 before the first.
    clock: where the times come from; None before the first frame is stamped.
    clock_ahead_ns: how far the newest frame's time was ahead of its receipt; normally it is a little behind.
        Much more or less is a camera whose clock is wrong.
    failures: frames that were given up because of an error that is not the store's.
    """

    camera: str
    mode: Mode
    lease: int
    state: CameraState
    session: str
    sessions: int
    frames: int
    bytes: int
    dropped_frames: int
    lost_frames: int
    written_frames: int
    written_bytes: int
    last_receipt_ns: int
    durable_to_ns: int
    safe_ns: int
    clock: Clock | None
    clock_ahead_ns: int
    error: str
    ring_used_bytes: int
    ring_bytes: int
    failures: int
    reader: ReaderStatus


class StoreStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The recorder's side of the store. commits: that wrote something. error: "" while it works.

    trouble: "full", "read-only" or "failing" while it does not. busy_ns: of the present round.
    """

    commits: int
    failures: int
    last_commit_ns: int
    error: str
    trouble: str = ""
    busy_ns: int = 0
