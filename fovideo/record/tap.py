"""Taps: a camera's frames as they arrive, for live viewers, beside the recorder and without touching it.

A tap reads the ring through a mapping of its own, so it needs nothing of the writer thread. What the writer
is about to release and the tap has not taken is copied right before, by the writer: bounded, for tapped
cameras only, and never waited for.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fovideo.camera.session_start import SessionStart
from fovideo.errors import NothingThere
from fovideo.media.codec import VIDEO_TRACK, Track
from fovideo.media.frames import FrameFlag
from fovideo.record.format_change import changed_tracks
from fovideo.ring import NO_TIME, Kind, Ring

if TYPE_CHECKING:
    from fovideo.record.lane import Lane

_log = logging.getLogger(__name__)

_ALL = 1 << 24
_MOST_BYTES = 64 << 20
_PATIENCE_S = 0.01


class LiveFrame(NamedTuple):
    """A frame as it arrived. payload: video as NAL units with 4-byte lengths.

    time_ns: wall clock of capture, by the camera's sender report if there was one, else of receipt. pts_ns:
    media clock of its session, None = unknown. session: differs from one connection to the next.
    tracks: under which it came.
    """

    track: int
    key: bool
    time_ns: int
    pts_ns: int | None
    payload: bytes
    flags: int
    session: str
    tracks: tuple[Track, ...]


class Tap:
    """Frames of one camera, from the newest keyframe on that is still in memory. take, close: one thread."""

    def __init__(self, lane: Lane) -> None:
        self._lane = lane
        ring = lane.ring
        self._ring = Ring(0, fd=ring.fd) if ring.fd >= 0 else None
        self._shared = ring
        self._lock = threading.Lock()
        self._ready: list[LiveFrame] = []
        self._ready_bytes = 0
        self._floor = ring.tail  # everything before it may be gone
        self._position = ring.tail
        self._skipping = True  # up to a keyframe
        self._start, self._tracks = lane.session
        self.closed = False

    @property
    def tracks(self) -> tuple[Track, ...]:
        """Of the session that delivers now; () before the first."""
        return self._tracks

    def begin(self) -> None:
        """Go to the newest keyframe that is still in memory; where there is none, the next one is awaited."""
        with self._lock:
            if self._ring is not None:
                self._read(self._ring)
            keys = [at for at, each in enumerate(self._ready) if each.key and each.track == VIDEO_TRACK]
            if keys:
                del self._ready[: keys[-1]]

    def take(self) -> list[LiveFrame]:
        """What came since the last time. NothingThere once the camera is no longer recorded here."""
        with self._lock:
            if self._ring is not None:
                self._read(self._ring)
            taken, self._ready, self._ready_bytes = self._ready, [], 0
        if not taken and self._lane.left:
            raise NothingThere("the camera is not recorded here any more", where=self._lane.name)
        return taken

    def close(self) -> None:
        """Take no more. The lane forgets it by itself."""
        self.closed = True
        with self._lock:
            if self._ring is not None:
                self._ring.close()
                self._ring = None

    def releasing(self, position: int) -> None:
        """For the writer thread: everything before this position is about to be released."""
        if self.closed:
            return
        if self._position < position and self._lock.acquire(timeout=_PATIENCE_S):
            try:
                self._read(self._shared)
            finally:
                self._lock.release()
        self._floor = position

    def _read(self, ring: Ring) -> None:
        if self.closed:
            return
        if self._position < self._floor:  # overtaken
            self._position, self._skipping = self._floor, True
        try:
            rows = ring.units(self._position, _ALL)
            for row in rows:
                self._take(ring, row)
        except ValueError:
            # It was released while it was read.
            self._position, self._skipping = max(self._position, self._floor, self._shared_tail()), True

    def _shared_tail(self) -> int:
        try:
            return self._shared.tail
        except ValueError:  # closed: the camera is gone
            return self._position

    def _take(self, ring: Ring, row: np.void) -> None:
        position, size, kind = int(row["position"]), int(row["size"]), int(row["kind"])
        payload = b"" if kind == Kind.END else bytes(ring.payload(position, size))
        gone = kind == Kind.FRAME and int(row["track"]) == VIDEO_TRACK and not any(payload[:4])
        if gone or position < max(self._floor, ring.tail):
            raise ValueError("released while it was copied")
        self._position = int(row["end"])
        if kind == Kind.FORMAT:
            self._start = SessionStart.decode(payload)
            self._tracks = self._start.tracks
        if kind == Kind.FRAME and self._start is not None:
            self._note(row, payload, self._start)

    def _note(self, row: np.void, payload: bytes, start: SessionStart) -> None:
        track, flags = int(row["track"]), int(row["flags"])
        key, video = bool(flags & FrameFlag.KEY), track == VIDEO_TRACK
        if video and flags & FrameFlag.PARAMS:
            self._tracks = changed_tracks(self._tracks, memoryview(payload)) or self._tracks
        if flags & FrameFlag.LOST_BEFORE and video and not key:
            self._skipping = True
        if self._skipping and any(each.id == VIDEO_TRACK for each in self._tracks) and not (video and key):
            return
        if self._ready_bytes > _MOST_BYTES:
            self._ready, self._ready_bytes, self._skipping = [], 0, True
            return
        self._skipping = False
        wall_ns, pts_ns = int(row["wall_ns"]), int(row["pts_ns"])
        self._ready_bytes += len(payload)
        self._ready.append(
            LiveFrame(
                track,
                key,
                start.wall_ns(int(row["receipt_ns"])) if wall_ns == NO_TIME else wall_ns,
                None if pts_ns == NO_TIME else pts_ns,
                payload,
                flags,
                start.session,
                self._tracks,
            )
        )
