"""When footage arrived of which its own frames do not tell: what a merge brought and did not know that of,
and sessions of which every frame had waited. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from fovideo.media.frames import Clock
from fovideo.merge.footage import Footage
from fovideo.merge.line import Index, Times, covered, line_of
from fovideo.timeline.cover import DEFAULT_INTERVAL_NS
from fovideo.times import NS_PER_MS, NS_PER_S

_ALIKE_NS = 200 * NS_PER_MS  # least delays of one machine's sessions differ by less
_BESIDE_NS = 2 * NS_PER_S  # footage so near says when its neighbours arrived
_EDGE = 2  # frames at the edge of other footage that are no accident
_FEW = 0.1  # share of frames that may lie where there is footage already
_DRIFT_PPM = 200  # of a machine's clock, at the most


def at_home(identity: str, footage: Sequence[Footage]) -> list[Footage]:
    """The footage of a timeline, with all that merges brought as if its own store had recorded it.

    Mostly the merge has written down when it arrived (footage.unpack). Where it did not know how far the
    machines' clocks are apart, it put the footage on the clock of what was there, and beside that it arrived.
    """
    footage = by_least_delay(footage)
    known = [each for each in footage if each.store == identity and each.lag_ns is not None]
    if not known:
        return list(footage)
    return [
        each if each.store == identity or each.lag_ns is None else _homed(each, identity, known)
        for each in footage
    ]


def by_least_delay(footage: Sequence[Footage]) -> list[Footage]:
    """Sessions on one clock of the camera, recorded by one machine, are related to that machine's clock by
    the same delay: the least that any of them shows. One that differs by more may have heard the camera set
    its clock.
    """
    told: dict[str, list[tuple[int, int, int]]] = {}
    for each in footage:
        if (lag_ns := _told_lag_ns(each)) is not None:
            times = each.recorded["time_ns"]
            told.setdefault(each.store, []).append((lag_ns, int(times.min()), int(times.max())))
    return [_earlier(each, told[each.store]) if _told_lag_ns(each) is not None else each for each in footage]


def _told_lag_ns(footage: Footage) -> int | None:
    """By how much it arrived after the times of the camera's clock."""
    return footage.lag_ns if footage.clock == Clock.SENDER_REPORT and not footage.adopted else None


def _earlier(footage: Footage, told: Sequence[tuple[int, int, int]]) -> Footage:
    """told: lag of each session, and its first and last time."""
    mine_ns, times = footage.lag_ns or 0, footage.recorded["time_ns"]
    start_ns, end_ns = int(times.min()), int(times.max())
    least_ns = min(
        lag_ns + max(first_ns - end_ns, start_ns - last_ns, 0) * _DRIFT_PPM // 1_000_000
        for lag_ns, first_ns, last_ns in told
        if mine_ns - lag_ns <= _ALIKE_NS
    )
    waited_ns = np.where(footage.arrival_ns != 0, mine_ns - least_ns, 0)
    return replace(footage, arrival_ns=footage.arrival_ns - waited_ns) if least_ns < mine_ns else footage


def _homed(footage: Footage, identity: str, known: Sequence[Footage]) -> Footage:
    arrival_ns = footage.frames["time_ns"] - footage.moved_ns + _beside_ns(footage, known)
    return replace(footage, store=identity, arrival_ns=arrival_ns, adopted=True)


def _adjoins(brought: Footage, own: Footage) -> int:
    """Whether what a merge brought continues own footage on one clock: 1 = it does, -1 = it can't, as it lies
    where there is footage, 0 = nothing is known.
    """
    track = brought.frames["track"].min()
    times = brought.frames["time_ns"][brought.frames["track"] == track]
    line = line_of(own.frames, track)
    if not len(line):
        return 0
    interval_ns = line.interval_ns or DEFAULT_INTERVAL_NS
    if covered(times, line, interval_ns // 2, interval_ns).mean() > _FEW:
        return -1
    near = np.count_nonzero(covered(times, line, 2 * interval_ns, interval_ns))
    return int(near >= min(_EDGE, len(times)))


def _best(brought: Footage, own: Sequence[Footage]) -> list[Footage]:
    """Own footage that may lie beside what a merge brought: what adjoins it, if there is any."""
    known = [_adjoins(brought, each) for each in own]
    return [each for each, adjoins in zip(own, known, strict=True) if adjoins == max(known)]


def _beside_ns(footage: Footage, own: Sequence[Footage]) -> int:
    """By how much frames arrived after they were recorded, if as the own footage beside them, row by row.

    Own footage may overlap itself, where a session of it had waited: of what is about as near, that beside
    which the machines' clocks are in step.
    """
    own = _best(footage, own)
    first = np.concatenate(([0], np.flatnonzero(np.diff(footage.row)) + 1))
    lags = np.array([(each.lag_ns or 0) - each.put_off_ns for each in own], np.int64)
    lag_ns = lags + footage.moved_ns[first][:, None]
    away_ns = _away_ns(footage.frames["time_ns"], first, own)
    if footage.lag_ns is not None:
        near = away_ns <= away_ns.min(axis=1)[:, None] + _BESIDE_NS
        away_ns[near & (np.abs(lag_ns - footage.lag_ns) <= _ALIKE_NS)] -= _BESIDE_NS
    told_ns = lag_ns[np.arange(len(first)), away_ns.argmin(axis=1)]
    return int(np.median(np.repeat(told_ns, np.diff(np.append(first, len(footage.row))))))


def _away_ns(times: Times, first: Index, own: Sequence[Footage]) -> npt.NDArray[np.int64]:
    """How far each row is from each own footage; below 0: within. Shape (rows, footage). first: where each
    row begins.
    """
    low, high = np.minimum.reduceat(times, first), np.maximum.reduceat(times, first)
    starts = np.array([each.frames["time_ns"].min() for each in own])
    ends = np.array([each.frames["time_ns"].max() for each in own])
    return np.asarray(np.maximum(low[:, None] - ends, starts - high[:, None]), np.int64)
