"""Rows of the source that go on where the target's clock steps, as two. Pure.

A row goes to one place. Where the target has some frames of it in one session and some in the next, far from
each other, what it lacks of it belongs beside the ones or the others.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from itertools import pairwise

import msgspec
import numpy as np

from fovideo.media.frames import FrameFlag, picked
from fovideo.merge.line import Index
from fovideo.merge.manifest import SAME_CLOCK_NS, Manifest
from fovideo.merge.placing.clock import Clock
from fovideo.merge.placing.runs import Placement
from fovideo.merge.planning.lone import Between
from fovideo.merge.states import THERE
from fovideo.merge.values import PlannedStretch
from fovideo.segment import encode_table
from fovideo.timeline.values import Gop, GopFlag


@dataclass(frozen=True)
class Parts:
    """Rows that were divided. whole: by serial of a part (below 0), the serial of the row and rows of its
    frame table.
    """

    whole: dict[int, tuple[int, Index]] = field(default_factory=dict)

    def put_back(self, stretch: PlannedStretch) -> PlannedStretch:
        """A stretch with frames of rows instead of parts."""
        pieces = []
        for piece in stretch.pieces:
            if piece.serial in self.whole:
                serial, rows = self.whole[piece.serial]
                chosen = rows[list(piece.rows)] if piece.rows else rows
                piece = msgspec.structs.replace(piece, serial=serial, rows=tuple(chosen.tolist()))
            pieces.append(piece)
        return msgspec.structs.replace(stretch, pieces=tuple(pieces)) if self.whole else stretch

    def rows_of(self, serials: set[int]) -> set[int]:
        """Of rows and parts, the rows that are there whole."""
        lacking = {serial for part, (serial, _) in self.whole.items() if part not in serials}
        rows = {serial for serial, _ in self.whole.values()}
        return (serials - self.whole.keys()) | (rows - lacking)


def divided(source: Manifest, placement: Placement, between: Between) -> tuple[Manifest, Between, Parts]:
    """The source with such rows in parts. between: as in lone; their places change."""
    parts: dict[int, list[Index]] = {}
    for placed in placement.runs:
        offsets = [offset_ns for _, offset_ns in placed.clock.anchors]
        if not _steps(offsets):
            continue
        for place, states in placed.states.items():
            found = _parts(source, place, placed.clock) if (states == THERE).any() else []
            if len(found) > 1:
                parts[place] = found
    if not parts:
        return source, between, Parts()
    whole: dict[int, tuple[int, Index]] = {}
    rows: list[tuple[Gop, int]] = []
    for place, row in enumerate(source.rows):
        if place not in parts:
            rows.append((row, place))
        for chosen in parts.get(place, ()):
            serial = -1 - len(whole)
            whole[serial] = row.serial, chosen
            rows.append((_part(source, place, chosen, serial), place))
    rows.sort(key=lambda each: (each[0].start_ns, each[1]))
    now = {place: number for number, (_, place) in enumerate(rows)}
    made = replace(source, rows=tuple(row for row, _ in rows), _tables={})
    return made, {now[place]: each for place, each in between.items()}, Parts(whole)


def _steps(offsets_ns: Iterable[int]) -> list[int]:
    """Where neighbours are on other clocks: the number of the second."""
    return [
        number
        for number, (before, after) in enumerate(pairwise(offsets_ns), 1)
        if abs(after - before) > SAME_CLOCK_NS
    ]


def _parts(source: Manifest, place: int, clock: Clock) -> list[Index]:
    """Rows of the frame table of each part; cut where no frame behind is presented before one ahead."""
    row, frames = source.rows[place], source.stored(place)
    times = frames["time_ns"] + row.shift_ns
    shown = times[frames["track"] == source.primary]
    if not len(shown):
        return []
    least = np.minimum.accumulate(shown[::-1])[::-1]
    before = np.maximum.accumulate(shown)
    closed = least[np.append(True, least[1:] > before[:-1])]
    edges = closed[_steps(clock.offsets_at(closed).tolist())]
    number = np.searchsorted(edges, times, side="right")
    return [np.flatnonzero(number == each) for each in range(len(edges) + 1)]


def _part(source: Manifest, place: int, chosen: Index, serial: int) -> Gop:
    row, frames = source.rows[place], picked(source.stored(place), chosen)
    shown = frames[frames["track"] == source.primary]
    key = bool(shown["flags"][0] & FrameFlag.KEY)
    return msgspec.structs.replace(
        row,
        serial=serial,
        start_ns=int(shown["time_ns"].min()) + row.shift_ns,
        end_ns=int(shown["time_ns"].max()) + row.shift_ns + row.interval_ns,
        size_bytes=int(frames["size"].sum()),
        frames=len(shown),
        flags=(row.flags & ~GopFlag.KEY) | GopFlag.GAPS | (GopFlag.KEY if key else 0),
        table=encode_table(frames),
    )
