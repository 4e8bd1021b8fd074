"""Cover: the stretches in which rows really hold frames. Spans, gaps and choices are all computed from it.

Does not read anything: rows come in, and where a row has holes its frame table comes through a callable.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from fovideo.media.frames import FrameFlag, FrameTable
from fovideo.timeline.values import Gop, GopFlag

COVER = np.dtype(
    [
        ("start_ns", "<i8"),  # first frame
        ("end_ns", "<i8"),  # last frame + interval
        ("interval_ns", "<i8"),  # nominal frame interval, never 0
        ("frames", "<i8"),
        ("row", "<i8"),  # index of the row in the sequence that was given
        ("broken", "?"),  # frames of the same row are known to be missing right before it
    ]
)

Cover: TypeAlias = npt.NDArray[Any]
"""1-d structured array of COVER."""

Tables: TypeAlias = Callable[[Gop], FrameTable]
"""Gives the frame table of a row with effective times."""

DEFAULT_INTERVAL_NS = 40_000_000
"""Taken for a row whose interval is unknown and that has no neighbour to tell it."""

_LOST_RATIO = (5, 4)  # a frame that says LOST_BEFORE ends the cover before it from this many intervals on
_LONG_RATIO = (7, 4)  # any interval longer than this many nominal ones hides at least one frame


def longest_step_ns(interval_ns: int) -> int:
    """Distance of two neighbouring frames above which at least one frame is missing between them."""
    return interval_ns * _LONG_RATIO[0] // _LONG_RATIO[1]


def longest_lost_step_ns(interval_ns: int) -> int:
    """The same where the second frame says that frames before it were lost."""
    return interval_ns * _LOST_RATIO[0] // _LOST_RATIO[1]


def holes(
    times_ns: npt.NDArray[np.int64], flags: npt.NDArray[np.uint8], interval_ns: int
) -> npt.NDArray[np.bool_]:
    """For each frame but the first: whether frames are missing right before it. Shape (n - 1,).

    times_ns: of one track, never decreasing: decode times, or presentation times in their own order.
    """
    steps = np.diff(times_ns)
    lost = (flags[1:] & FrameFlag.LOST_BEFORE) != 0
    limit = np.where(lost, longest_lost_step_ns(interval_ns), longest_step_ns(interval_ns))
    return np.asarray(steps > limit)


def primary(frames: FrameTable) -> FrameTable:
    """The frames of the track that carries the coverage: video, else audio, else metadata."""
    if not len(frames):
        return frames
    mine: FrameTable = frames[frames["track"] == frames["track"].min()]
    return mine


def covers(rows: Sequence[Gop], tables: Tables | None = None) -> Cover:
    """Cover of the rows, sorted by start_ns: one entry a row, several where a row has holes.

    tables: called for rows that are flagged GAPS or do not start at a keyframe (a row's bounds are decode
    times, which say little of what is presented where frames lie between those of another row); without it
    such rows count as whole.
    Rows without frames of the primary track cover nothing.
    """
    whole = np.fromiter(
        (
            (row.start_ns, row.end_ns, row.interval_ns, row.frames, number, False)
            for number, row in enumerate(rows)
            if row.frames and (tables is None or is_plain(row))
        ),
        dtype=COVER,
    )
    _fill_intervals(whole)
    parts = [whole]
    if tables is not None:
        usual_ns = _usual_interval_ns(np.array([row.interval_ns for row in rows], np.int64))
        parts += [
            _inner(row, number, tables(row), usual_ns)
            for number, row in enumerate(rows)
            if row.frames and not is_plain(row)
        ]
    joined = np.concatenate(parts) if len(parts) > 1 else whole
    return joined[np.lexsort((joined["row"], joined["start_ns"]))]


def is_plain(row: Gop) -> bool:
    """Whether the row covers what its bounds say; of others the frame table is asked for."""
    return row.flags & (GopFlag.GAPS | GopFlag.KEY) == GopFlag.KEY


def _inner(row: Gop, number: int, frames: FrameTable, usual_ns: int) -> Cover:
    frames = primary(frames)
    frames = frames[np.argsort(frames["time_ns"], kind="stable")]
    interval_ns = row.interval_ns or usual_ns
    starts = np.concatenate(([0], np.flatnonzero(holes(frames["time_ns"], frames["flags"], interval_ns)) + 1))
    stops = np.append(starts[1:], len(frames))
    result = np.empty(len(starts), dtype=COVER)
    result["start_ns"] = frames["time_ns"][starts]
    result["end_ns"] = frames["time_ns"][stops - 1] + interval_ns
    result["interval_ns"] = interval_ns
    result["frames"] = stops - starts
    result["row"] = number
    result["broken"] = np.arange(len(starts)) > 0
    return result


def _fill_intervals(cover: Cover) -> None:
    """Replace unknown intervals in place by the median of the known ones."""
    unknown = cover["interval_ns"] <= 0
    if unknown.any():
        interval_ns = _usual_interval_ns(cover["interval_ns"])
        cover["interval_ns"][unknown] = interval_ns
        cover["end_ns"][unknown] += interval_ns - 1  # such a row ends 1 ns behind its last frame
    np.maximum(cover["end_ns"], cover["start_ns"] + 1, out=cover["end_ns"])


def _usual_interval_ns(intervals_ns: npt.NDArray[np.int64]) -> int:
    """Of rows that do not know theirs (single frames): the median of the others."""
    known = intervals_ns[intervals_ns > 0]
    return int(np.median(known)) if len(known) else DEFAULT_INTERVAL_NS


def breaks(cover: Cover) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.int64]]:
    """For sorted cover: whether a gap precedes each entry (never the first), and the end of all before it.

    Both of shape (n,); the second is the running maximum of end_ns over the entries before (for the first:
    its start).
    """
    count = len(cover)
    if not count:
        return np.zeros(0, dtype=bool), np.zeros(0, dtype=np.int64)
    reach = np.maximum.accumulate(cover["end_ns"])
    holder = np.maximum.accumulate(np.where(cover["end_ns"] == reach, np.arange(count), 0))
    before = np.concatenate((cover["start_ns"][:1], reach[:-1]))
    held = cover["interval_ns"][np.concatenate(([0], holder[:-1]))]
    widest = np.maximum(held, cover["interval_ns"])
    empty = cover["start_ns"] - before
    gap = empty > widest * _LONG_RATIO[0] // _LONG_RATIO[1] - held
    gap |= cover["broken"] & (empty > widest // 4)
    gap[0] = False
    return np.asarray(gap), np.asarray(before)
