"""Verification: every frame that was inserted is in the target, under its session, with its digest and
time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np

from fovideo.errors import MergeError
from fovideo.media.frames import FrameTable
from fovideo.merge.manifest import Manifest, load_manifest
from fovideo.merge.planning.stretch import shift_at_target_ns
from fovideo.merge.values import Piece, PlannedStretch
from fovideo.timeline.endpoint import Timeline
from fovideo.times import NS_PER_MS, NS_PER_S, format_ns

REACH_NS = NS_PER_S  # B-frames and rounding may move a row's ends
_TIME_NS = 2 * NS_PER_MS
_LONGEST_ROW_NS = 60 * NS_PER_S  # drift is corrected by row, and the target may cut rows elsewhere


def verify(target: Timeline, source: Manifest, stretches: Sequence[PlannedStretch]) -> None:
    """Read the target anew and raise MergeError if it lacks any frame of the stretches."""
    if not stretches:
        return
    held = load_manifest(
        target,
        source.stream,
        min(stretch.span.from_ns for stretch in stretches) - REACH_NS,
        max(stretch.span.to_ns for stretch in stretches) + REACH_NS,
    )
    there = Frames(source, held)
    for stretch in stretches:
        lost = there.lacking(stretch, stretch.pieces)
        if len(lost):
            raise MergeError(
                f"{len(lost)} frames of {source.stream} were inserted and are not there, the first of "
                f"{format_ns(int(lost['time_ns'].min()))}",
                where=target.location,
                hint="run the merge again; if it stays so, run fovideo check on the target",
            )


class Frames:
    """What a target holds, to look planned frames of a source up in it."""

    def __init__(self, source: Manifest, held: Manifest) -> None:
        self._source, self._held = source, held
        self._places = {row.serial: place for place, row in enumerate(source.rows)}
        self._shifts = _shifts_by_table(held)
        self._there: dict[tuple[str, int], FrameTable] | None = None

    def lacking(self, stretch: PlannedStretch, pieces: Sequence[Piece]) -> FrameTable:
        """Frames of these pieces that are not there under their session, stored time, digest and time."""
        source, places = self._source, self._places
        left = [piece for piece in pieces if not _is_there(source, places, piece, stretch, self._shifts)]
        if not left:
            return _EMPTY
        if self._there is None:
            self._there = _by_session(self._held)
        key = (stretch.provenance.session, stretch.epoch)
        planned = [_planned(source, places[piece.serial], piece.rows, stretch) for piece in left]
        return _absent(np.concatenate(planned), self._there.get(key, _EMPTY), _tolerance_ns(stretch))


def _tolerance_ns(stretch: PlannedStretch) -> int:
    drift_ppb = abs(stretch.provenance.correction.drift_ppb)
    return _TIME_NS + _LONGEST_ROW_NS * drift_ppb // 1_000_000_000


_Shifts: TypeAlias = dict[tuple[str, int, bytes], int]


def _shifts_by_table(held: Manifest) -> _Shifts:
    """Shift of each row, by session, epoch and packed frame table."""
    return {
        (held.provenances[row.provenance].session, row.epoch, row.table): row.shift_ns for row in held.rows
    }


def _is_there(
    source: Manifest, places: Mapping[int, int], piece: Piece, stretch: PlannedStretch, shifts: _Shifts
) -> bool:
    """Whether a row went in whole and is there with the very same frame table: then each of its frames is."""
    if piece.rows:
        return False
    row = source.rows[places[piece.serial]]
    shift_ns = shifts.get((stretch.provenance.session, stretch.epoch, row.table))
    if shift_ns is None:
        return False
    wanted_ns = shift_at_target_ns(row, stretch.shift_ns, stretch.provenance.correction)
    return abs(shift_ns - wanted_ns) <= _tolerance_ns(stretch)


_KEY = np.dtype([("stored_ns", np.int64), ("digest", np.uint64), ("track", np.int64), ("time_ns", np.int64)])
_EMPTY = np.zeros(0, _KEY)


def _keys(frames: FrameTable, shift_ns: int) -> FrameTable:
    keys = np.zeros(len(frames), _KEY)
    keys["stored_ns"], keys["digest"], keys["track"] = frames["time_ns"], frames["digest"], frames["track"]
    keys["time_ns"] = frames["time_ns"] + shift_ns
    return keys


def _by_session(held: Manifest) -> dict[tuple[str, int], FrameTable]:
    tables: dict[tuple[str, int], list[FrameTable]] = {}
    for run in held.runs():
        tables.setdefault((run.session, run.epoch), []).extend(
            _keys(held.stored(place), held.rows[place].shift_ns) for place in run.places
        )
    joined = {key: np.concatenate(parts) for key, parts in tables.items()}
    return {key: table[np.lexsort((table["digest"], table["stored_ns"]))] for key, table in joined.items()}


def _planned(source: Manifest, place: int, rows: tuple[int, ...], stretch: PlannedStretch) -> FrameTable:
    frames = source.stored(place)
    shift_ns = shift_at_target_ns(source.rows[place], stretch.shift_ns, stretch.provenance.correction)
    return _keys(frames[list(rows)] if rows else frames, shift_ns)


def _absent(wanted: FrameTable, there: FrameTable, tolerance_ns: int) -> FrameTable:
    """Planned frames without an equal one in the target."""
    first = np.searchsorted(there["stored_ns"], wanted["stored_ns"], side="left")
    last = np.searchsorted(there["stored_ns"], wanted["stored_ns"], side="right")
    found = np.zeros(len(wanted), bool)
    for step in range(int((last - first).max(initial=0))):
        other = there[np.minimum(first + step, len(there) - 1)]
        found |= (
            (first + step < last)
            & (other["digest"] == wanted["digest"])
            & (other["track"] == wanted["track"])
            & (np.abs(other["time_ns"] - wanted["time_ns"]) <= tolerance_ns)
        )
    return wanted[~found]
