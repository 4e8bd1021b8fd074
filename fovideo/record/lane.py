"""A camera's way through the writer thread: from its ring, through stamping, to a stream writer of the store.

Everything here but `want` and the counters belongs to the writer thread.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np

from fovideo.camera.clock import Piece, Stamped, Stamper
from fovideo.camera.session_start import SessionStart
from fovideo.errors import CameraError, FovideoError
from fovideo.media.codec import VIDEO_TRACK, Track
from fovideo.media.frames import Clock, FrameFlag, FrameTable
from fovideo.record.events import Event, FramesLost, Mode, ModeChanged
from fovideo.record.format_change import changed_tracks, has_format
from fovideo.ring import Kind, Ring, Units, trim_position
from fovideo.timeline.values import Loss, Provenance

if TYPE_CHECKING:
    from fovideo.store import Store, StreamWriter

_BATCH = 4096
_ALL = 1 << 24
_PATIENCE = 0.5  # share of the ring that may fill up while a decoder configuration is awaited


class Intent(NamedTuple):
    """How somebody wants a camera to be treated; see Recorder.set_mode."""

    mode: Mode
    lease: int = 0
    pending: bool = False


class Lane:
    """Drains one ring. A step that the store refuses is taken up again; nothing is stamped beyond it."""

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
        self.written_frames = self.written_bytes = self.lost_frames = self.failures = 0
        self.durable_to_ns = 0
        self.clock: Clock | None = None
        self.error = ""
        self._store, self._recorder, self._preroll_ns, self._emit = store, recorder, preroll_ns, emit
        self._wanted = self._intent = intent
        self._read = ring.tail
        self._start: SessionStart | None = None
        self._tracks: tuple[Track, ...] = ()
        self._stamper: Stamper | None = None
        self._writer: StreamWriter | None = None
        self._steps: deque[Callable[[], None]] = deque()
        self._next_epoch: dict[str, int] = {}
        self._appended = [0, 0]
        self._last_time_ns = 0
        self._told_lost = 0

    def want(self, intent: Intent) -> None:
        """Any thread: work like this from the next drain on."""
        self._wanted = intent

    @property
    def settled(self) -> bool:
        """What was wanted is what is done. Any thread."""
        return self._wanted == self._intent

    @property
    def writing(self) -> bool:
        """A commit of the store matters to this lane."""
        return self._writer is not None or bool(self._steps) or self._appended != [0, 0]

    def drain(self, now_ns: int) -> None:
        """Take what is in the ring. StoreError when the store refuses; calling again goes on from there."""
        wanted = self._wanted
        if wanted != self._intent:
            self._change(wanted, now_ns)
        if self.mode is Mode.STANDBY:
            self._trim(now_ns)
        else:
            self._drain(now_ns, final=False)

    def finish(self, now_ns: int) -> None:
        """The last drain: nothing is held back, and the writer is closed."""
        if self.mode is Mode.RECORD:
            self._drain(now_ns, final=True)
            self._end_session()
            self._perform()
            self._tell_lost(self.ring.dropped_units - self._told_lost, self._last_time_ns, self._last_time_ns)

    def committed(self) -> None:
        """What was appended is durable: its memory may be used again."""
        if self._steps:
            return
        frames, size_bytes = self._appended
        self.written_frames += frames
        self.written_bytes += size_bytes
        self._appended = [0, 0]
        if self.mode is Mode.RECORD:
            self.durable_to_ns = self._last_time_ns
            if self._read > self.ring.tail:
                self.ring.release(self._read)

    def give_up(self, error: BaseException) -> None:
        """An error that is not the store's: drop what caused it and begin anew; no other lane suffers."""
        rows = self.ring.units(self._read, _ALL)
        lost = int(np.count_nonzero(rows["kind"] == Kind.FRAME)) + len(self._steps)
        self.failures += 1
        self.lost_frames += lost
        self.error = str(error) if isinstance(error, FovideoError) else f"unexpected {type(error).__name__}"
        self._steps.clear()
        for row in rows[rows["kind"] == Kind.FORMAT]:
            self._start = self._decode(row)
        if len(rows):
            self._read = int(rows["end"][-1])
        self._stamper = None
        if self._writer is not None:
            writer, self._writer = self._writer, None
            writer.close()

    # modes

    def _change(self, wanted: Intent, now_ns: int) -> None:
        preroll_ns = 0
        if self.mode is Mode.RECORD:
            self._drain(now_ns, final=True)
            self._end_session()
            self._perform()
        else:
            rows = self.ring.units(None, _ALL)
            frames = rows["receipt_ns"][rows["kind"] == Kind.FRAME]
            preroll_ns = now_ns - int(frames[0]) if len(frames) else 0
        self._intent, self.mode, self.lease = wanted, wanted.mode, wanted.lease
        self._emit(ModeChanged(self.name, self.mode, self.lease, preroll_ns))

    def _trim(self, now_ns: int) -> None:
        rows = self.ring.units(None, _ALL)
        end = trim_position(rows, now_ns, self._preroll_ns, self.ring.used_bytes, self.ring.capacity_bytes)
        if end is None:
            return
        gone = rows[rows["end"] <= end]
        formats = gone[gone["kind"] == Kind.FORMAT]
        if len(formats):
            self._begin_session(self._decode(formats[-1]))
        self._told_lost += int(gone["value"][gone["kind"] == Kind.FRAME].sum())
        self.ring.release(end)
        self._read = end

    # frames

    def _drain(self, now_ns: int, *, final: bool) -> None:
        self._perform()
        while len(rows := self.ring.units(self._read, _BATCH)):
            notes = np.flatnonzero(rows["kind"] != Kind.FRAME)
            count = int(notes[0]) if len(notes) else len(rows)
            if count == 0:
                self._note(rows[0])
                self._read = int(rows["end"][0])
                self._perform()
                continue
            last = len(notes) > 0 or (final and len(rows) < _BATCH)
            taken = self._take(rows[:count], now_ns, final=last)
            if not taken:
                break
            self._read = int(rows["end"][taken - 1])
            self._perform()

    def _note(self, row: np.void) -> None:
        if row["kind"] == Kind.FORMAT:
            start = self._decode(row)
            if self._start is not None and start.session == self._start.session:
                self._start, self._tracks = start, start.tracks
                if self._writer is not None:
                    self._steps.append(partial(self._set_format, start.tracks))
            else:
                self._end_session()
                self._begin_session(start)
        elif row["kind"] == Kind.END:
            self._end_session()
            self._start = None

    def _take(self, rows: Units, now_ns: int, *, final: bool) -> int:
        """Stamp rows and queue the steps that write them. Number of rows that are done with."""
        if self._start is None:
            self.lost_frames += len(rows)
            return len(rows)
        if not has_format(self._tracks):
            found = self._find_format(rows)
            if found is None:
                if not final and self.ring.used_bytes < _PATIENCE * self.ring.capacity_bytes:
                    return 0
                self.lost_frames += len(rows)
                self.error = "the camera sends no parameter sets"
                return len(rows)
            self._tracks = found
        if self._stamper is None:
            self._open_session(self._start)
        assert self._stamper is not None
        stamped = self._stamper.stamp(rows, now_ns=now_ns, final=final)
        self.clock = self._stamper.clock
        self._queue(stamped, rows)
        if final:
            self._next_epoch[self._start.session] = self._stamper.epoch + 1
        return stamped.consumed

    def _find_format(self, rows: Units) -> tuple[Track, ...] | None:
        for row in rows[(rows["track"] == VIDEO_TRACK) & (rows["flags"] & FrameFlag.PARAMS != 0)]:
            found = changed_tracks(self._tracks, self._payload(row["position"], row["size"]))
            if found is not None and has_format(found):
                return found
        return None

    def _queue(self, stamped: Stamped, rows: Units) -> None:
        lost = {int(row["position"]): int(row["value"]) for row in rows[rows["value"] > 0]}
        for piece in stamped.pieces():
            for backdate in piece.backdates:
                self._steps.append(partial(self._backdate, backdate.epoch, backdate.shift_ns))
            begin = 0
            for number in self._interesting(piece, lost):
                position, size = int(piece.positions[number]), int(piece.frames["size"][number])
                if position in lost:
                    self._queue_loss(piece.frames, number, lost[position])
                tracks = None
                if piece.frames["flags"][number] & FrameFlag.PARAMS:
                    tracks = changed_tracks(self._tracks, self._payload(position, size))
                if tracks is not None:
                    self._queue_frames(piece, begin, number)
                    begin, self._tracks = number, tracks
                    if self._stamper is not None:
                        self._stamper.set_tracks(tracks)
                    self._steps.append(partial(self._set_format, tracks))
            self._queue_frames(piece, begin, len(piece.frames))

    @staticmethod
    def _interesting(piece: Piece, lost: dict[int, int]) -> list[int]:
        """Frames that bring new parameter sets or come after a loss."""
        frames = piece.frames
        bits = FrameFlag.KEY | FrameFlag.PARAMS
        chosen = (frames["track"] == VIDEO_TRACK) & (frames["flags"] & bits == bits)
        if lost:
            chosen |= np.isin(piece.positions, list(lost))
        return [int(number) for number in np.flatnonzero(chosen)]

    def _queue_frames(self, piece: Piece, begin: int, end: int) -> None:
        if end > begin:
            frames, positions = piece.frames[begin:end], piece.positions[begin:end]
            self._steps.append(partial(self._append, frames, positions.tolist(), piece.epoch))

    def _queue_loss(self, frames: FrameTable, number: int, count: int) -> None:
        track = frames["track"][number]
        before = frames["time_ns"][:number][frames["track"][:number] == track]
        start_ns = int(before[-1]) if len(before) else self._last_time_ns
        end_ns = int(frames["time_ns"][number])
        self._told_lost += count
        self._steps.append(partial(self._tell_lost, count, min(start_ns or end_ns, end_ns), end_ns))

    # sessions

    def _begin_session(self, start: SessionStart) -> None:
        self._start, self._tracks = start, start.tracks
        self._stamper = None

    def _open_session(self, start: SessionStart) -> None:
        start = msgspec.structs.replace(start, tracks=self._tracks)
        self._stamper = Stamper(start, first_epoch=self._next_epoch.get(start.session, 0))
        self._next_epoch = {start.session: self._stamper.epoch}
        provenance = Provenance(
            recorder=self._recorder,
            session=start.session,
            source=start.source,
            store=self._store.identity,
            lease=self.lease,
        )
        self._steps.append(partial(self._open_writer, provenance, self._intent.pending))
        self._steps.append(partial(self._set_format, self._tracks))

    def _end_session(self) -> None:
        if self._stamper is not None and self._start is not None:
            self._next_epoch[self._start.session] = self._stamper.epoch + 1
        self._stamper = None
        self._steps.append(self._close_writer)

    # steps: each is done by the store wholly or not at all

    def _perform(self) -> None:
        while self._steps:
            self._steps[0]()
            self._steps.popleft()

    def _open_writer(self, provenance: Provenance, pending: bool) -> None:
        self._close_writer()
        self._writer = self._store.writer(self.name, provenance, pending=pending)

    def _close_writer(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _set_format(self, tracks: tuple[Track, ...]) -> None:
        assert self._writer is not None
        self._writer.set_format(tracks)

    def _backdate(self, epoch: int, shift_ns: int) -> None:
        if self._writer is not None:
            self._writer.backdate(epoch, shift_ns)

    def _append(self, frames: FrameTable, positions: list[int], epoch: int) -> None:
        assert self._writer is not None
        sizes = frames["size"].tolist()
        payloads = [self._payload(position, size) for position, size in zip(positions, sizes, strict=True)]
        self._writer.append(frames, payloads, epoch=epoch)
        self._appended[0] += len(frames)
        self._appended[1] += sum(sizes)
        self._last_time_ns = int(frames["time_ns"].max())
        self.error = ""

    def _tell_lost(self, count: int, start_ns: int, end_ns: int) -> None:
        if count <= 0:
            return
        loss = Loss(start_ns, end_ns, count, "disk-slow")
        if self._writer is not None:
            self._writer.loss(loss)
        self.lost_frames += count
        self._emit(FramesLost(self.name, loss))

    # ring

    def _payload(self, position: int, size: int) -> memoryview:
        return self.ring.payload(int(position), int(size))

    def _decode(self, row: np.void) -> SessionStart:
        try:
            return SessionStart.decode(self._payload(row["position"], row["size"]))
        except ValueError as error:
            raise CameraError(f"a session's description cannot be read: {error}", where=self.name) from None
