"""The stamper of one session: units in, frames out, in ring order."""

from __future__ import annotations

from typing import Any

import numpy as np

from fovideo.camera.clock.primary import PrimaryClock
from fovideo.camera.clock.reports import FIELDS, Unit
from fovideo.camera.clock.runs import Order, Run, next_run
from fovideo.camera.clock.secondary import SecondaryClock
from fovideo.camera.clock.settings import StampSettings
from fovideo.camera.clock.stamped import Backdate, Stamped
from fovideo.camera.session_start import SessionStart
from fovideo.errors import UnsupportedStream
from fovideo.media.codec import Codec, Track
from fovideo.media.frames import FRAME, Clock, FrameTable
from fovideo.media.sps import parse

_FRAME = 1  # fovideo.ring.Kind.FRAME; a decision does not import the ring


class Stamper:
    """Gives the frames of one session their times.

    However the units are cut into batches, the result is the same (unless a run was released by age).
    first_epoch: number of the first epoch; a later stamper for the same session must go on from `epoch` + 1.
    """

    def __init__(
        self, start: SessionStart, *, first_epoch: int = 0, settings: StampSettings | None = None
    ) -> None:
        self.start, self.epoch = start, first_epoch
        self._settings = settings = settings or StampSettings()
        self._primary_track = min((track.id for track in start.tracks), default=1)
        self._primary = PrimaryClock(start, self._primary_track, settings)
        self._others: dict[int, SecondaryClock] = {}
        self._shared_offset: int | None = None
        self._order = _order(start.tracks)

    @property
    def clock(self) -> Clock | None:
        """Source of the primary track's times, None before the first frame."""
        return None if self._primary.offset is None else self._primary.clock

    @property
    def ahead_ns(self) -> int:
        """By how much the newest frame's time was ahead of this machine's clock at its receipt."""
        if self._primary.offset is None:
            return 0
        return self._primary.last_time - self.start.wall_ns(self._primary.media.receipt_ns)

    def set_tracks(self, tracks: tuple[Track, ...]) -> None:
        """New parameter sets came; they say whether there can be B-frames from here on."""
        self._order = _order(tracks)

    def resume(self) -> None:
        """Units were left out, and what follows is recorded apart: a new epoch on the same clock."""
        self.epoch += 1
        self._primary.resume()

    @property
    def interval_ns(self) -> int:
        """Nominal frame interval of the primary track, 0 when unknown."""
        return self._primary.media.interval_ns

    def stamp(self, units: Any, *, now_ns: int | None = None, final: bool = False) -> Stamped:
        """Stamp a prefix of `units` (dtype UNIT, one session, ring order).

        The last run of frames is held back until it is known to be complete; its units are not consumed and
        must be given again. now_ns: monotonic clock: a run older than reorder_ns is released all the same.
        final: no more units will come: nothing is held back, and an outstanding back-dating is said.
        Rows that are no frames are passed over.
        """
        rows = [Unit._make(row) for row in units[FIELDS].tolist()]
        out = _Output()
        places = [
            i for i, unit in enumerate(rows) if unit.kind == _FRAME and unit.track == self._primary_track
        ]
        begin, place = 0, 0
        while True:
            run_begin = places[place] if place < len(places) else len(rows)
            self._stamp_others(rows, range(begin, run_begin), out)
            begin = run_begin
            if place == len(places):
                break
            old = now_ns is not None and rows[run_begin].receipt <= now_ns - self._settings.reorder_ns
            window = places[place : place + 2 * self._settings.reorder_frames]
            run = next_run(
                rows,
                window,
                self._primary.media,
                self._settings,
                order=self._order,
                patient=not (old or final),
            )
            if run is None:
                break
            place += len(run.members)
            begin = run.members[-1].place + 1
            self._stamp_run(rows, run, out)
        if final:
            self._backdate(self._primary.pending(), out)
        return out.stamped(begin)

    def _stamp_run(self, rows: list[Unit], run: Run, out: _Output) -> None:
        placed = self._primary.place(run, self._shared_offset)
        self._backdate(placed.backdates, out)
        if placed.new_epoch:
            self.epoch += 1
            for other in self._others.values():
                other.epoch(placed.moved)
        if self.start.is_file:
            self._shared_offset = self._primary.offset
        before = run.members[0].place
        for number, member in enumerate(run.members):
            self._stamp_others(rows, range(before + 1, member.place), out)
            before = member.place
            out.add(
                self._row(
                    member.unit,
                    placed.times[number],
                    placed.dts[number],
                    placed.errors[number],
                    self._primary.clock,
                ),
                member.unit.position,
                self.epoch,
            )

    def _backdate(self, shifts: list[tuple[int, int]], out: _Output) -> None:
        for back, shift_ns in shifts:
            out.backdates.append(Backdate(len(out.rows), self.epoch - back, shift_ns))

    def _stamp_others(self, rows: list[Unit], indices: range, out: _Output) -> None:
        for index in indices:
            unit = rows[index]
            if unit.kind != _FRAME:
                continue
            clock = self._others.get(unit.track)
            if clock is None:
                clock = self._others[unit.track] = SecondaryClock(self.start, self._settings)
            time_ns, dts, error, source = clock.stamp(unit, self._primary, self._shared_offset)
            if self.start.is_file and self._shared_offset is None:
                self._shared_offset = clock.offset
            out.add(self._row(unit, time_ns, dts, error, source), unit.position, self.epoch)

    def _row(self, unit: Unit, time_ns: int, dts: int, error: int, clock: Clock) -> tuple[int, ...]:
        receipt = self.start.wall_ns(unit.receipt)
        return (time_ns, dts, receipt, error, unit.digest, unit.size, unit.track, unit.flags, clock)


def _order(tracks: tuple[Track, ...]) -> Order:
    """Video may be reordered unless its SPS denies it. Keyframes are IDR in H.264, maybe CRA in H.265."""
    for track in tracks:
        if track.codec.is_video:
            try:
                reorders = parse(track.codec, track.parameter_sets).reorder_frames != 0
            except UnsupportedStream:
                reorders = True
            return Order(reorders, keys_first=track.codec is Codec.H264)
    return Order(False, True)


class _Output:
    """Rows of the frame table in the making."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, ...]] = []
        self.positions: list[int] = []
        self.epochs: list[int] = []
        self.backdates: list[Backdate] = []

    def add(self, row: tuple[int, ...], position: int, epoch: int) -> None:
        self.rows.append(row)
        self.positions.append(position)
        self.epochs.append(epoch)

    def stamped(self, consumed: int) -> Stamped:
        frames: FrameTable = np.array(self.rows, dtype=FRAME)
        return Stamped(
            frames,
            np.array(self.positions, dtype=np.int64),
            np.array(self.epochs, dtype=np.int32),
            tuple(self.backdates),
            consumed,
        )
