"""When footage arrived that a merge brought: as if the timeline's own store had recorded it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from fovideo.merge.footage import Footage
from fovideo.merge.line import Index, Times, covered, line_of
from fovideo.merge.machines import clocks_of
from fovideo.timeline.cover import DEFAULT_INTERVAL_NS
from fovideo.times import NS_PER_MS, NS_PER_S

_LATE_NS = 60 * NS_PER_S  # how long all frames of a fragment may have waited
_RESTART_NS = 10 * NS_PER_S  # what waiting makes of a difference of machines
_ALIKE_NS = 200 * NS_PER_MS  # least delays of one machine's sessions differ by less
_WAITED_NS = 2 * NS_PER_S + _ALIKE_NS  # what merges find to be the same arrived no further apart
_BESIDE_NS = 2 * NS_PER_S  # footage so near says when its neighbours arrived
_EDGE = 2  # frames at the edge of other footage that are no accident
_FEW = 0.1  # share of frames that may lie where there is footage already


def at_home(identity: str, footage: Sequence[Footage]) -> list[Footage]:
    """The footage of a timeline, with what merges brought as if its own store had recorded it.

    Footage with sender reports on both sides tells how far the two machines are apart. A few frames of a long
    session say only roughly when they arrived, as they may all have waited: with sender reports, they are
    where own footage on the camera's clock says; without, where the own footage says beside which the merge
    has put them, if their recorder received them later. Where nothing is known of a machine, its footage was
    put on the clock of the nearest, row by row.

    What adjoins own footage comes first, and then tells of what adjoins that.
    """
    known = [each for each in footage if each.store == identity and each.lag_ns is not None]
    if not known:
        return list(footage)
    told = sorted({each.lag_ns for each in known if each.trusted and each.lag_ns is not None})
    homed = {at: each for at, each in enumerate(footage) if each.store == identity}
    waiting = {
        store: [at for at, each in enumerate(footage) if each.store == store]
        for store in dict.fromkeys(each.store for each in footage if each.store != identity)
    }
    while waiting:
        apart = {store: _apart([footage[at] for at in places], known) for store, places in waiting.items()}
        ready = [store for store, (adjoins, _) in apart.items() if adjoins > 0] or list(waiting)
        found = {
            at: _homed(footage[at], identity, apart[store][1], told, known)
            for store in ready
            for at in waiting.pop(store)
        }
        homed.update(found)
        known.extend(each for each in found.values() if each.lag_ns is not None)
    return [homed[at] for at in range(len(footage))]


def _homed(
    footage: Footage, identity: str, ahead_ns: int | None, told: Sequence[int], known: Sequence[Footage]
) -> Footage:
    """What a merge brought, as if the timeline's own store had recorded it. ahead_ns: of its machine's clock.
    told: by how much footage on the camera's clock arrived here after its times.
    """
    lag_ns = footage.lag_ns
    if ahead_ns is None or lag_ns is None:
        lag_ns = _beside_ns(footage, known)
    elif footage.trusted:
        lag_ns = _told_ns(footage, lag_ns + ahead_ns, told, known)
    else:
        lag_ns = _least_ns(footage, lag_ns + ahead_ns, known)
    arrival_ns = footage.frames["time_ns"] - footage.moved_ns + lag_ns
    return replace(footage, store=identity, arrival_ns=arrival_ns, adopted=True)


def _is_put_off(footage: Footage) -> bool:
    """Whether a merge found it elsewhere than the camera's clock says."""
    return abs(footage.put_off_ns) > _WAITED_NS


def _told_ns(footage: Footage, lag_ns: int, told: Sequence[int], own: Sequence[Footage]) -> int:
    """By how much frames on the camera's clock arrived after they were recorded: as own footage on that
    clock, if they may have waited that long; what was put elsewhere tells nothing by having waited.
    """
    put_off = _is_put_off(footage)
    if told:
        nearest_ns = told[int(np.abs(np.array(told, np.int64) - lag_ns).argmin())]
        if -_ALIKE_NS <= lag_ns - nearest_ns <= (_ALIKE_NS if put_off else _LATE_NS):
            return nearest_ns
    return _beside_ns(footage, own) if put_off else lag_ns


def _least_ns(footage: Footage, lag_ns: int, own: Sequence[Footage]) -> int:
    """By how much frames arrived after they were recorded: by their receipt, which is an upper bound, or, if
    that is less, as the own footage beside which a merge has put them. Of several beside, whose clocks
    differ, the one that is nearest to the receipt.
    """
    low_ns, high_ns = footage.frames["time_ns"].min(), footage.frames["time_ns"].max()
    beside = [
        (each.lag_ns or 0) - each.put_off_ns + footage.put_off_ns
        for each in _best(footage, own)
        if each.frames["time_ns"].min() - _BESIDE_NS <= high_ns
        and low_ns <= each.frames["time_ns"].max() + _BESIDE_NS
    ]
    nearest_ns = min(beside, key=lambda other_ns: abs(lag_ns - other_ns), default=lag_ns)
    return nearest_ns if -_LATE_NS <= lag_ns - nearest_ns <= _WAITED_NS else lag_ns


@dataclass(frozen=True)
class _Pair:
    """What a merge brought (its number) and own footage. frames: of the shorter one."""

    brought: int
    adjoins: int
    own_lag_ns: int
    lag_ns: int
    frames: int

    @property
    def apart_ns(self) -> int:
        return self.own_lag_ns - self.lag_ns


def _apart(brought: Sequence[Footage], known: Sequence[Footage]) -> tuple[int, int | None]:
    """By how much the clock of this timeline's machine is ahead of another's, if that can be told: as both
    heard the camera's, else as merges have put one beside the other. First, as of _adjoins: how well.
    """
    trusted = [each for each in brought if each.trusted]
    in_place = [
        [each for each in side if not _is_put_off(each)]
        for side in (trusted, [each for each in known if each.trusted])
    ]
    adjoins, apart_ns = _best_apart(*in_place, put_off=False)
    if apart_ns is None:
        adjoins, apart_ns = _best_apart(trusted, known, put_off=True)
        if adjoins < 1:
            return -1, None
    return adjoins, apart_ns


def _best_apart(
    brought: Sequence[Footage], own: Sequence[Footage], *, put_off: bool
) -> tuple[int, int | None]:
    """How well the best of these adjoin, and by how much the machines' clocks are apart as they say.

    A camera that restarted its clock makes several differences: true are those of footage that adjoins by
    that clock, as what was brought filled a gap; the one that holds before and after the restart, then the
    one that most frames speak for, then the least, as machines are kept in step. Frames that waited make
    it small: the greatest is true, of those where each piece is nearest to what was found so: its others
    come from another clock of the camera.
    """
    pairs: list[_Pair] = []
    for number, each in enumerate(brought):
        found = [
            _Pair(
                number,
                _adjoins(each, run),
                run.lag_ns + (each.put_off_ns - run.put_off_ns if put_off else 0),
                each.lag_ns,
                min(len(each.frames), len(run.frames)),
            )
            for run in own
            if run.lag_ns is not None and each.lag_ns is not None
        ]
        mine = max((pair.adjoins for pair in found), default=0)
        pairs.extend(pair for pair in found if pair.adjoins == mine)
    if not pairs:
        return -1, None
    best = max(pair.adjoins for pair in pairs)
    beside = [pair for pair in pairs if pair.adjoins == best]

    def speak(pair: _Pair) -> tuple[int, int, int]:
        same = [each for each in beside if abs(each.apart_ns - pair.apart_ns) <= _RESTART_NS]
        frames = sum(each.frames for each in same)
        return clocks_of(each.own_lag_ns for each in same), frames, -abs(pair.apart_ns)

    true = max(beside, key=speak)
    nearest: dict[int, _Pair] = {}
    for pair in sorted(pairs, key=lambda pair: -abs(pair.apart_ns - true.apart_ns)):
        nearest[pair.brought] = pair
    return best, max(
        pair.apart_ns
        for pair in nearest.values()
        if pair.adjoins >= min(best, 0)
        and abs(pair.apart_ns - true.apart_ns) <= _RESTART_NS
        and abs(pair.own_lag_ns - true.own_lag_ns) <= _ALIKE_NS
    )


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
