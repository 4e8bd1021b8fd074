"""A camera's way through the writer thread: from its ring, through stamping, to its stream of the store.

Everything here but `want` and the counters belongs to the writer thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fovideo.camera.session_start import SessionStart
from fovideo.errors import FovideoError
from fovideo.media.codec import Track
from fovideo.media.frames import Clock
from fovideo.record.events import Event, FramesLost, Mode, ModeChanged
from fovideo.record.output import Output
from fovideo.record.passage import Passage
from fovideo.record.tap import Tap
from fovideo.ring import Kind, Ring, leading, trim_position
from fovideo.times import NS_PER_S

if TYPE_CHECKING:
    from fovideo.store import Store

_BATCH, _BATCH_BYTES = 4096, 3 << 20  # what one append takes in one piece, whatever waits
_ALL = 1 << 24
_YOUNG_NS = 2 * NS_PER_S


class Intent(NamedTuple):
    """How somebody wants a camera to be treated; see Recorder.set_mode."""

    mode: Mode
    lease: int = 0
    pending: bool = False


class Lane:
    """Drains one ring. What the store refuses is given to it again; nothing is stamped beyond it."""

    def __init__(
        self,
        name: str,
        ring: Ring,
        store: Store,
        *,
        recorder: str,
        preroll_ns: int,
        intent: Intent,
        emit: Callable[[Event], None],
    ) -> None:
        self.name, self.ring = name, ring
        self.mode, self.lease = intent.mode, intent.lease
        self.failures = 0
        self.durable_to_ns = 0
        self._drained = self._safe = (0, -1)  # when, and how far the ring was filled then
        self._preroll_ns, self._emit = preroll_ns, emit
        self._output = Output(name, store, ring, lambda loss: emit(FramesLost(name, loss)))
        self._passage = Passage(name, ring, self._output, recorder=recorder, store=store.identity)
        self._passage.write_under(intent.lease, pending=intent.pending)
        self._wanted = self._intent = intent
        self._turning: Intent | None = None
        self._read = ring.tail
        self._tapping = threading.Lock()
        self._taps: tuple[Tap, ...] = ()
        self.left = False

    # any thread

    @property
    def session(self) -> tuple[SessionStart | None, tuple[Track, ...]]:
        """The session that the writer has come to, and its tracks."""
        return self._passage.start, self._passage.tracks

    def tap(self) -> Tap:
        """A view of what arrives, from the newest keyframe on that is still in memory."""
        tap = Tap(self)
        with self._tapping:
            self._taps = (*self._taps, tap)
        tap.begin()
        return tap

    def want(self, intent: Intent) -> None:
        """Work like this from the next drain on."""
        self._wanted = intent

    @property
    def settled(self) -> bool:
        """What was wanted is what is done."""
        return self._wanted == self._intent

    @property
    def safe_ns(self) -> int:
        """Monotonic clock: what came before is durable, or given up; 0 before the first commit."""
        return self._safe[0]

    @property
    def written_frames(self) -> int:
        """Frames that are durable."""
        return self._output.frames

    @property
    def written_bytes(self) -> int:
        return self._output.bytes

    @property
    def lost_frames(self) -> int:
        """Frames that never reached the store, told or not yet told."""
        return self._output.lost_frames + self._passage.unwritten

    @property
    def dropped_frames(self) -> int:
        """Frames for which there was no room in memory."""
        return self.ring.dropped_units

    @property
    def allowed_bytes(self) -> int:
        """Memory that frames may take until they are durable."""
        return self.ring.allowed_bytes

    @property
    def clock(self) -> Clock | None:
        """Source of the primary track's times; None before the first frame."""
        return self._passage.clock

    @property
    def clock_ahead_ns(self) -> int:
        """By how much the newest frame's time was ahead of this machine's clock at its receipt."""
        return self._passage.clock_ahead_ns

    @property
    def error(self) -> str:
        """Why frames are not written, "" = they are."""
        return self._passage.error

    # the writer thread

    @property
    def writing(self) -> bool:
        """A commit of the store matters to this lane."""
        return self._output.active

    def drain(self, now_ns: int) -> None:
        """Take what is in the ring. StoreError when the store refuses; calling again goes on from there."""
        self._drained = now_ns, self.ring.tail + self.ring.used_bytes
        if self._drained[1] == self._safe[1]:
            self._safe = self._drained  # nothing has come since
        wanted = self._wanted
        if wanted != self._intent:
            self._turn(wanted, now_ns)
        elif self.mode is Mode.STANDBY:
            self._trim(now_ns)
        else:
            self._drain(now_ns, final=False)

    def finish(self, now_ns: int) -> None:
        """The last drain: nothing is held back, and the writer is closed."""
        if self.mode is Mode.RECORD:
            self._drain(now_ns, final=True)
            self._passage.lose_the_rest()
            self._passage.end_session()
            self._output.perform()

    def committed(self) -> None:
        """What was appended is durable: its memory may be used again."""
        if self._output.waiting:
            return
        self._output.committed()
        if self.mode is Mode.RECORD:
            self.durable_to_ns = self._output.last_time_ns
            self._safe = self._drained
            if self._read > self.ring.tail:
                self._release(self._read)
        if self._turning is not None:
            wanted, self._turning = self._turning, None
            self._adopt(wanted)

    def give_up(self, error: BaseException) -> None:
        """An error that is not the store's: drop what caused it and begin anew; no other lane suffers."""
        rows = self.ring.units(self._read, _ALL)
        frames = int(np.count_nonzero(rows["kind"] == Kind.FRAME))
        self._passage.unwritten += frames + self._output.abandon()
        self.failures += 1
        known = isinstance(error, FovideoError)
        self._passage.error = str(error) if known else f"unexpected {type(error).__name__}"
        self._passage.begin_anew(rows)
        if len(rows):
            self._read = int(rows["end"][-1])

    # modes

    def _turn(self, wanted: Intent, now_ns: int) -> None:
        """Out of standby at once; out of recording when what came so far is durable."""
        if self.mode is Mode.RECORD:
            self._drain(now_ns, final=False)
            if self._is_young(now_ns):
                return
            self._drain(now_ns, final=True)
            self._passage.pause_session()
            self._output.perform()
            self._turning = wanted
            return
        rows = self.ring.units(None, _ALL)
        frames = rows["receipt_ns"][rows["kind"] == Kind.FRAME]
        self._adopt(wanted, now_ns - int(frames[0]) if len(frames) else 0)
        if wanted.mode is Mode.RECORD:
            self._drain(now_ns, final=False)

    def _is_young(self, now_ns: int) -> bool:
        """The session's first frames have just come: what their times are, the next ones tell."""
        stamper = self._passage.stamper
        if stamper is not None and stamper.clock is not None:
            return False
        rows = self.ring.units(self._read, 1)
        return len(rows) > 0 and now_ns - int(rows["receipt_ns"][0]) < _YOUNG_NS

    def _adopt(self, wanted: Intent, preroll_ns: int = 0) -> None:
        self._intent, self.mode, self.lease = wanted, wanted.mode, wanted.lease
        self._passage.write_under(wanted.lease, pending=wanted.pending)
        self._emit(ModeChanged(self.name, self.mode, self.lease, preroll_ns))

    def _trim(self, now_ns: int) -> None:
        rows = self.ring.units(None, _ALL)
        end = trim_position(rows, now_ns, self._preroll_ns, self.ring.used_bytes, self.ring.allowed_bytes)
        if end is None:
            return
        self._passage.pass_over(rows[rows["end"] <= end])
        self._release(end)
        self._read = end

    def _release(self, position: int) -> None:
        for tap in self._taps:
            tap.releasing(position)
        if any(tap.closed for tap in self._taps):
            with self._tapping:
                self._taps = tuple(tap for tap in self._taps if not tap.closed)
        self.ring.release(position, discard=True)

    # frames

    def _drain(self, now_ns: int, *, final: bool) -> None:
        self._output.perform()
        while len(rows := self.ring.units(self._read, _BATCH, _BATCH_BYTES)):
            count, drops, size_bytes = leading(rows)
            more = len(rows) == _BATCH or size_bytes >= _BATCH_BYTES
            notes = count < len(rows)
            if count == 0:
                self._passage.note(rows[0])
                taken = 1
            else:
                last = notes or (final and not more)
                taken = self._passage.take(rows[:count], now_ns, final=last, drops=drops)
            if taken:
                self._read = int(rows["end"][taken - 1])
                self._output.perform()
            if not taken or not (more or notes):
                break  # the rest is held back
