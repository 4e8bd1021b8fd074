"""What the RTSP server serves: a source hands each player a feed of units, packetised and timed."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple, Protocol, runtime_checkable

from fovideo.media.codec import Track
from fovideo.replay.rtp.payload import Payload


class UnitFlag:
    """Bits of Unit.flags."""

    JUMP = 1  # the recording has a gap between the unit before and this one
    SECTION_END = 2  # the next unit has JUMP, or there is none
    LAST = 4  # nothing follows


class Unit(NamedTuple):
    """One access unit, audio frame or metadata document, ready to be sent.

    time_ns: wall clock of capture (what sender reports relate to).
    media_ns: the source's media clock (what RTP timestamps follow); never decreases but for B-frames.
    due_ns: when to send it, on the media clock: the player paces recorded units by it.
    key: decoding can start here.
    """

    track: int
    time_ns: int
    media_ns: int
    due_ns: int
    key: bool
    payloads: Sequence[Payload]
    flags: int = 0


class Start(NamedTuple):
    """Where a player begins. from_ns: recorded time asked for, None = now (live) or the beginning."""

    from_ns: int | None = None
    to_ns: int | None = None


class Feed(Protocol):
    """The units of one player in the order of sending. Used by one task at a time."""

    @property
    def start_ns(self) -> int:
        """Recorded time (live: wall clock) at which this feed begins."""

    @property
    def start_media_ns(self) -> int:
        """Media clock of the first unit."""

    async def next(self) -> Unit | None:
        """The next unit; None at the end. A live feed waits until it is due, a recorded one does not."""

    def clock(self) -> tuple[int, int] | None:
        """(media_ns, time_ns) of this instant for a sender report; None: use the last unit's."""

    async def close(self) -> None: ...


class Source(Protocol):
    """What is served under one path. Any thread may construct it; the server's loop uses it."""

    @property
    def live(self) -> bool:
        """Live sources have no beginning to seek to; every player gets the present."""

    @property
    def speed(self) -> Fraction | None:
        """Pace for clients that ask for none; None = as fast as they take it. Live sources have 1."""

    async def tracks(self) -> Sequence[Track]:
        """For the session description. Raises FovideoError when nothing can be served."""

    async def extent(self) -> tuple[int, int] | None:
        """[from, to) in recorded time, ns; None for a live source."""

    async def open(self, tracks: frozenset[int], start: Start, payload_bytes: int) -> Feed:
        """A feed of the tracks with these ids. Raises NothingThere when the range holds no units."""


@runtime_checkable
class Remembering(Source, Protocol):
    """A live source with a past: a client that asks for a range of the clock gets the recorded one."""

    async def past(self) -> Source | None:
        """The recorded source of the same stream; None if there is none. FovideoError: out of reach."""


class Moved(NamedTuple):
    """A stream that is served elsewhere now: clients are sent to this URL."""

    url: str
