"""LoopSource: a clip that loops for ever as a live camera.

One virtual encoder per track: frame n is captured at start + n / rate, whoever watches. So all players get
the same access units with the same capture times, nothing is queued for anybody, and what was sent can be
computed afterwards.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from os import PathLike
from typing import NamedTuple

from fovideo.errors import UsageError
from fovideo.media.codec import METADATA_TRACK, Track
from fovideo.replay.clip import Clip, ClipTrack, load_clip
from fovideo.replay.encoder import ClipEncoder, Document, DocumentEncoder, Encoder
from fovideo.replay.source import Start, Unit
from fovideo.times import NS_PER_S

_FREEZE_POLL_S = 0.02
_EVER_NS = 1 << 62


class Sent(NamedTuple):
    """A video frame that the camera put out. sequence: as in its marker; digest: of its VCL NAL units."""

    sequence: int
    time_ns: int
    digest: int


class LoopSource:
    """A live camera. It starts when it is constructed and needs no thread of its own. Thread-safe.

    fps: video frames a second; frame n is captured at start_ns + n / fps. 0 without video.
    clip: a file, or a clip in memory.
    marker: camera number to write into an SEI message of each access unit, beside the frame's running number.
    fps: frame rate to use instead of the clip's. speed: factor on it; audio is left out unless it is 1.
    loop: False ends the stream after one round.
    metadata: makes ONVIF metadata documents, `metadata_fps` a second; None = no such track.
    clock_offset_ns: how far the camera's wall clock is off; step_clock() changes it.
    fps (attribute): frames of video a second; 0 without video.
    wall_clock, monotonic: ns; the wall clock is read once, at the start.
    """

    live = True
    speed = Fraction(1)

    def __init__(
        self,
        clip: str | PathLike[str] | Clip,
        *,
        marker: int | None = None,
        fps: Fraction | float | None = None,
        speed: float = 1.0,
        loop: bool = True,
        audio: bool = True,
        metadata: Document | None = None,
        metadata_fps: float = 1.0,
        clock_offset_ns: int = 0,
        wall_clock: Callable[[], int] = time.time_ns,
        monotonic: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        for name, number in (("speed", speed), ("frame rate", fps), ("metadata rate", metadata_fps)):
            if number is not None and not 0 < number <= 1000:
                raise UsageError(f"not a {name}: {number}", hint="a number above 0, at most 1000")
        loaded = clip if isinstance(clip, Clip) else load_clip(clip, audio=audio)
        self.fps = Fraction(0)
        self._video: ClipEncoder | None = None
        self._encoders: dict[int, Encoder] = {}
        for each in loaded.tracks:
            if each.track.codec.is_video:
                self.fps = _rate(each, fps, speed)
                self._video = ClipEncoder(each, self.fps, marker, loop)
                self._encoders[each.track.id] = self._video
            elif audio and speed == 1:
                self._encoders[each.track.id] = ClipEncoder(each, each.rate, None, loop)
        if not self._encoders:
            raise UsageError("nothing left to send", hint="a clip without video cannot change its speed")
        if metadata is not None:
            rate = Fraction(metadata_fps).limit_denominator(1000)
            self._encoders[METADATA_TRACK] = DocumentEncoder(metadata, rate)
        self._monotonic = monotonic
        self._start_monotonic_ns = monotonic()
        self.start_ns = wall_clock()
        self._lock = threading.Lock()
        self._offsets: tuple[tuple[int, int], ...] = ((-_EVER_NS, clock_offset_ns),)  # media_ns from, offset
        self._freezes: tuple[tuple[int, int], ...] = ()  # media_ns [from, to)

    def freeze(self) -> None:
        """Fall silent as a hung camera: connections stay open, no frame is captured until thaw()."""
        with self._lock:
            if not self.is_frozen(self.media_now()):
                self._freezes += ((self.media_now(), _EVER_NS),)

    def thaw(self) -> None:
        """Capture again, from the present frame on."""
        with self._lock:
            if self.is_frozen(self.media_now()):
                self._freezes = (*self._freezes[:-1], (self._freezes[-1][0], self.media_now()))

    def step_clock(self, delta_ns: int) -> None:
        """Step the camera's wall clock; its media clock goes on evenly, as after an NTP correction."""
        with self._lock:
            self._offsets += ((self.media_now(), self._offsets[-1][1] + delta_ns),)

    def sent(self, from_ns: int | None = None, to_ns: int | None = None) -> list[Sent]:
        """Video frames put out so far, in decode order, whose capture time lies in [from_ns, to_ns)."""
        return [
            frame
            for frame in self._sent()
            if (from_ns is None or frame.time_ns >= from_ns) and (to_ns is None or frame.time_ns < to_ns)
        ]

    def _sent(self) -> Iterator[Sent]:
        encoder = self._video
        for number in range(encoder.due_by(self.media_now()) if encoder else 0):
            assert encoder is not None
            if not self.is_frozen(encoder.due_ns(number)):
                yield Sent(number, self.wall_ns(encoder.media_ns(number)), encoder.digest(number))

    def media_now(self) -> int:
        """Media clock: ns since the start."""
        return self._monotonic() - self._start_monotonic_ns

    def wall_ns(self, media_ns: int) -> int:
        """The camera's wall clock at an instant of its media clock."""
        offset_ns = next(offset for begin, offset in reversed(self._offsets) if media_ns >= begin)
        return self.start_ns + media_ns + offset_ns

    def is_frozen(self, media_ns: int) -> bool:
        """Whether the camera is silent at an instant of its media clock."""
        return any(begin <= media_ns < end for begin, end in self._freezes)

    async def tracks(self) -> Sequence[Track]:
        return [encoder.track for encoder in self._encoders.values()]

    async def extent(self) -> tuple[int, int] | None:
        return None

    async def open(self, tracks: frozenset[int], start: Start, payload_bytes: int) -> LoopFeed:
        return LoopFeed(self, [each for id_, each in self._encoders.items() if id_ in tracks], payload_bytes)


class LoopFeed:
    """The present of a LoopSource: begins with the frames that are due now, so nobody gets a backlog."""

    def __init__(self, source: LoopSource, encoders: Sequence[Encoder], payload_bytes: int) -> None:
        self._source, self._limit, self._encoders = source, payload_bytes, encoders
        now = source.media_now()
        self._next = [max(0, encoder.due_by(now) - 1) for encoder in encoders]
        first = [encoder.media_ns(number) for encoder, number in zip(encoders, self._next, strict=True)]
        self.start_media_ns = min(first, default=now)
        self.start_ns = source.wall_ns(self.start_media_ns)

    async def next(self) -> Unit | None:
        source = self._source
        while True:
            due = [
                (encoder.due_ns(number), at)
                for at, (encoder, number) in enumerate(zip(self._encoders, self._next, strict=True))
                if not encoder.is_over(number)
            ]
            if not due:
                return None
            due_ns, at = min(due)
            late_ns = source.media_now() - due_ns
            if late_ns < 0:
                await asyncio.sleep(-late_ns / NS_PER_S)
                continue
            encoder, number = self._encoders[at], self._next[at]
            self._next[at] = number + 1
            if not source.is_frozen(due_ns):
                media_ns = encoder.media_ns(number)
                time_ns = source.wall_ns(media_ns)
                key, payloads = encoder.payloads(number, time_ns, self._limit)
                return Unit(encoder.track.id, time_ns, media_ns, due_ns, key, payloads)
            if source.is_frozen(source.media_now()):
                await asyncio.sleep(_FREEZE_POLL_S)

    def clock(self) -> tuple[int, int] | None:
        media_ns = self._source.media_now()
        return media_ns, self._source.wall_ns(media_ns)

    async def close(self) -> None:
        pass


def _rate(clip: ClipTrack, fps: Fraction | float | None, speed: float) -> Fraction:
    rate = clip.rate if fps is None else Fraction(fps).limit_denominator(100_000)
    return rate * Fraction(speed).limit_denominator(1000)
