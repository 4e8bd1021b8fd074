"""A camera's way through the writer thread: from its ring, through stamping, to its stream of the store.

Everything here but `want` and the counters belongs to the writer thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np

from fovideo.camera.clock import Piece, Stamped, Stamper
from fovideo.camera.session_start import SessionStart
from fovideo.errors import CameraError, FovideoError
from fovideo.media._tables import flagged
from fovideo.media.codec import VIDEO_TRACK, Track
from fovideo.media.frames import Clock, FrameFlag, FrameTable
from fovideo.record.events import Event, FramesLost, Mode, ModeChanged
from fovideo.record.format_change import changed_tracks, has_format
from fovideo.record.output import Output
from fovideo.record.tap import Tap
from fovideo.ring import Kind, Ring, Units, trim_position
from fovideo.timeline.values import Loss, Provenance
from fovideo.times import NS_PER_S

if TYPE_CHECKING:
    from fovideo.store import Store

_BATCH = 4096
_ALL = 1 << 24
_YOUNG_NS = 2 * NS_PER_S
_PATIENCE = 0.5  # share of the ring that may fill up while parameter sets are awaited
_DROPPED, _UNWRITTEN = "disk-slow", "unwritable"


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
        self.clock: Clock | None = None
        self.clock_ahead_ns = 0
        self.error = ""
        self._recorder, self._identity = recorder, store.identity
        self._preroll_ns, self._emit = preroll_ns, emit
        self._output = Output(name, store, ring, lambda loss: emit(FramesLost(name, loss)))
        self._wanted = self._intent = intent
        self._turning: Intent | None = None
        self._read = ring.tail
        self._start: SessionStart | None = None
        self._tracks: tuple[Track, ...] = ()
        self._stamper: Stamper | None = None
        self._paused: Stamper | None = None  # of the present session, while it is in standby
        self._next_epoch: dict[str, int] = {}
        self._told_drops = 0
        self._unwritten = 0
        self._tapping = threading.Lock()
        self._taps: tuple[Tap, ...] = ()
        self.left = False

    # any thread

    @property
    def session(self) -> tuple[SessionStart | None, tuple[Track, ...]]:
        """The session that the writer has come to, and its tracks."""
        return self._start, self._tracks

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
        return self._output.lost_frames + self._unwritten

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
            self._lose_the_rest()
            self._end_session()
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
        self._unwritten += int(np.count_nonzero(rows["kind"] == Kind.FRAME)) + self._output.abandon()
        self.failures += 1
        self.error = str(error) if isinstance(error, FovideoError) else f"unexpected {type(error).__name__}"
        self._end_session()
        for row in rows[rows["kind"] == Kind.FORMAT][-1:]:
            self._begin_session(self._decode(row))
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
            self._pause_session()
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
        if self._stamper is not None and self._stamper.clock is not None:
            return False
        rows = self.ring.units(self._read, 1)
        return len(rows) > 0 and now_ns - int(rows["receipt_ns"][0]) < _YOUNG_NS

    def _adopt(self, wanted: Intent, preroll_ns: int = 0) -> None:
        self._intent, self.mode, self.lease = wanted, wanted.mode, wanted.lease
        self._emit(ModeChanged(self.name, self.mode, self.lease, preroll_ns))

    def _trim(self, now_ns: int) -> None:
        rows = self.ring.units(None, _ALL)
        end = trim_position(rows, now_ns, self._preroll_ns, self.ring.used_bytes, self.ring.capacity_bytes)
        if end is None:
            return
        gone = rows[rows["end"] <= end]
        for row in gone[gone["kind"] == Kind.FORMAT][-1:]:
            self._begin_session(self._decode(row))
        self._told_drops += int(gone["value"][gone["kind"] == Kind.FRAME].sum())
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
        while len(rows := self.ring.units(self._read, _BATCH)):
            notes = np.flatnonzero(rows["kind"] != Kind.FRAME)
            count = int(notes[0]) if len(notes) else len(rows)
            if count == 0:
                self._note(rows[0])
                taken = 1
            else:
                last = len(notes) > 0 or (final and len(rows) < _BATCH)
                taken = self._take(rows[:count], now_ns, final=last)
            if taken:
                self._read = int(rows["end"][taken - 1])
                self._output.perform()
            if not taken or (len(rows) < _BATCH and not len(notes)):
                break  # the rest is held back

    def _note(self, row: np.void) -> None:
        """A session begins, changes or ends."""
        if row["kind"] == Kind.END:
            self._end_session()
            self._start = None
        if row["kind"] != Kind.FORMAT:
            return
        start = self._decode(row)
        if self._start is not None and start.session == self._start.session:
            self._start, self._tracks = start, start.tracks
            self._output.set_format(start.tracks)
        else:
            self._end_session()
            self._begin_session(start)

    def _take(self, rows: Units, now_ns: int, *, final: bool) -> int:
        """Stamp rows and order the steps that write them. Number of rows that are done with."""
        if self._start is None:
            self._unwritten += len(rows)
            return len(rows)
        if not has_format(self._tracks) and not self._find_format(rows):
            if not final and self.ring.used_bytes < _PATIENCE * self.ring.capacity_bytes:
                return 0
            self._unwritten += len(rows)
            self.error = "the camera sends no parameter sets"
            return len(rows)
        stamper = self._stamper or self._open_session(self._start)
        stamped = stamper.stamp(rows, now_ns=now_ns, final=final)
        self.clock, self.clock_ahead_ns, self.error = stamper.clock, stamper.ahead_ns, ""
        self._order(stamped, rows, stamper)
        return stamped.consumed

    def _find_format(self, rows: Units) -> bool:
        for row in rows[(rows["track"] == VIDEO_TRACK) & (rows["flags"] & FrameFlag.PARAMS != 0)]:
            found = changed_tracks(self._tracks, self.ring.payload(int(row["position"]), int(row["size"])))
            if found is not None and has_format(found):
                self._tracks = found
                return True
        return False

    def _order(self, stamped: Stamped, rows: Units, stamper: Stamper) -> None:
        drops: dict[int, int] = {}
        if rows["value"].any():
            drops = {int(row["position"]): int(row["value"]) for row in rows[rows["value"] > 0]}
        for piece in stamped.pieces():
            for backdate in piece.backdates:
                self._output.backdate(backdate.epoch, backdate.shift_ns)
            if self._unwritten and len(piece.frames):
                self._lose(piece.frames, 0, self._unwritten, _UNWRITTEN)
                self._unwritten = 0
            begin = 0
            for number in _interesting(piece, drops):
                position, size = int(piece.positions[number]), int(piece.frames["size"][number])
                if position in drops:
                    self._told_drops += drops[position]
                    self._lose(piece.frames, number, drops[position], _DROPPED)
                if not piece.frames["flags"][number] & FrameFlag.PARAMS:
                    continue
                tracks = changed_tracks(self._tracks, self.ring.payload(position, size))
                if tracks is not None:
                    self._append(piece, begin, number)
                    begin, self._tracks = number, tracks
                    stamper.set_tracks(tracks)
                    self._output.set_format(tracks)
            self._append(piece, begin, len(piece.frames))

    def _append(self, piece: Piece, begin: int, end: int) -> None:
        if end > begin:
            self._output.append(piece.frames[begin:end], piece.positions[begin:end].tolist(), piece.epoch)

    def _lose(self, frames: FrameTable, number: int, count: int, reason: str) -> None:
        """Frames are lost between frame `number` and the one before it on its track."""
        track = frames["track"][number]
        before = frames["time_ns"][:number][frames["track"][:number] == track]
        end_ns = int(frames["time_ns"][number])
        start_ns = int(before[-1]) if len(before) else self._output.last_time_ns
        self._output.lose(Loss(min(start_ns or end_ns, end_ns), end_ns, count, reason))

    def _lose_the_rest(self) -> None:
        """Losses that no later frame will tell of."""
        drops, last_ns = self.ring.dropped_units - self._told_drops, self._output.last_time_ns
        for count, reason in ((drops, _DROPPED), (self._unwritten, _UNWRITTEN)):
            if count > 0:
                self._output.lose(Loss(last_ns, last_ns, count, reason))
        self._told_drops += drops
        self._unwritten = 0

    # sessions

    def _begin_session(self, start: SessionStart) -> None:
        if self._start is None or start.session != self._start.session:
            self._paused = None
        self._start, self._tracks = start, start.tracks
        self._stamper = None

    def _open_session(self, start: SessionStart) -> Stamper:
        begun = msgspec.structs.replace(start, tracks=self._tracks)
        self._stamper, self._paused = self._paused, None
        if self._stamper is None:
            self._stamper = Stamper(begun, first_epoch=self._next_epoch.get(start.session, 0))
        else:
            self._stamper.resume()
            self._stamper.set_tracks(self._tracks)
        provenance = Provenance(
            recorder=self._recorder,
            session=start.session,
            source=start.source,
            store=self._identity,
            lease=self.lease,
        )
        self._output.open(provenance, self._tracks, pending=self._intent.pending)
        return self._stamper

    def _pause_session(self) -> None:
        """The session goes on in standby. Its clock is kept: a new guess would be another one, and frames
        that were recorded before and after the standby would overlap.
        """
        self._stamper, self._paused = None, self._stamper
        self._output.close()

    def _end_session(self) -> None:
        self._paused = None
        if self._stamper is not None and self._start is not None:
            self._next_epoch = {self._start.session: self._stamper.epoch + 1}
        self._stamper = None
        self._output.close()

    def _decode(self, row: np.void) -> SessionStart:
        try:
            return SessionStart.decode(self.ring.payload(int(row["position"]), int(row["size"])))
        except ValueError as error:
            raise CameraError(f"a session's description cannot be read: {error}", where=self.name) from None


def _interesting(piece: Piece, drops: dict[int, int]) -> list[int]:
    """Frames that may bring new parameter sets, or come after drops."""
    chosen = flagged(piece.frames, VIDEO_TRACK, FrameFlag.PARAMS)
    if drops:
        chosen = sorted({*chosen, *np.flatnonzero(np.isin(piece.positions, list(drops))).tolist()})
    return chosen
