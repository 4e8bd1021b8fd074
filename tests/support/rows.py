"""GOP rows made of ticks, for tests of the pure timeline functions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from fovideo.media.frames import FrameFlag, FrameTable, empty_frames
from fovideo.segment import decode_table, encode_table
from fovideo.timeline.cover import holes
from fovideo.timeline.values import Gop, GopFlag

STEP = 40_000_000


def row(
    ticks: Iterable[int],
    *,
    serial: int,
    provenance: int = 1,
    times: Sequence[int] = (),
    lost: Sequence[int] = (),
    interval: int | None = None,
    frames: int | None = None,
    key: bool = True,
    track: int = 1,
) -> Gop:
    """A row with a frame of a track at each tick of STEP ns, or at given times."""
    dts = np.asarray(times or [tick * STEP for tick in ticks], dtype=np.int64)
    table = empty_frames(len(dts))
    table["dts_ns"] = table["time_ns"] = dts
    table["track"] = track
    table["flags"][list(lost)] |= FrameFlag.LOST_BEFORE
    if interval is None:
        interval = _nominal_interval(np.diff(dts)) or STEP
    flags = GopFlag.KEY if key else 0
    if len(dts) > 1 and holes(dts, table["flags"], interval).any():
        flags |= GopFlag.GAPS
    return Gop(
        stream="gate",
        serial=serial,
        start_ns=int(dts[0]),
        end_ns=int(dts[-1]) + max(interval, 1),
        shift_ns=0,
        segment=1,
        offset=0,
        size_bytes=1,
        provenance=provenance,
        epoch=0,
        frames=len(dts) if frames is None else frames,
        interval_ns=interval,
        flags=flags,
        table=encode_table(table),
    )


def tables(gop: Gop) -> FrameTable:
    return decode_table(gop.table)


def _nominal_interval(steps_ns: npt.NDArray[np.int64]) -> int:
    """Lower median of steps between neighbouring frames; 0 if none is positive."""
    steps_ns = np.sort(steps_ns[steps_ns > 0])
    return int(steps_ns[(len(steps_ns) - 1) // 2]) if len(steps_ns) else 0
