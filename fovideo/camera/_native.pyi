from typing import final

from typing_extensions import Buffer

from fovideo.ring import Ring

H264: int
H265: int
PACKETS: int
AAC: int
DOCUMENTS: int

LIVE: int
PRESSURE: int
MESSAGE: int
ENDED: int

END_LEFT: int
END_EOF: int
END_ERROR: int
END_BYE: int
END_FROZEN: int
END_NO_VIDEO: int
END_GARBAGE: int
END_NO_ROOM: int

@final
class Flow:
    """One session's way from RTP packets to units in a ring, of which it is the producer while it is at work.

    Its owner adds tracks and gives it to a loop (Loop.add), or feeds it by hand. It works for one session.
    """

    def __new__(cls, ring: Ring, *, session: int, start: bytes, freeze_ns: int) -> Flow:
        """session: number of the session in the ring. start: payload of its FORMAT record.
        freeze_ns: silence that ends it."""

    def add_track(
        self,
        form: int,
        *,
        track: int,
        payload_type: int,
        rate: int,
        own_ssrc: int = 1,
        channels: tuple[int, int] | None = None,
        sockets: tuple[int, int] | None = None,
        size_bits: int = 13,
        index_bits: int = 3,
        frame_ticks: int = 1024,
    ) -> int:
        """Add a track; returns its number in this flow, from 0. At most 3.

        form: H264, H265, PACKETS (each a unit), AAC (RFC 3640) or DOCUMENTS (ended by the marker).
        track: Track.id. rate: of the RTP clock. own_ssrc: for receiver reports.
        channels: of RTP and RTCP when interleaved. sockets: descriptors of RTP and RTCP by UDP; packets are then
        brought back into order. size_bits, index_bits, frame_ticks: AAC only.
        """

    def feed(self, data: Buffer, receipt_ns: int) -> None:
        """By hand: bytes of the RTSP connection, cut anywhere."""
    def feed_packet(self, number: int, data: Buffer, receipt_ns: int, *, rtcp: bool = False) -> None:
        """By hand: one packet of a track."""
    def tick(self, now_ns: int) -> None:
        """By hand: time passes."""
    def close(self) -> None:
        """By hand: no more packets come."""

    def wait(self, timeout_s: float | None = None) -> int:
        """Wait for news, without the interpreter lock: bits of LIVE, PRESSURE, MESSAGE and ENDED. 0 is no news.

        After ENDED nothing comes any more, and the ring may have another producer.
        """
    def messages(self) -> list[bytes]:
        """RTSP messages that came, oldest first."""
    def send(self, data: bytes) -> None:
        """Hand bytes to the loop for the RTSP connection; they leave within a batch time."""
    def leave(self) -> None:
        """Ask to be ended (END_LEFT); the loop has to be woken then."""

    @property
    def ended(self) -> bool:
        """`wait` has said ENDED (or `close` was called)."""
    @property
    def announced(self) -> bool:
        """The FORMAT record is in the ring. Only once it has ended."""
    @property
    def end(self) -> int:
        """Why it ended: END_..., 0 before."""
    @property
    def error(self) -> int:
        """errno of END_ERROR."""
    @property
    def frames(self) -> int:
        """Units that came."""
    @property
    def bytes(self) -> int:
        """Bytes of units that are in the ring."""
    @property
    def dropped_frames(self) -> int:
        """Units for which the ring had no room."""
    @property
    def last_receipt_ns(self) -> int:
        """When the last unit was complete; 0 before the first."""
    def counters(self) -> dict[str, int]:
        """Of the transport: packets, lost, late, reordered, foreign, corrupt and cut units, unsupported and malformed
        packets, garbage_bytes, received_bytes."""

@final
class Loop:
    """The event loop of many flows. `run` is a thread's body; the other methods may be called by any thread."""

    def __new__(
        cls, wake: int, alarm: int, *, batch_ns: int, datagram_ns: int, portable: bool = False
    ) -> Loop:
        """wake, alarm: descriptors of a connected pair of sockets, non-blocking; the caller keeps them open.
        batch_ns: how long data may wait in a connection. datagram_ns: the same for UDP.
        portable: do without what only Linux has."""

    def run(self) -> None:
        """Serve, without the interpreter lock, until stopped; all flows have ended then."""
    def add(self, flow: Flow, stream: int) -> None:
        """Give a flow to the loop. stream: descriptor of its RTSP connection, non-blocking.

        Descriptors have to stay open until the flow has ended. OSError when the loop has ended.
        """
    def forget(self, flow: Flow) -> None:
        """Let go of a flow that has ended."""
    def wake(self) -> None:
        """Make the loop look at what was asked of flows."""
    def stop(self) -> None: ...
    @property
    def sweeps(self) -> int:
        """Rounds over the sockets."""
    @property
    def reads(self) -> int:
        """Calls into the system that read."""
    @property
    def early(self) -> int:
        """Connections that were read before their time, because they held much."""
    @property
    def seated(self) -> int:
        """Flows at work."""
