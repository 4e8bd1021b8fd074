"""Frames of several rows in the order in which a player needs them. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from fovideo.media.frames import FrameTable


def effective(frames: FrameTable, shift_ns: int) -> FrameTable:
    """Copy of a stored frame table with effective times: time_ns, dts_ns + shift_ns. Receipt times stay."""
    result = frames.copy()
    if shift_ns:
        result["time_ns"] += shift_ns
        result["dts_ns"] += shift_ns
    return result


def play_order(tables: Sequence[FrameTable], ends_ns: Sequence[int] | None = None) -> npt.NDArray[np.int64]:
    """Decode order over frames of several rows: shape (n, 2), table number and row number in that table.

    tables: effective times. Sorted by dts_ns; the order inside a table is kept for each of its tracks, and
    frames of the same instant come in the order of the tables. ends_ns: frames at or after it are left out,
    per table (Choice.end_ns).
    """
    if not tables:
        return np.zeros((0, 2), dtype=np.int64)
    number = np.repeat(np.arange(len(tables)), [len(table) for table in tables])
    inner = np.concatenate([np.arange(len(table)) for table in tables])
    dts = np.concatenate([_rising(table) for table in tables])
    order = np.lexsort((inner, number, dts))
    if ends_ns is not None:
        keep = dts < np.asarray(ends_ns, dtype=np.int64)[number]
        order = order[keep[order]]
    return np.stack((number[order], inner[order]), axis=1).astype(np.int64, copy=False)


def _rising(table: FrameTable) -> npt.NDArray[np.int64]:
    """dts_ns that never decreases within a track, so that a sort by it cannot undo the decode order."""
    result: npt.NDArray[np.int64] = table["dts_ns"].astype(np.int64)
    for track in np.unique(table["track"]):
        mine = table["track"] == track
        result[mine] = np.maximum.accumulate(result[mine])
    return result
