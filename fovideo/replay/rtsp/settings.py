"""Settings and counters of an RTSP server."""

from __future__ import annotations

import msgspec

from fovideo.replay.rtp.payload import MAX_PAYLOAD_BYTES


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """How a server treats its clients. Times in seconds.

    first_sender_report_s: after the first packets of a track; 0 = right after them, None = no reports at all.
    sender_report_s: from one report to the next.
    session_timeout_s: how long a UDP session without a sign of life or an idle connection lasts.
    end_grace_s: a connection whose playback has ended is closed after this, unless the client plays on: who
        missed the goodbye (libavformat does, while it probes) then sees the end too.
    backlog_bytes: what may wait for a slow client of a live stream; beyond it whole GOPs are dropped for it.
    send_buffer_bytes: the system's own buffer of a connection, which comes on top; 0 = as the system likes.
    stall_s: a client that takes nothing for this long is cut off.
    """

    first_sender_report_s: float | None = 0.0
    sender_report_s: float = 5.0
    session_timeout_s: float = 60.0
    end_grace_s: float = 2.0
    payload_bytes: int = MAX_PAYLOAD_BYTES
    backlog_bytes: int = 4 << 20
    send_buffer_bytes: int = 0
    stall_s: float = 10.0
    max_connections: int = 1000
    max_sessions: int = 1000


class Counters:
    """What a server has done since it started. Written by its thread, readable from any."""

    def __init__(self) -> None:
        self.connections = 0
        self.requests = 0
        self.bad_requests = 0
        self.unauthorized = 0
        self.sessions = 0
        self.units = 0
        self.packets = 0
        self.dropped_units = 0
        self.stalled_clients = 0
