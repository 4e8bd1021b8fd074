"""A camera's sessions in the writer thread: what the ring says, stamped, as steps of an output."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from fovideo.camera.clock import Piece, Stamped, Stamper
from fovideo.camera.session_start import SessionStart
from fovideo.errors import CameraError
from fovideo.media._tables import flagged
from fovideo.media.codec import VIDEO_TRACK, Track
from fovideo.media.frames import Clock, FrameFlag, FrameTable
from fovideo.record.format_change import changed_tracks, has_format
from fovideo.record.output import Output
from fovideo.ring import Kind, Ring, Units
from fovideo.timeline.values import Loss, Provenance

_PATIENCE = 0.5  # share of the ring that may fill up while parameter sets are awaited
_DROPPED, _UNWRITTEN = "disk-slow", "unwritable"


class Passage:
    """Follows the sessions in a ring: their clocks, formats, provenance and losses. Writer thread only.

    start, tracks: the session that it has come to. unwritten: frames that cannot be written, not yet told of.
    """

    def __init__(self, name: str, ring: Ring, output: Output, *, recorder: str, store: str) -> None:
        """recorder, store: for the provenance."""
        self.start: SessionStart | None = None
        self.tracks: tuple[Track, ...] = ()
        self.stamper: Stamper | None = None
        self.clock: Clock | None = None
        self.clock_ahead_ns = 0
        self.error = ""
        self.unwritten = 0
        self._name, self._ring, self._output = name, ring, output
        self._recorder, self._store = recorder, store
        self._paused: Stamper | None = None  # of the present session, while it is in standby
        self._next_epoch: dict[str, int] = {}
        self._told_drops = 0
        self._lease, self._pending = 0, False
        self._formatted: tuple[Track, ...] | None = None  # tracks that are known to have a format

    # frames

    def take(self, rows: Units, now_ns: int, *, final: bool, drops: bool) -> int:
        """Stamp rows of frames and order the steps that write them. Number of rows that are done with.

        final: nothing is held back. drops: some of the rows tell of dropped frames.
        """
        if self.start is None:
            self.unwritten += len(rows)
            return len(rows)
        if not self._has_format() and not self._find_format(rows):
            if not final and self._ring.used_bytes < _PATIENCE * self._ring.allowed_bytes:
                return 0
            self.unwritten += len(rows)
            self.error = "the camera sends no parameter sets"
            return len(rows)
        stamper = self.stamper or self._open_session(self.start)
        stamped = stamper.stamp(rows, now_ns=now_ns, final=final)
        self.clock, self.clock_ahead_ns, self.error = stamper.clock, stamper.ahead_ns, ""
        told = {int(row["position"]): int(row["value"]) for row in rows[rows["value"] > 0]} if drops else {}
        self._order(stamped, told, stamper)
        return stamped.consumed

    def _has_format(self) -> bool:
        if self._formatted is not self.tracks and has_format(self.tracks):
            self._formatted = self.tracks
        return self._formatted is self.tracks

    def _find_format(self, rows: Units) -> bool:
        for row in rows[(rows["track"] == VIDEO_TRACK) & (rows["flags"] & FrameFlag.PARAMS != 0)]:
            found = changed_tracks(self.tracks, self._ring.payload(int(row["position"]), int(row["size"])))
            if found is not None and has_format(found):
                self.tracks = found
                return True
        return False

    def _order(self, stamped: Stamped, drops: dict[int, int], stamper: Stamper) -> None:
        for piece in stamped.pieces():
            for backdate in piece.backdates:
                self._output.backdate(backdate.epoch, backdate.shift_ns)
            if self.unwritten and len(piece.frames):
                self._lose(piece.frames, 0, self.unwritten, _UNWRITTEN)
                self.unwritten = 0
            begin = 0
            for number in _interesting(piece, drops):
                position, size = int(piece.positions[number]), int(piece.frames["size"][number])
                tracks = None
                if piece.frames["flags"][number] & FrameFlag.PARAMS:
                    tracks = changed_tracks(self.tracks, self._ring.payload(position, size))
                if position in drops or tracks is not None:
                    self._append(piece, begin, number)
                    begin = number
                if tracks is not None:
                    self.tracks = tracks
                    stamper.set_tracks(tracks)
                    self._output.set_format(tracks)
                if position in drops:
                    self._told_drops += drops[position]
                    self._lose(piece.frames, number, drops[position], _DROPPED)
                    # The loss goes with one frame: what has notes is not written in large pieces.
                    self._append(piece, number, number + 1)
                    begin = number + 1
            self._append(piece, begin, len(piece.frames))

    def _append(self, piece: Piece, begin: int, end: int) -> None:
        if end > begin:
            self._output.append(piece.frames[begin:end], piece.positions[begin:end], piece.epoch)

    # losses

    def _lose(self, frames: FrameTable, number: int, count: int, reason: str) -> None:
        """Frames are lost between frame `number` and the one before it on its track."""
        track = frames["track"][number]
        before = frames["time_ns"][:number][frames["track"][:number] == track]
        end_ns = int(frames["time_ns"][number])
        start_ns = int(before[-1]) if len(before) else self._output.last_time_ns
        self._output.lose(Loss(min(start_ns or end_ns, end_ns), end_ns, count, reason))

    def lose_the_rest(self) -> None:
        """Losses that no later frame will tell of."""
        drops, last_ns = self._ring.dropped_units - self._told_drops, self._output.last_time_ns
        for count, reason in ((drops, _DROPPED), (self.unwritten, _UNWRITTEN)):
            if count > 0:
                self._output.lose(Loss(last_ns, last_ns, count, reason))
        self._told_drops += drops
        self.unwritten = 0

    def pass_over(self, rows: Units) -> None:
        """Rows that standby lets go: what later ones will need of them."""
        for row in rows[rows["kind"] == Kind.FORMAT][-1:]:
            self._begin_session(self._decode(row))
        self._told_drops += int(rows["value"][rows["kind"] == Kind.FRAME].sum())

    def begin_anew(self, rows: Units) -> None:
        """After an error: all of the rows are given up, and the session in them is another one's."""
        self.end_session()
        for row in rows[rows["kind"] == Kind.FORMAT][-1:]:
            self._begin_session(self._decode(row))

    # sessions

    def note(self, row: np.void) -> None:
        """A session begins, changes or ends."""
        if row["kind"] == Kind.END:
            self.end_session()
            self.start = None
        if row["kind"] != Kind.FORMAT:
            return
        start = self._decode(row)
        if self.start is not None and start.session == self.start.session:
            self.start, self.tracks = start, start.tracks
            self._output.set_format(start.tracks)
        else:
            self.end_session()
            self._begin_session(start)

    def write_under(self, lease: int, *, pending: bool) -> None:
        """What is opened from now on is recorded under this lease, and is to be merged or not."""
        self._lease, self._pending = lease, pending

    def _begin_session(self, start: SessionStart) -> None:
        if self.start is None or start.session != self.start.session:
            self._paused = None
        self.start, self.tracks = start, start.tracks
        self.stamper = None

    def _open_session(self, start: SessionStart) -> Stamper:
        begun = msgspec.structs.replace(start, tracks=self.tracks)
        self.stamper, self._paused = self._paused, None
        if self.stamper is None:
            self.stamper = Stamper(begun, first_epoch=self._next_epoch.get(start.session, 0))
        else:
            self.stamper.resume()
            self.stamper.set_tracks(self.tracks)
        provenance = Provenance(
            recorder=self._recorder,
            session=start.session,
            source=start.source,
            store=self._store,
            lease=self._lease,
        )
        self._output.open(provenance, self.tracks, pending=self._pending)
        return self.stamper

    def pause_session(self) -> None:
        """The session goes on in standby. Its clock is kept: a new guess would be another one, and frames
        that were recorded before and after the standby would overlap.
        """
        self.stamper, self._paused = None, self.stamper
        self._output.close()

    def end_session(self) -> None:
        self._paused = None
        if self.stamper is not None and self.start is not None:
            self._next_epoch = {self.start.session: self.stamper.epoch + 1}
        self.stamper = None
        self._output.close()

    def _decode(self, row: np.void) -> SessionStart:
        try:
            return SessionStart.decode(self._ring.payload(int(row["position"]), int(row["size"])))
        except ValueError as error:
            raise CameraError(f"a session's description cannot be read: {error}", where=self._name) from None


def _interesting(piece: Piece, drops: dict[int, int]) -> Sequence[int]:
    """Frames that may bring new parameter sets, or come after drops."""
    chosen = flagged(piece.frames, VIDEO_TRACK, FrameFlag.PARAMS)
    if drops:
        chosen = sorted({*chosen, *np.flatnonzero(np.isin(piece.positions, list(drops))).tolist()})
    return chosen
