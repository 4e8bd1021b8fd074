"""What decodes where rows meet, and what is held: kept, but not shown. Pure.

One rule for all readers: a frame is shown if it is a keyframe, or continues the one that was shown last.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from fovideo.media.frames import FrameFlag, FrameTable
from fovideo.timeline.choose import Choice, choose
from fovideo.timeline.cover import DEFAULT_INTERVAL_NS, Tables, longest_step_ns, primary
from fovideo.timeline.links import link, unpacked
from fovideo.timeline.order import play_order
from fovideo.timeline.values import Gop, GopFlag, Provenance, Splice

REORDERED = 4
"""Around frames that one side lost, reordered frames have decode times that are so many intervals off."""

_EVER_NS = 1 << 62
_MOST_ROWS = 256  # that are played at once


class Frame(NamedTuple):
    """A frame of the primary track, where it lies. number: how many of its row come before it."""

    row: Gop
    number: int
    digest: int
    dts_ns: int


def continues(
    before: Frame, after: Frame, provenance: Callable[[Gop], Provenance | None], *, skipped: bool = False
) -> bool:
    """Whether a frame, no keyframe, has the frame that is shown before it as its reference.

    It has if they are neighbours in a row, or in one recording, or if a merge has said so: of stretches whose
    seams are NAMED by their digests, of others by FOLLOWS and LEADS, which name no frame. skipped: what lies
    between them is not shown, so where their recorder lost frames between them that may be what was lost.
    """
    step_ns = after.dts_ns - before.dts_ns
    interval_ns = max(before.row.interval_ns, after.row.interval_ns) or DEFAULT_INTERVAL_NS
    if before.row.serial == after.row.serial and before.number + 1 == after.number:
        return not skipped or step_ns <= longest_step_ns(interval_ns)
    told_by = provenance(before.row), provenance(after.row)
    if is_one(before.row, after.row):
        if before.row.serial != after.row.serial and step_ns <= longest_step_ns(interval_ns):
            return True
        told_by = None, told_by[1] if _is_named(told_by[1]) else None
    if step_ns > REORDERED * interval_ns:
        return False
    return told(*told_by, before.digest, after.digest)


def told(before: Provenance | None, after: Provenance | None, digest: int, next_digest: int) -> bool:
    """Whether a merge has said of two frames that the second continues the first. before, after: theirs."""
    for each, flag in ((before, Splice.LEADS), (after, Splice.FOLLOWS)):
        if each is None:
            continue
        if not each.splice & Splice.NAMED:
            if each.splice & flag:
                return True
        elif link(digest, next_digest) in unpacked(each.links):
            return True
    return False


def _is_named(provenance: Provenance | None) -> bool:
    return provenance is not None and bool(provenance.splice & Splice.NAMED)


def is_one(before: Gop, after: Gop) -> bool:
    """Whether two rows are of one recording, and its clock was not set back between them."""
    interval_ns = after.interval_ns or DEFAULT_INTERVAL_NS
    return before.provenance == after.provenance and (
        before.epoch == after.epoch or after.start_ns >= before.end_ns - interval_ns // 2
    )


class Chain:
    """Goes through frames of the primary track in the order in which they are played, and tells which of
    them can be shown.
    """

    def __init__(self, provenance: Callable[[Gop], Provenance | None]) -> None:
        self._provenance = provenance
        self._last: Frame | None = None
        self._skipped = False
        self._passed: dict[int, int] = {}

    @property
    def started(self) -> bool:
        """Whether there was a keyframe."""
        return self._last is not None

    def shows(self, row: Gop, digest: int, dts_ns: int, *, key: bool) -> bool:
        """Whether the next frame can be shown."""
        number = self._passed.pop(row.serial, 0)
        self._passed[row.serial] = number + 1
        if len(self._passed) > _MOST_ROWS:
            del self._passed[next(iter(self._passed))]
        frame = Frame(row, number, digest, dts_ns)
        last, skipped = self._last, self._skipped
        shown = key or (last is not None and continues(last, frame, self._provenance, skipped=skipped))
        if shown:
            self._last = frame
        self._skipped = not shown
        return shown


def hidden_rows(
    rows: Sequence[Gop], provenances: Mapping[int, Provenance], tables: Tables, own: str = ""
) -> list[Gop]:
    """Rows of a video that begin with no keyframe, and of which frames are not shown, by time. What comes
    before the first keyframe is not told.

    rows: with frames, without conflicts. tables: as for `choose`, with digests; asked for such rows and what
    lies around them. own: as for `choose`.
    """
    knots = [knot for knot in _knots(rows) if any(not row.flags & GopFlag.KEY for row in knot)]
    if not knots:
        return []
    known: dict[int, FrameTable] = {}

    def table(row: Gop) -> FrameTable:
        if row.serial not in known:
            known[row.serial] = tables(row)
        return known[row.serial]

    shown = {
        choice.gop.serial: choice
        for choice in choose([row for knot in knots for row in knot], provenances, own, table)
    }
    found: list[Gop] = []
    for knot in knots:
        choices = [shown[row.serial] for row in knot if row.serial in shown]
        found += _hidden(choices, table, lambda row: provenances.get(row.provenance), knot is knots[0])
    return found


def _knots(rows: Sequence[Gop]) -> Iterator[list[Gop]]:
    """Rows by time, in runs; each run begins at a keyframe, behind all frames of the one before."""
    knot: list[Gop] = []
    last_ns = 0
    for row in sorted(rows, key=lambda row: (row.start_ns, row.serial)):
        if knot and row.flags & GopFlag.KEY and row.start_ns > last_ns:
            yield knot
            knot = []
        end_ns = row.end_ns - (row.interval_ns * 3 // 4 or 1)
        last_ns = max(last_ns, end_ns) if knot else end_ns
        knot.append(row)
    if knot:
        yield knot


def _hidden(
    choices: Sequence[Choice],
    tables: Tables,
    provenance: Callable[[Gop], Provenance | None],
    first: bool,
) -> list[Gop]:
    """Rows of a run of which frames are not shown. first: no keyframe comes before it."""
    frames = [primary(tables(choice.gop)) for choice in choices]
    ends = [choice.end_ns if choice.end_ns < choice.gop.end_ns else _EVER_NS for choice in choices]
    order = play_order(frames, ends)
    if not len(order):
        return []
    starts = np.cumsum([0, *map(len, frames[:-1])])
    at = starts[order[:, 0]] + order[:, 1]
    played = np.concatenate(frames)[at]
    key = played["flags"] & FrameFlag.KEY != 0
    meets = np.flatnonzero(~key[1:] & (order[1:, 0] != order[:-1, 0])).tolist()

    def frame(number: int) -> Frame:
        row, place = order[number].tolist()
        each = played[number]
        return Frame(choices[row].gop, place, int(each["digest"]), int(each["dts_ns"]))

    if key[0] and all(continues(frame(each), frame(each + 1), provenance) for each in meets):
        return []
    chain, hidden = Chain(provenance), set[int]()
    for (row, _), digest, dts_ns, is_key in zip(
        order.tolist(), played["digest"].tolist(), played["dts_ns"].tolist(), key.tolist(), strict=True
    ):
        begun = chain.started or not first
        if not chain.shows(choices[row].gop, digest, dts_ns, key=is_key) and begun:
            hidden.add(row)
    return [choices[row].gop for row in sorted(hidden) if not choices[row].gop.flags & GopFlag.KEY]


def stretches_of(hidden: Sequence[Gop]) -> list[tuple[int, int]]:
    """Where such rows lie, [start, end); those that follow each other are one."""
    found: list[tuple[int, int]] = []
    for row in hidden:
        end_ns = row.end_ns if row.interval_ns else row.end_ns + DEFAULT_INTERVAL_NS
        if found and row.start_ns <= found[-1][1] + _reach_ns(row):
            found[-1] = found[-1][0], max(found[-1][1], end_ns)
        else:
            found.append((row.start_ns, end_ns))
    return found


def held(
    rows: Sequence[Gop], provenances: Mapping[int, Provenance], tables: Tables, own: str = ""
) -> list[tuple[int, int]]:
    """Where rows of a video hold frames that are not shown, [start, end) by time. As hidden_rows."""
    return stretches_of(hidden_rows(rows, provenances, tables, own))


def _reach_ns(row: Gop) -> int:
    return REORDERED * (row.interval_ns or DEFAULT_INTERVAL_NS)
