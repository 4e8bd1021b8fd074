"""Footage: the frames of one run, unpacked; and which rows need unpacking at all. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from fovideo.media.frames import Clock, FrameTable, joined, picked
from fovideo.merge import _rows
from fovideo.merge.line import Mask, Times
from fovideo.merge.manifest import Manifest, Run
from fovideo.timeline.values import Gop, Provenance, Splice
from fovideo.times import NS_PER_MS, NS_PER_S

UNKNOWN_NS = int(np.iinfo(np.int64).max)
"""Later than anything."""

_KINDS = Splice.CONFLICT | Splice.DOUBTFUL | Splice.GUESSED
_SELF_REACH_NS = 2 * NS_PER_S  # sessions of one source overlap at most a little, by their own clock
_SOON_NS = 20 * NS_PER_MS  # by how much a network delays some frames more than others
_BLOCK_NS = 60 * NS_PER_S
_BLOCKS = 15  # on either side: longer than any stall, short enough for clocks that drift


@dataclass(frozen=True)
class Footage:
    """Frames of one session and epoch, row after row, each in decode order.

    frames: effective times. stored_ns: stored time_ns of each. row: place of each frame's row in its
    manifest. arrival_ns: when each reached the machine of `store`, by that machine's clock; 0 where that is
    not known. conflict: not part of what the timeline shows. doubtful: since that may be equal; so nobody can
    tell when it was. reported: at some time of the session sender
    reports told the camera's clock; what came before was back-dated by them. moved_ns: by how much merges
    have corrected the time of each frame. adopted: brought by a merge, and arrived as if the timeline's own
    store had recorded it. home: the timeline that holds it. brought: a merge brought it there. dated: that
    merge wrote down when it arrived. guess: the timeline that it was merged from, if that was a guess.
    """

    session: str
    epoch: int
    store: str
    frames: FrameTable
    stored_ns: Times
    row: npt.NDArray[np.int64]
    arrival_ns: Times
    moved_ns: Times
    conflict: bool = False
    doubtful: bool = False
    reported: bool = False
    adopted: bool = False
    home: str = ""
    brought: bool = False
    dated: bool = False
    guess: str = ""

    @cached_property
    def clock(self) -> int:
        """Where most of its times come from (media.frames.Clock); 0 without frames."""
        return int(np.bincount(self.frames["clock"]).argmax()) if len(self.frames) else 0

    @cached_property
    def error_ns(self) -> int:
        """Bound of the error of its times, by their own account; 0 without frames."""
        return int(self.frames["error_ns"].max(initial=0))

    @property
    def trusted(self) -> bool:
        """Whether its times are the camera's own clock."""
        return self.reported or self.clock == Clock.SENDER_REPORT

    @cached_property
    def put_off_ns(self) -> int:
        """By how much merges have corrected its times, in the main."""
        return int(np.median(self.moved_ns)) if self.moved_ns.any() else 0

    def is_apart(self, other: Footage) -> bool:
        """Whether no frame can be in both, since a merge brought what of one the timeline lacked."""
        return self.home == other.home and (self.brought or other.brought)

    def is_beside_by_guess(self, other: Footage) -> bool:
        """Whether some merge guessed when one of them arrived, by the clock of the other."""
        return self.guess not in ("", other.home) or other.guess not in ("", self.home)

    @cached_property
    def lag_ns(self) -> int | None:
        """By how much the arrival is ahead of the recorded times; None where it is not known."""
        known = self.arrival_ns != 0
        if not known.any():
            return None
        return int(np.median((self.arrival_ns - self.frames["time_ns"] + self.moved_ns)[known]))

    @cached_property
    def late_ns(self) -> Times:
        """How much later than it arrived each frame was received, by its recorder's clock; UNKNOWN_NS where
        its arrival is not known.
        """
        receipt_ns = self.frames["receipt_ns"]
        local = self.frames["clock"] == Clock.LOCAL  # as of arrivals
        late_ns = np.where(local, np.minimum(receipt_ns, self.stored_ns), receipt_ns) - self.arrival_ns
        return np.where(self.arrival_ns != 0, late_ns, UNKNOWN_NS)

    @cached_property
    def prompt(self) -> int:
        """How many frames waited no longer than the one that waited least. If few, all may have waited."""
        late_ns = self.late_ns[self.arrival_ns != 0]
        return int(np.count_nonzero(late_ns <= late_ns.min(initial=UNKNOWN_NS - _SOON_NS) + _SOON_NS))

    @cached_property
    def recorded(self) -> FrameTable:
        """The frames with times as they were recorded, by one clock, wherever merges have put them."""
        if not self.moved_ns.any():
            return self.frames
        frames = joined([self.frames])
        frames["time_ns"] -= self.moved_ns
        return frames

    def only(self, mask: Mask) -> Footage:
        """Some of the frames."""
        if mask.all():
            return self
        return replace(
            self,
            frames=picked(self.frames, mask),
            stored_ns=self.stored_ns[mask],
            row=self.row[mask],
            arrival_ns=self.arrival_ns[mask],
            moved_ns=self.moved_ns[mask],
        )

    def pick(self, mask: Mask, shift_ns: Times, conflict: bool, doubtful: bool = False) -> Footage:
        """Some of the frames, at other times; shift_ns: one per frame of this footage."""
        made = self.only(mask)
        made = replace(
            made,
            frames=joined([made.frames]),
            conflict=conflict,
            doubtful=doubtful,
            moved_ns=made.moved_ns + shift_ns[mask],
        )
        made.frames["time_ns"] += shift_ns[mask]
        made.frames["dts_ns"] += shift_ns[mask]
        return made


def reported_sessions(manifest: Manifest) -> frozenset[str]:
    """Sessions in which sender reports told the camera's clock at some time."""
    return frozenset(
        run.session
        for run in manifest.runs()
        if (manifest.stored(run.places[0])["clock"] == Clock.SENDER_REPORT).any()
    )


def unpack(
    manifest: Manifest, run: Run, places: Iterable[int], reported: frozenset[str] = frozenset()
) -> list[Footage]:
    """Footage of those rows of a run that are among the places; what is shown and what is not apart.

    reported: as of reported_sessions.
    """
    wanted = set(places)
    mine = [place for place in run.places if place in wanted]
    if not mine:
        return []
    frames = manifest.effective(mine)
    sizes = [len(manifest.stored(place)) for place in mine]
    stored_ns = frames["time_ns"] - np.repeat(manifest.columns[mine, _rows.SHIFT], sizes)
    ahead_ns = _ahead_ns(manifest, mine, sizes)
    whole = Footage(
        session=run.session,
        epoch=run.epoch,
        store=run.provenance.store if ahead_ns is None else manifest.identity,
        frames=frames,
        stored_ns=stored_ns,
        row=np.repeat(np.array(mine, np.int64), sizes),
        arrival_ns=arrivals(frames, stored_ns, ahead_ns),
        reported=run.session in reported,
        adopted=ahead_ns is not None,
        home=manifest.identity,
        brought=bool(run.provenance.inserted_from),
        dated=ahead_ns is not None,
        moved_ns=np.repeat(_all_moved_ns(manifest, mine), sizes),
    )
    kinds = manifest.by_provenance(mine, lambda each: each.splice & _KINDS)
    parts = [
        replace(
            whole.only(np.repeat(kinds == kind, sizes)),
            conflict=bool(kind & Splice.CONFLICT),
            doubtful=bool(kind & Splice.DOUBTFUL),
            guess=run.provenance.inserted_from if kind & Splice.GUESSED else "",
        )
        for kind in np.unique(kinds).tolist()
    ]
    return [part for part in parts if len(part.frames)]


def moved_ns(manifest: Manifest, place: int) -> int:
    """By how much merges have corrected the times of a row."""
    row, correction = manifest.rows[place], manifest.provenance(place).correction
    return correction.shift_ns(row.start_ns - correction.offset_ns)


def _all_moved_ns(manifest: Manifest, places: Sequence[int]) -> Times:
    """The same of many rows."""
    if not manifest.by_provenance(places, lambda each: each.correction.drift_ppb).any():
        return manifest.by_provenance(places, lambda each: each.correction.offset_ns)
    return np.array([moved_ns(manifest, place) for place in places], np.int64)


def _ahead_ns(manifest: Manifest, places: Sequence[int], sizes: Sequence[int]) -> Times | None:
    """For each frame of these rows, what merges have written down of when it arrived; None if nothing."""
    used = np.unique(manifest.columns[places, _rows.PROVENANCE]).tolist()
    known = [each for number in used if (each := manifest.provenances[number].ahead_ns) is not None]
    if not known:
        return None

    def ahead_ns(provenance: Provenance) -> int:
        return known[0] if provenance.ahead_ns is None else provenance.ahead_ns

    return np.repeat(manifest.by_provenance(places, ahead_ns), sizes)


def arrivals(frames: FrameTable, stored_ns: Times, ahead_ns: Times | None = None) -> Times:
    """When the frames of a run reached the recorder's machine, by its clock: time plus the least delay seen.
    ahead_ns: of another clock by which to tell that, for each frame.

    Receipt alone is only an upper bound: what waits in the socket of a stalled process is read late. As in
    NTP's minimum filter, the frame that waited least shows how the two clocks are related. Frames that were
    not received live (a file, an archive that is replayed) have no arrival: 0.
    """
    known = (frames["receipt_ns"] != 0) & (frames["clock"] != Clock.CONTAINER)
    if not known.any():
        return np.zeros(len(frames), np.int64)
    if ahead_ns is None:
        ahead_ns = np.zeros(len(frames), np.int64)
    late_ns = frames["receipt_ns"] - stored_ns + ahead_ns
    block = (stored_ns - stored_ns.min()) // _BLOCK_NS
    least = np.full(int(block.max()) + 1 + 2 * _BLOCKS, np.iinfo(np.int64).max)
    np.minimum.at(least, block[known] + _BLOCKS, late_ns[known])
    least = np.lib.stride_tricks.sliding_window_view(least, 2 * _BLOCKS + 1).min(axis=1)
    delay_ns = np.where(known, least[block], 0)
    local = frames["clock"] == Clock.LOCAL  # times of the first receipt: no frame arrives later than that
    lag_ns = np.where(local, np.minimum(delay_ns, ahead_ns), delay_ns)
    return np.where(known, stored_ns + lag_ns, 0)


def rows_meeting(rows: Sequence[Gop], others: Sequence[Gop], reach_ns: int) -> Mask:
    """Which rows come within reach_ns of any of the others."""
    if not rows or not others:
        return np.zeros(len(rows), bool)
    bounds = np.array(sorted((row.start_ns, row.end_ns) for row in others), np.int64)
    mine = np.array([(row.start_ns, row.end_ns) for row in rows], np.int64)
    return meeting(mine[:, 0], mine[:, 1], bounds[:, 0], bounds[:, 1], reach_ns)


def meeting(starts: Times, ends: Times, other_starts: Times, other_ends: Times, reach_ns: int) -> Mask:
    """Which spans come within reach_ns of any of the others, which are at least one, and sorted by start."""
    reached = np.maximum.accumulate(other_ends)
    before = np.searchsorted(other_starts, ends + reach_ns, side="left") - 1
    return np.asarray((before >= 0) & (reached[np.maximum(before, 0)] > starts - reach_ns), bool)


def rows_to_compare(manifest: Manifest, other: Manifest, window_ns: int) -> set[int]:
    """Places of rows whose frames may also be on the other side, or in another session of this one."""
    places = set(np.flatnonzero(rows_meeting(manifest.rows, other.rows, window_ns)).tolist())
    runs = manifest.runs()
    if len(runs) > 1:
        for run in runs:
            mine = [manifest.rows[place] for place in run.places]
            own = set(run.places)
            rest = [row for place, row in enumerate(manifest.rows) if place not in own]
            meets = rows_meeting(mine, rest, _SELF_REACH_NS)
            places.update(run.places[at] for at in np.flatnonzero(meets).tolist())
    return places
