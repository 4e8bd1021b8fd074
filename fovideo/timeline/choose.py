"""What to show where rows overlap: the server's own frames win, inserted ones fill. Pure."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt

from fovideo.media.codec import METADATA_TRACK, VIDEO_TRACK
from fovideo.timeline.cover import Cover, Tables, covers
from fovideo.timeline.values import Gop, Provenance, Splice

Places: TypeAlias = npt.NDArray[np.int64]


class Choice(msgspec.Struct, frozen=True):
    """Show the row's frames with dts_ns < end_ns (effective): a prefix, so that what is shown decodes."""

    gop: Gop
    end_ns: int


def choose(
    rows: Sequence[Gop], provenances: Mapping[int, Provenance], own: str = "", tables: Tables | None = None
) -> list[Choice]:
    """Rows to play and how far, by (start_ns, serial); at no instant two different recordings.

    Where rows overlap, those recorded here come first, then inserted ones; among equals the later written
    wins, since it follows the later clock. A row that loses is shown up to the winner's first frame; what it
    holds behind cannot be decoded then and is not shown. Frames that fill holes of another row do not overlap
    it. Rows inserted as conflicts (Splice.CONFLICT) are never shown; rows without frames of the
    primary track (sound for pictures that another row has) always are. Rows of sound alone lose only to
    others of sound alone, and metadata to nothing: several documents of one instant contradict nothing.
    own: id of the store; rows with another Provenance.store count as inserted too ("" = any is own).
    tables: as for `covers`; needed to see holes inside rows, and which rows are of sound or metadata alone.
    """
    rows = [row for row in rows if not _is_conflict(provenances.get(row.provenance))]
    cover = covers(rows, tables)
    ends = cover["end_ns"] - cover["interval_ns"] * 3 // 4
    np.maximum(ends, cover["start_ns"] + 1, out=ends)
    limits = [row.end_ns for row in rows]
    shown = [True] * len(rows)
    for group in _clusters(cover, ends):
        for members in _by_track(np.arange(len(cover))[group], cover, rows, tables):
            _resolve(members, cover, ends, rows, provenances, own, limits, shown)
    picked = [Choice(row, limit) for row, limit, show in zip(rows, limits, shown, strict=True) if show]
    return sorted(picked, key=lambda choice: (choice.gop.start_ns, choice.gop.serial))


def _clusters(cover: Cover, ends: np.ndarray[tuple[int], np.dtype[np.int64]]) -> list[slice]:
    """Runs of sorted cover in which some entries overlap."""
    if len(cover) < 2:
        return []
    overlaps = cover["start_ns"][1:] < np.maximum.accumulate(ends)[:-1]
    if not overlaps.any():
        return []
    edges = np.flatnonzero(np.diff(np.concatenate(([False], overlaps, [False])).astype(np.int8)))
    return [slice(int(start), int(stop) + 1) for start, stop in edges.reshape(-1, 2).tolist()]


def _by_track(group: Places, cover: Cover, rows: Sequence[Gop], tables: Tables | None) -> list[Places]:
    """Entries that may contradict each other: of rows that carry the same track."""
    if tables is None:
        return [group]
    numbers = cover["row"][group]
    known = {number: _track(rows[number], tables) for number in np.unique(numbers).tolist()}
    track = np.array([known[number] for number in numbers.tolist()])
    return [group[track == each] for each in np.unique(track).tolist() if each != METADATA_TRACK]


def _track(row: Gop, tables: Tables) -> int:
    """Track of the frames that a row counts."""
    return int(tables(row)["track"].min()) if row.table else VIDEO_TRACK


def _resolve(
    group: Places,
    cover: Cover,
    ends: np.ndarray[tuple[int], np.dtype[np.int64]],
    rows: Sequence[Gop],
    provenances: Mapping[int, Provenance],
    own: str,
    limits: list[int],
    shown: list[bool],
) -> None:
    pieces: dict[int, list[tuple[int, int]]] = {}
    for start, end, number in zip(
        cover["start_ns"][group].tolist(), ends[group].tolist(), cover["row"][group].tolist(), strict=True
    ):
        pieces.setdefault(number, []).append((start, end))

    def rank(number: int) -> tuple[bool, int]:
        row = rows[number]
        return not _is_own(provenances.get(row.provenance), own), -row.serial

    taken_starts: list[int] = []
    taken_ends: list[int] = []
    for number in sorted(pieces, key=rank):
        for start, end in pieces[number]:
            if start >= limits[number]:
                break  # cut off already
            at = bisect_right(taken_ends, start)
            clash = taken_starts[at] if at < len(taken_starts) and taken_starts[at] < end else None
            stop = end if clash is None else clash
            if stop > start:
                place = bisect_left(taken_starts, start)
                taken_starts.insert(place, start)
                taken_ends.insert(place, stop)
            if clash is not None:
                limits[number] = max(clash, start)  # groups come in time order, so limits only fall
                shown[number] = limits[number] > rows[number].start_ns
                break


def _is_own(provenance: Provenance | None, own: str) -> bool:
    if provenance is None or provenance.inserted_from:
        return False
    return not own or not provenance.store or provenance.store == own


def _is_conflict(provenance: Provenance | None) -> bool:
    return provenance is not None and bool(provenance.splice & Splice.CONFLICT)
