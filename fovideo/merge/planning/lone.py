"""Lone: long stretches that only one side holds, so that only their ends need work row by row.

The planner gets both sides without the middles of such stretches: no frame in them can be on the other side,
so they are compared with nothing. What is lone in the target needs no work at all. What is lone in the source
is inserted as it stands: whole rows, each continuing the one before on one clock; `stretch` puts them in
where they were left out. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import groupby

import numpy as np
import numpy.typing as npt

from fovideo.merge import _rows
from fovideo.merge.footage import meeting
from fovideo.merge.manifest import Columns, Manifest
from fovideo.merge.placing.clock import Clock
from fovideo.merge.placing.match import STEP_PPM
from fovideo.merge.planning.common import LEAST_ROWS, MARGIN_NS, MARGIN_ROWS, Margins, follows, is_whole
from fovideo.timeline.values import Gop

Between = Mapping[int, tuple[Gop, ...]]
"""Rows that were left out, by the place of the row before them in the manifest without them."""


def without_lone(
    source: Manifest, target: Manifest, window_ns: int, until_ns: int | None
) -> tuple[Manifest, Manifest, Between]:
    """Both sides without the middles of what only one holds, and what that was of the source.

    window_ns: how far clocks may be apart. until_ns: rows of the source that end later stay (a live target).
    """
    ours, theirs = source.columns, target.columns
    kept, kept_there = np.ones(len(ours), bool), np.ones(len(theirs), bool)
    found = list(_middles(source, ours, theirs, window_ns, until_ns))
    for start, stop in found:
        kept[start:stop] = False
    for start, stop in _middles(target, theirs, ours, window_ns, None):
        kept_there[start:stop] = False
    places = np.cumsum(kept) - 1
    between = {int(places[start - 1]): source.rows[start:stop] for start, stop in found}
    return (
        source if kept.all() else source.only(kept),
        target if kept_there.all() else target.only(kept_there),
        between,
    )


def alike(rows: tuple[Gop, ...], clock: Clock) -> Iterator[tuple[Gop, ...]]:
    """The same rows, cut where the source segment or the piece of the clock changes."""
    for _, group in groupby(rows, key=_segment_of):
        yield from _on_one_piece(tuple(group), clock)


def _segment_of(row: Gop) -> int:
    return row.segment


def _on_one_piece(rows: tuple[Gop, ...], clock: Clock) -> Iterator[tuple[Gop, ...]]:
    """Pieces follow each other in time, so rows between two that are on one are on it too."""
    if clock.piece(rows[0].start_ns) == clock.piece(rows[-1].start_ns):
        yield rows
        return
    middle = len(rows) // 2
    yield from _on_one_piece(rows[:middle], clock)
    yield from _on_one_piece(rows[middle:], clock)


def _middles(
    manifest: Manifest, ours: Columns, theirs: Columns, window_ns: int, until_ns: int | None
) -> Iterator[tuple[int, int]]:
    """Stretches of rows, without their margins, that nothing of the other side is near, and that follow each
    other: of one session, on one clock, without a gap.
    """
    if len(ours) < 2 * MARGIN_ROWS + LEAST_ROWS:
        return
    good = is_whole(manifest, ours) & _is_lone(ours, theirs, window_ns) & (ours[:, _rows.FRAMES] > 0)
    drifting = [number for number, each in manifest.provenances.items() if each.correction.drift_ppb]
    if drifting:
        good &= ~np.isin(ours[:, _rows.PROVENANCE], drifting)
    if until_ns is not None:
        good &= ours[:, _rows.END] < until_ns
    # A clock that drifts must not bring a row as close to the next as frames may be.
    length_ns = ours[:, _rows.END] - ours[:, _rows.START]
    good &= length_ns // 1_000_000 * STEP_PPM < ours[:, _rows.INTERVAL] * 2 // 5
    joins = good[1:] & good[:-1] & follows(ours)
    for column in (_rows.PROVENANCE, _rows.EPOCH, _rows.SHIFT, _rows.INTERVAL):
        joins &= ours[1:, column] == ours[:-1, column]
    margins = Margins(MARGIN_ROWS, MARGIN_NS, LEAST_ROWS)
    yield from margins.middles(joins, ours[:, _rows.START])


def _is_lone(ours: Columns, theirs: Columns, window_ns: int) -> npt.NDArray[np.bool_]:
    """Rows that come within window_ns of none of the others."""
    if not len(theirs):
        return np.ones(len(ours), bool)
    start, end = _rows.START, _rows.END
    return ~meeting(ours[:, start], ours[:, end], theirs[:, start], theirs[:, end], window_ns)
