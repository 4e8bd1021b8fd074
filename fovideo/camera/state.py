"""States of a camera, and what can be known about it at any time."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from fovideo.errors import (
    CameraBroken,
    CameraError,
    CameraFrozen,
    CameraUnauthorized,
    CameraUnreachable,
    UnsupportedStream,
)


class CameraState(StrEnum):
    """What a camera is doing. All but LIVE, ENDED and STOPPED end in another attempt."""

    CONNECTING = "connecting"  # being opened, for the first time or again
    LIVE = "live"  # delivers
    FROZEN = "frozen"  # connected, but silent
    UNREACHABLE = "unreachable"  # no connection, or it was lost
    UNAUTHORIZED = "unauthorized"  # refuses the credentials
    BROKEN = "broken"  # answers with what is not a stream
    UNSUPPORTED = "unsupported"  # a stream without a track that is recorded
    ENDED = "ended"  # a file was read to its end; with an error, to where it is cut short
    STOPPED = "stopped"  # not being read


def state_of(error: CameraError) -> CameraState:
    """The state that a session's error means."""
    match error:
        case CameraFrozen():
            return CameraState.FROZEN
        case CameraUnauthorized():
            return CameraState.UNAUTHORIZED
        case UnsupportedStream():
            return CameraState.UNSUPPORTED
        case CameraUnreachable():
            return CameraState.UNREACHABLE
        case CameraBroken() | _:
            return CameraState.BROKEN


class ReaderStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A camera's reader at one instant. Counters are over all sessions; times are of the monotonic clock.

    sessions: connections that were opened. failures: times that a session failed or ended, by state.
    frames: units that arrived. dropped_frames: those of them for which the ring had no room.
    lost_packets: RTP packets that never came, as far as the native reader read the camera.
    error: the last error, "" while live.
    """

    state: CameraState
    since_ns: int
    session: str
    sessions: int
    failures: dict[CameraState, int]
    frames: int
    bytes: int
    dropped_frames: int
    last_receipt_ns: int
    error: str
    lost_packets: int = 0
