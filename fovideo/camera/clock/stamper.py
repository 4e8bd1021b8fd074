"""The stamper of one session: units in, frames out, in ring order."""

from __future__ import annotations

from typing import Any

import numpy as np

from fovideo.camera.clock._steady import Steady
from fovideo.camera.clock.primary import PrimaryClock
from fovideo.camera.clock.reports import Unit
from fovideo.camera.clock.runs import Order, Run, next_run
from fovideo.camera.clock.secondary import SecondaryClock
from fovideo.camera.clock.settings import StampSettings
from fovideo.camera.clock.stamped import Backdate, Stamped
from fovideo.camera.session_start import SessionStart
from fovideo.errors import UnsupportedStream
from fovideo.media.codec import Codec, Track
from fovideo.media.frames import FRAME, Clock
from fovideo.media.sps import parse

_FRAME = 1  # fovideo.ring.Kind.FRAME; a decision does not import the ring


class Stamper:
    """Gives the frames of one session their times.

    However the units are cut into batches, the result is the same (unless a run was released by age).
    first_epoch: number of the first epoch; a later stamper for the same session must go on from `epoch` + 1.
    """

    def __init__(
        self,
        start: SessionStart,
        *,
        first_epoch: int = 0,
        settings: StampSettings | None = None,
        compiled: bool = True,
    ) -> None:
        """compiled: let compiled code pass frames that need no decision; the result is the same."""
        self.start, self.epoch = start, first_epoch
        self._settings = settings = settings or StampSettings()
        self._primary_track = min((track.id for track in start.tracks), default=1)
        self._primary = PrimaryClock(start, self._primary_track, settings)
        self._others: dict[int, SecondaryClock] = {}
        self._shared_offset: int | None = None
        self._order = _order(start.tracks)
        self._compiled = compiled

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
        out = _Output(len(units))
        batch = _Batch(units, self._primary_track)
        steady = Steady(units, out.frames, out.positions) if self._compiled else None
        begin = 0
        while True:
            begin = self._pass_steady(steady, begin, out)
            if begin == len(units):
                break
            rows, places = batch.rows_from(begin), batch.places_from(begin, 2 * self._settings.reorder_frames)
            run_begin = places[0] if places else len(rows)
            self._stamp_others(rows, range(begin, run_begin), out)
            begin = run_begin
            if not places:
                break
            old = now_ns is not None and rows[run_begin].receipt <= now_ns - self._settings.reorder_ns
            run = next_run(
                rows,
                places,
                self._primary.media,
                self._settings,
                order=self._order,
                patient=not (old or final),
            )
            if run is None:
                break
            begin = run.members[-1].place + 1
            self._stamp_run(rows, run, out)
        if final:
            self._backdate(self._primary.pending(), out)
        if self.start.replayed:
            out.frames["receipt_ns"] = 0
        return out.stamped(begin)

    def _pass_steady(self, steady: Steady | None, begin: int, out: _Output) -> int:
        """Stamp what needs no decision; where that ends."""
        if steady is None:
            return begin
        end, count = self._primary.pass_steady(
            steady, begin, out.count, reorders=self._order.reorders, track=self._primary_track
        )
        out.passed(count, self.epoch)
        return end

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
            out.backdates.append(Backdate(out.count, self.epoch - back, shift_ns))

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


class _Batch:
    """Units as Python integers, from the first that is asked for on. Numbers only rise from call to call."""

    def __init__(self, units: Any, track: int) -> None:
        self._units, self._track = units, track
        self._rows: list[Unit] = []
        self._places: list[int] = []
        self._place = 0

    def rows_from(self, begin: int) -> list[Unit]:
        """All units by number; those before `begin` are not to be looked at."""
        if not self._rows and begin < len(self._units):
            made = [Unit._make(row) for row in self._units[begin:].tolist()]
            self._rows = [made[0]] * begin + made
            self._places = [
                begin + number
                for number, unit in enumerate(made)
                if unit.kind == _FRAME and unit.track == self._track
            ]
        return self._rows

    def places_from(self, begin: int, most: int) -> list[int]:
        """Numbers of the track's first frames from a number on."""
        while self._place < len(self._places) and self._places[self._place] < begin:
            self._place += 1
        return self._places[self._place : self._place + most]


class _Output:
    """The frame table in the making."""

    def __init__(self, most: int) -> None:
        self.frames = np.empty(most, FRAME)
        self.positions = np.empty(most, np.int64)
        self.count = 0
        self._epochs: list[tuple[int, int]] = []  # (frames before it, epoch)
        self.backdates: list[Backdate] = []

    def add(self, row: tuple[int, ...], position: int, epoch: int) -> None:
        self.frames[self.count], self.positions[self.count] = row, position
        self.passed(1, epoch)

    def passed(self, count: int, epoch: int) -> None:
        """So many frames of an epoch were put behind the others."""
        if count and (not self._epochs or self._epochs[-1][1] != epoch):
            self._epochs.append((self.count, epoch))
        self.count += count

    def stamped(self, consumed: int) -> Stamped:
        epochs = np.empty(self.count, np.int32)
        for begin, epoch in self._epochs:
            epochs[begin:] = epoch
        return Stamped(
            self.frames[: self.count], self.positions[: self.count], epochs, tuple(self.backdates), consumed
        )
