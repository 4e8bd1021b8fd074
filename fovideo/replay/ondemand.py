"""TimelineSource: recorded footage on demand, from any instant, at any pace."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections import deque
from collections.abc import Iterator, Sequence
from fractions import Fraction

from fovideo.errors import NothingThere, UsageError
from fovideo.media.codec import Track
from fovideo.media.frames import FrameFlag
from fovideo.media.nal import iter_nals
from fovideo.replay.read import Packet, read_packets
from fovideo.replay.rows import stream_info
from fovideo.replay.rtp.payload import packetise
from fovideo.replay.source import Start, Unit, UnitFlag
from fovideo.timeline.endpoint import Timeline
from fovideo.times import NS_PER_S

log = logging.getLogger(__name__)

_BATCH_BYTES = 512 * 1024
_BATCH_PACKETS = 128
_JUMP_NS = 2 * NS_PER_S
_JUMP_RATIO = 4
_JUMP_TAKES_NS = NS_PER_S // 25


class TimelineSource:
    """A stretch of a stream of a timeline. Every player has its own place in it. Thread-safe.

    from_ns, to_ns: what is served; None = from the beginning, to the end (of what is recorded when asked).
    speed: pace for clients that ask for none: times as fast as recorded; None = as fast as they take it.
    """

    live = False

    def __init__(
        self,
        timeline: Timeline,
        stream: str,
        from_ns: int | None = None,
        to_ns: int | None = None,
        *,
        speed: float | None = 1.0,
    ) -> None:
        if speed is not None and not 0 < speed <= 1000:
            raise UsageError(f"not a speed: {speed}", hint="a number above 0, at most 1000, or max")
        stream_info(timeline, stream)
        self._timeline, self._stream, self._from_ns, self._to_ns = timeline, stream, from_ns, to_ns
        self.speed = None if speed is None else Fraction(speed).limit_denominator(1000)
        self._tracks: tuple[Track, ...] | None = None

    async def tracks(self) -> Sequence[Track]:
        """Tracks of the first frame: what an SDP must say before the first packet."""
        if self._tracks is None:
            self._tracks = await asyncio.to_thread(self._first_tracks)
        return self._tracks

    def _first_tracks(self) -> tuple[Track, ...]:
        for packet in self.read(self._from_ns, self._to_ns):
            return packet.tracks
        raise NothingThere("no video in this stretch", where=f"{self._timeline.location} {self._stream}")

    async def extent(self) -> tuple[int, int] | None:
        return await asyncio.to_thread(self._extent)

    def _extent(self) -> tuple[int, int]:
        info = stream_info(self._timeline, self._stream)
        begin = info.start_ns if self._from_ns is None else max(self._from_ns, info.start_ns)
        end = info.end_ns if self._to_ns is None else min(self._to_ns, info.end_ns)
        return begin, max(begin, end)

    def read(self, from_ns: int | None, to_ns: int | None) -> Iterator[Packet]:
        """Packets of a stretch; what can't be read is left out and logged."""
        return read_packets(
            self._timeline,
            self._stream,
            from_ns,
            to_ns,
            on_damage=lambda error: log.warning("skipped while replaying: %s", error),
        )

    async def open(self, tracks: frozenset[int], start: Start, payload_bytes: int) -> TimelineFeed:
        served = {track.id: track for track in await self.tracks() if track.id in tracks}
        from_ns = self._from_ns if start.from_ns is None else start.from_ns
        to_ns = min((each for each in (self._to_ns, start.to_ns) if each is not None), default=None)
        feed = TimelineFeed(self.read(from_ns, to_ns), served, payload_bytes)
        await feed.begin()
        return feed


class TimelineFeed:
    """Packets of a stretch as units. Reads a batch ahead in a worker thread.

    The media clock passes over gaps in a moment, so that no player waits an hour for the next frame; the
    wall clock in sender reports tells the truth.
    """

    def __init__(self, packets: Iterator[Packet], tracks: dict[int, Track], payload_bytes: int) -> None:
        self._packets, self._tracks, self._limit = packets, tracks, payload_bytes
        self._sets = {track.id: track.parameter_sets for track in tracks.values()}
        self._ready: deque[Unit] = deque()
        self._ahead: asyncio.Future[list[Unit]] | None = None
        self._skipped_ns = 0  # of the media clock, in gaps
        self._held: Unit | None = None  # until it is known what follows
        self._last_dts_ns: int | None = None
        self._step_ns = 0
        self.start_ns = self.start_media_ns = 0

    async def begin(self) -> None:
        """Find the first unit; NothingThere when there is none."""
        self._fetch()
        first = await self.next()
        if first is None:
            raise NothingThere("no video in this stretch")
        self._ready.appendleft(first)
        self.start_ns, self.start_media_ns = first.time_ns, first.media_ns

    async def next(self) -> Unit | None:
        while not self._ready:
            if self._ahead is None:
                return None
            units = await self._ahead
            self._ahead = None
            if units:
                self._ready.extend(units)
                self._fetch()
        return self._ready.popleft()

    def clock(self) -> tuple[int, int] | None:
        return None

    async def close(self) -> None:
        if self._ahead is not None:
            await asyncio.gather(self._ahead, return_exceptions=True)
            self._ahead = None

    def _fetch(self) -> None:
        self._ahead = asyncio.ensure_future(asyncio.to_thread(self._batch))

    def _batch(self) -> list[Unit]:
        """The next units; empty at the end."""
        out: list[Unit] = []
        size = 0
        for packet in self._packets:
            track = self._tracks.get(packet.track)
            if track is None or not _is_served(track, packet):
                continue
            unit, held = self._unit(track, packet), self._held
            self._held = unit
            if held is not None:
                ends = UnitFlag.SECTION_END if unit.flags & UnitFlag.JUMP else 0
                out.append(held._replace(flags=held.flags | ends))
            size += len(packet.payload)
            if out and (size >= _BATCH_BYTES or len(out) >= _BATCH_PACKETS):
                return out
        if self._held is not None:
            flags = self._held.flags | UnitFlag.SECTION_END | UnitFlag.LAST
            out.append(self._held._replace(flags=flags))
            self._held = None
        return out

    def _unit(self, track: Track, packet: Packet) -> Unit:
        flags = 0
        if self._last_dts_ns is not None:
            step_ns = packet.dts_ns - self._last_dts_ns
            if step_ns > max(_JUMP_NS, self._step_ns * _JUMP_RATIO):
                self._skipped_ns += step_ns - _JUMP_TAKES_NS
                flags = UnitFlag.JUMP
            elif step_ns > 0:
                self._step_ns = step_ns
        self._last_dts_ns = packet.dts_ns
        payloads = packetise(track, self._parts(track, packet), self._limit)
        media_ns, due_ns = packet.time_ns - self._skipped_ns, packet.dts_ns - self._skipped_ns
        return Unit(track.id, packet.time_ns, media_ns, due_ns, packet.key, payloads, flags)

    def _parts(self, track: Track, packet: Packet) -> Sequence[bytes]:
        if not track.codec.is_video:
            return [packet.payload]
        nals = [bytes(nal) for nal in iter_nals(packet.payload)]
        if not packet.key:
            return nals
        sets = next(each.parameter_sets for each in packet.tracks if each.id == packet.track)
        if packet.flags & FrameFlag.PARAMS or sets == self._sets[track.id]:
            return nals
        return list(itertools.chain(sets, nals))  # a recorder whose camera told them only in its SDP


def _is_served(track: Track, packet: Packet) -> bool:
    """A description can't change during a session: what has another codec by now is left out."""
    now = next((each for each in packet.tracks if each.id == packet.track), None)
    return now is not None and now.codec is track.codec
