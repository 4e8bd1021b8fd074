"""Common: long stretches of which both sides hold every row, so that only their ends need work by frames.

Two recordings of one encoder mostly agree. Rows with the same digests in the same order, at a constant
distance of time, hold the same frames; in the middle of a long stretch of them there is nothing to match,
splice or insert. The planner gets both sides without those middles. What it needs to know around a seam (the
clocks' offset and drift, what continues what, content that repeats) it finds in the margins that stay. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fovideo.media.frames import FrameTable
from fovideo.merge import _rows
from fovideo.merge.manifest import Columns, Manifest
from fovideo.timeline.values import GopFlag, Splice
from fovideo.times import NS_PER_MS, NS_PER_S

MARGIN_ROWS = 64
MARGIN_NS = 180 * NS_PER_S
"""What stays of a stretch at either end, at least: several sections in which the offset is measured."""

LEAST_ROWS = 128
"""A shorter middle is not worth it."""

_CLOSE_NS = 50 * NS_PER_MS
"""Clocks so close need no further evidence; whether a greater distance is believed is not decided here."""

_RECEIPT_NS = 5 * NS_PER_S  # one frame reaches two recorders at the same instant, but for this

_JITTER = 4  # rows that differ by more than a part of so many of a frame interval are not the same


@dataclass(frozen=True)
class Margins:
    """What stays at either end of a stretch of rows, and how long the middle must be to be left out."""

    rows: int
    ns: int
    least_rows: int

    def middles(
        self, joins: npt.NDArray[np.bool_], starts: npt.NDArray[np.int64]
    ) -> Iterator[tuple[int, int]]:
        """Of stretches of rows. joins: for each row but the first, whether it continues the one before."""
        edges = np.flatnonzero(np.diff(np.concatenate(([False], joins, [False])).astype(np.int8)))
        for first, last in edges.reshape(-1, 2).tolist():  # rows first..last, both of it
            start = max(first + self.rows, int(np.searchsorted(starts, starts[first] + self.ns)))
            stop = min(last + 1 - self.rows, int(np.searchsorted(starts, starts[last] - self.ns)))
            if stop - start >= self.least_rows:
                yield start, stop


@dataclass(frozen=True)
class Common:
    """What was left out. serials: of the source's rows. frames: of their primary track; others: the rest."""

    serials: tuple[int, ...] = ()
    frames: int = 0
    others: int = 0


def without_common(
    source: Manifest, target: Manifest, from_ns: int | None, to_ns: int | None, expected_ns: int
) -> tuple[Manifest, Manifest, Common]:
    """Both sides without the middles of what both hold, and what that was.

    from_ns, to_ns: only rows within, in target time. expected_ns: offset of the clocks.
    """
    least = 2 * MARGIN_ROWS + LEAST_ROWS
    if min(len(source.rows), len(target.rows)) < least:
        return source, target, Common()
    ours, theirs = source.columns, target.columns
    partner = _partners(ours, is_whole(source, ours), theirs, is_whole(target, theirs))
    shift = np.where(partner >= 0, theirs[partner, _rows.START] - ours[:, _rows.START], 0)
    partner[np.abs(shift - expected_ns) > _CLOSE_NS] = -1
    if from_ns is not None:
        partner[ours[:, _rows.START] + shift < from_ns] = -1
    if to_ns is not None:
        partner[ours[:, _rows.END] + shift > to_ns] = -1
    kept, kept_there = np.ones(len(ours), bool), np.ones(len(theirs), bool)
    for start, stop in _middles(ours, theirs, partner, shift):
        if not all(
            _received_together(source.stored(place), target.stored(int(partner[place])))
            for place in (start, stop - 1)
        ):
            continue
        kept[start:stop] = False
        kept_there[partner[start] : partner[stop - 1] + 1] = False
    if kept.all():
        return source, target, Common()
    left_out = np.flatnonzero(~kept)
    frames = int(ours[left_out, _rows.FRAMES].sum())
    return (
        source.only(kept),
        target.only(kept_there),
        Common(
            serials=tuple(source.rows[place].serial for place in left_out.tolist()),
            frames=frames,
            others=int(ours[left_out, _rows.SAMPLES].sum()) - frames,
        ),
    )


def _received_together(ours: FrameTable, theirs: FrameTable) -> bool:
    """Whether two recorders can have received the same frames, by their own clocks."""
    apart = ours["receipt_ns"] - theirs["receipt_ns"]
    return bool((np.abs(apart) <= _RECEIPT_NS).all())


def is_whole(manifest: Manifest, table: Columns) -> npt.NDArray[np.bool_]:
    """Rows that are whole GOPs, shown, and begin at a keyframe."""
    wanted = GopFlag.KEY | GopFlag.COMPLETE
    whole = (table[:, _rows.FLAGS] & (wanted | GopFlag.GAPS)) == wanted
    whole &= (table[:, _rows.SAMPLES] > 0) & (table[:, _rows.INTERVAL] > 0)
    hidden = [number for number, each in manifest.provenances.items() if each.splice & Splice.CONFLICT]
    if hidden:
        whole &= ~np.isin(table[:, _rows.PROVENANCE], hidden)
    return np.asarray(whole, bool)


def follows(table: Columns) -> npt.NDArray[np.bool_]:
    """For each row but the first: whether it begins where the one before ends, with nothing in between."""
    jitter_ns = table[1:, _rows.INTERVAL] // _JITTER
    return np.asarray(np.abs(table[1:, _rows.START] - table[:-1, _rows.END]) <= jitter_ns, bool)


def _partners(
    ours: Columns, whole: npt.NDArray[np.bool_], theirs: Columns, whole_there: npt.NDArray[np.bool_]
) -> npt.NDArray[np.int64]:
    """For each row of ours the place of the row of theirs with the same digests, -1 = none. Only rows that
    are whole, and whose keyframe comes only once on either side.
    """
    partner = np.empty(len(ours), np.int64)
    _rows.partners(ours[:, _rows.KEY], theirs[:, _rows.KEY], partner)
    there = np.maximum(partner, 0)
    same = (partner >= 0) & whole
    if same.any():
        same &= whole_there[there]
        for column in (_rows.CONTENT, _rows.SAMPLES, _rows.FRAMES):
            same &= theirs[there, column] == ours[:, column]
    partner[~same] = -1
    return partner


def _middles(
    ours: Columns, theirs: Columns, partner: npt.NDArray[np.int64], shift: npt.NDArray[np.int64]
) -> Iterator[tuple[int, int]]:
    """Stretches of ours, without their margins, of which all rows are there: neighbours on both sides, each
    of one session and one clock, at one distance of time.
    """
    there = np.maximum(partner, 0)
    jitter_ns = ours[:, _rows.INTERVAL] // _JITTER
    good = partner >= 0
    good &= np.abs(theirs[there, _rows.END] - ours[:, _rows.END] - shift) <= jitter_ns
    joins = good[1:] & good[:-1] & (np.diff(partner) == 1) & (np.abs(np.diff(shift)) <= jitter_ns[1:])
    for column in (_rows.PROVENANCE, _rows.EPOCH, _rows.SHIFT):
        mine, other = ours[:, column], theirs[there, column]
        joins &= (mine[1:] == mine[:-1]) & (other[1:] == other[:-1])
    # What follows at once, too: neither side may lack anything between two rows.
    joins &= follows(ours)
    margins = Margins(MARGIN_ROWS, MARGIN_NS, LEAST_ROWS)
    yield from margins.middles(joins, ours[:, _rows.START])
