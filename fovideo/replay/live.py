"""LiveSource: a camera that is being recorded, passed on live; with its past, where a client asks for that.

One tap serves all players of a camera; it is opened for the first one and closed some seconds after the last.
Whoever joins begins with the newest keyframe. Players take from a short common queue; one that falls behind
goes on at a later keyframe, and none can hold up another, or the recorder.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections import deque
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Protocol

from fovideo.errors import FovideoError, NothingThere
from fovideo.media.codec import VIDEO_TRACK, Track
from fovideo.media.frames import FrameFlag
from fovideo.media.nal import iter_nals
from fovideo.replay.rtp.payload import packetise
from fovideo.replay.source import Feed, Source, Start, Unit
from fovideo.times import NS_PER_MS, NS_PER_S

_log = logging.getLogger(__name__)

_POLL_S = 0.02
_LINGER_S = 10.0
_FIRST_S = 5.0
_QUEUE_BYTES = 32 << 20
_LONGEST_STEP_NS = 10 * NS_PER_S


class Frame(Protocol):
    """A frame as it arrived; see fovideo.record.LiveFrame."""

    @property
    def track(self) -> int: ...
    @property
    def key(self) -> bool: ...
    @property
    def time_ns(self) -> int: ...
    @property
    def pts_ns(self) -> int | None: ...
    @property
    def payload(self) -> bytes: ...
    @property
    def flags(self) -> int: ...
    @property
    def session(self) -> str: ...
    @property
    def tracks(self) -> tuple[Track, ...]: ...


class Tap(Protocol):
    """Where live frames come from; see fovideo.record.Tap."""

    def take(self) -> Sequence[Frame]: ...
    def close(self) -> None: ...


class LiveSource:
    """A live stream. Constructed by any thread, used by one server's loop.

    open_tap: called in a worker thread; may raise FovideoError. past: opens the recorded source of the same
    stream, for clients that ask for a range of time; called in a worker thread; None = there is none.
    """

    live = True
    speed = Fraction(1)

    def __init__(self, open_tap: Callable[[], Tap], past: Callable[[], Source] | None = None) -> None:
        self._open_tap, self._past = open_tap, past
        self._queue: deque[tuple[Frame, int]] = deque()  # frames and their media clock, from a keyframe on
        self._first = 0  # number of the queue's first frame
        self._bytes = 0
        self._feeds: set[LiveFeed] = set()
        self._task: asyncio.Task[None] | None = None
        self._told: asyncio.Event = asyncio.Event()
        self._tracks: tuple[Track, ...] = ()
        self._clock = _MediaClock()

    async def past(self) -> Source | None:
        """The recorded source beside this one."""
        return None if self._past is None else await asyncio.to_thread(self._past)

    async def tracks(self) -> Sequence[Track]:
        """Waits some seconds for the camera's first frame."""
        self._run()
        deadline = asyncio.get_running_loop().time() + _FIRST_S
        while not self._queue:
            self._told.clear()
            left_s = deadline - asyncio.get_running_loop().time()
            try:
                await asyncio.wait_for(self._told.wait(), max(left_s, 0))
            except TimeoutError:
                raise FovideoError("the camera delivers nothing now") from None
            if self._task is None:
                raise FovideoError("the camera is not received here now")
        return self._tracks

    async def extent(self) -> tuple[int, int] | None:
        return None

    async def open(self, tracks: frozenset[int], start: Start, payload_bytes: int) -> LiveFeed:
        served = await self.tracks()
        feed = LiveFeed(self, {track.id: track for track in served if track.id in tracks}, payload_bytes)
        self._feeds.add(feed)
        return feed

    # for feeds

    def newest_key(self) -> int:
        """Number of the newest frame at which a player can begin."""
        numbers = range(self._first + len(self._queue) - 1, self._first - 1, -1)
        return next((each for each in numbers if self._is_start(each)), self._first)

    def _is_start(self, number: int) -> bool:
        frame = self._queue[number - self._first][0]
        return frame.key and (frame.track == VIDEO_TRACK or not self._has_video)

    @property
    def _has_video(self) -> bool:
        return any(track.id == VIDEO_TRACK for track in self._tracks)

    def frame(self, number: int) -> tuple[int, Frame, int] | None:
        """(number, frame, its media clock) of this frame; of the next start if it is gone; None = later."""
        if number < self._first:
            number = next((n for n in range(self._first, self._end) if self._is_start(n)), self._end)
        return None if number >= self._end else (number, *self._queue[number - self._first])

    @property
    def _end(self) -> int:
        return self._first + len(self._queue)

    @property
    def is_over(self) -> bool:
        return self._task is None

    def leave(self, feed: LiveFeed) -> None:
        self._feeds.discard(feed)

    # the tap

    def _run(self) -> None:
        if self._task is None:
            self._clock = _MediaClock()
            self._task = asyncio.get_running_loop().create_task(self._follow())

    async def _follow(self) -> None:
        tap: Tap | None = None
        try:
            tap = await asyncio.to_thread(self._open_tap)
            await self._pass_on(tap)
        except FovideoError as error:
            _log.info("a live stream ends: %s", error)
        except Exception:
            _log.exception("a live stream failed")
        finally:
            if tap is not None:
                tap.close()
            self._task = None
            self._first += len(self._queue)
            self._queue.clear()
            self._bytes = 0
            self._tell()

    async def _pass_on(self, tap: Tap) -> None:
        loop = asyncio.get_running_loop()
        used = loop.time()
        while self._feeds or loop.time() - used < _LINGER_S:
            used = loop.time() if self._feeds else used
            frames = tap.take()
            for frame in frames:
                if self._tracks and self._queue and _codecs(frame.tracks) != _codecs(self._tracks):
                    raise NothingThere("the camera sends another kind of stream now")
                self._tracks = frame.tracks
                self._queue.append((frame, self._clock.media_ns(frame)))
                self._bytes += len(frame.payload)
            if frames:
                self._shorten()
                self._tell()
            await asyncio.sleep(_POLL_S)

    def _shorten(self) -> None:
        """Keep the newest GOP, and what players have not taken yet as far as there is room."""
        slowest = min((feed.number for feed in self._feeds), default=self._end)
        keep = min(self.newest_key(), slowest)
        while self._queue and (self._first < keep or self._bytes > _QUEUE_BYTES):
            frame, _ = self._queue.popleft()
            self._bytes -= len(frame.payload)
            self._first += 1

    def _tell(self) -> None:
        self._told.set()
        for feed in self._feeds:
            feed.told.set()


class _MediaClock:
    """A media clock for each track that goes on evenly over the camera's reconnections."""

    def __init__(self) -> None:
        self._last: dict[int, tuple[str, int, int, int]] = {}  # session, pts, media, time of the last frame

    def media_ns(self, frame: Frame) -> int:
        last = self._last.get(frame.track)
        pts_ns = frame.time_ns if frame.pts_ns is None else frame.pts_ns
        if last is None:
            media_ns = pts_ns
        else:
            session, last_pts_ns, last_media_ns, last_time_ns = last
            step_ns = pts_ns - last_pts_ns
            if session != frame.session or abs(step_ns) > _LONGEST_STEP_NS:
                step_ns = min(max(frame.time_ns - last_time_ns, NS_PER_MS), _LONGEST_STEP_NS)
            media_ns = last_media_ns + step_ns
        self._last[frame.track] = (frame.session, pts_ns, media_ns, frame.time_ns)
        return media_ns


class LiveFeed:
    """One player's way through a live source."""

    def __init__(self, source: LiveSource, tracks: dict[int, Track], payload_bytes: int) -> None:
        self._source, self._tracks, self._limit = source, tracks, payload_bytes
        self._sets = {track.id: track.parameter_sets for track in tracks.values()}
        self.number = source.newest_key()
        self.told = asyncio.Event()
        found = source.frame(self.number)
        self.start_ns, self.start_media_ns = (0, 0) if found is None else (found[1].time_ns, found[2])

    async def next(self) -> Unit | None:
        while True:
            self.told.clear()
            found = self._source.frame(self.number)
            if found is not None:
                number, frame, media_ns = found
                self.number = number + 1
                if frame.track in self._tracks:
                    return self._unit(frame, media_ns)
                continue
            if self._source.is_over:
                return None
            await self.told.wait()

    def clock(self) -> tuple[int, int] | None:
        return None

    async def close(self) -> None:
        self._source.leave(self)

    def _unit(self, frame: Frame, media_ns: int) -> Unit:
        track = self._tracks[frame.track]
        payloads = packetise(track, self._parts(track, frame), self._limit)
        return Unit(frame.track, frame.time_ns, media_ns, media_ns, frame.key, payloads)

    def _parts(self, track: Track, frame: Frame) -> Sequence[bytes]:
        if not track.codec.is_video:
            return [frame.payload]
        nals = [bytes(nal) for nal in iter_nals(frame.payload)]
        sets = next((each.parameter_sets for each in frame.tracks if each.id == track.id), ())
        if not frame.key or frame.flags & FrameFlag.PARAMS or sets == self._sets[track.id]:
            return nals
        return list(itertools.chain(sets, nals))


def _codecs(tracks: Sequence[Track]) -> list[tuple[int, str]]:
    return [(track.id, track.codec.value) for track in tracks]


__all__ = ["Feed", "LiveFeed", "LiveSource", "Tap"]
