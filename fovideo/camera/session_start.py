"""What a session is: the payload of a FORMAT unit, and all that stamping needs to know about it."""

from __future__ import annotations

import msgspec

from fovideo.media.codec import Track


class SessionStart(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The first record of each session in a ring.

    session: 16 hex digits, new for each connection.
    source: where the frames come from, redacted.
    wall_at_start_ns, receipt_at_start_ns: this machine's wall clock and monotonic clock, read together.
    container_start_ns: wall clock of pts 0 that the file states, or None.
    live: the camera paces the frames, so that receipt times mean something; False for a file read at full
        speed.
    is_file: pts of all tracks share one clock, and clocks inside it are the container's.
    interval_ns: frame interval that the source announces; 0 = unknown.
    first_pts_ns: pts of a first frame that comes without, or None.
    replayed: a recording, not at the pace of its clock: frames are stored without their receipt, which tells
        nothing of it.
    """

    tracks: tuple[Track, ...]
    source: str
    session: str
    wall_at_start_ns: int
    receipt_at_start_ns: int
    container_start_ns: int | None = None
    live: bool = True
    is_file: bool = False
    interval_ns: int = 0
    first_pts_ns: int | None = None
    replayed: bool = False

    def wall_ns(self, receipt_ns: int) -> int:
        """This machine's wall clock at a monotonic receipt time, as if nobody had set it since the start."""
        return self.wall_at_start_ns + receipt_ns - self.receipt_at_start_ns

    def encode(self) -> bytes:
        return msgspec.msgpack.encode(self)

    @classmethod
    def decode(cls, payload: bytes | memoryview) -> SessionStart:
        """Raises ValueError (msgspec.ValidationError) for anything else."""
        return _decode(payload)


_decode = msgspec.msgpack.Decoder(SessionStart).decode
