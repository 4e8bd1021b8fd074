"""Manifest: what a timeline holds of one stream, as the planner sees it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import compress, pairwise
from typing import TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt

from fovideo.errors import NoSuchStream
from fovideo.media.codec import VIDEO_TRACK
from fovideo.media.frames import FrameTable, joined, picked
from fovideo.merge import _rows
from fovideo.segment import decode_table, decode_tables
from fovideo.timeline.endpoint import Timeline
from fovideo.timeline.values import Gop, Provenance, Splice
from fovideo.times import NS_PER_MS, NS_PER_S

Columns: TypeAlias = npt.NDArray[np.int64]

_REACH_NS = 600 * NS_PER_S
SAME_CLOCK_NS = 250 * NS_PER_MS
"""Rows of one epoch whose shifts differ by more were merged in against different clocks."""


@dataclass(frozen=True)
class Run:
    """Rows of one session and epoch: footage on one clock. places: into Manifest.rows, in decode order."""

    session: str
    epoch: int
    provenance: Provenance
    places: tuple[int, ...]


@dataclass(frozen=True)
class Manifest:
    """One stream of one timeline. A pure value, but for tables that are unpacked when first asked for.

    rows: by (start_ns, serial). generation: as in StreamInfo; 0 for a stream that is not there.
    primary: id of the track that counts as "frames".
    """

    identity: str
    stream: str
    rows: tuple[Gop, ...] = ()
    provenances: Mapping[int, Provenance] = field(default_factory=dict)
    generation: int = 0
    live_edge_ns: int = 0
    primary: int = VIDEO_TRACK
    _tables: dict[int, FrameTable] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def columns(self) -> Columns:
        """The rows as numbers, shape (rows, _rows.COLUMNS), each column in one piece."""
        table = np.zeros((len(self.rows), _rows.COLUMNS), np.int64, "F")
        _rows.columns(self.rows, table)
        return table

    @cached_property
    def longest_ns(self) -> int:
        """No row covers more."""
        return int((self.columns[:, _rows.END] - self.columns[:, _rows.START]).max(initial=0))

    def stored(self, place: int) -> FrameTable:
        """Frame table of a row, stored times."""
        table = self._tables.get(place)
        if table is None:
            table = self._tables[place] = decode_table(self.rows[place].table)
        return table

    def shown(self, place: int) -> FrameTable:
        """Its frames of the primary track, stored times."""
        frames = self.stored(place)
        return picked(frames, frames["track"] == self.primary)

    def unpack(self, places: Iterable[int]) -> None:
        """Have the frame tables of these rows ready, unpacked all at once."""
        wanted = [place for place in places if place not in self._tables]
        self._tables.update(
            zip(wanted, decode_tables([self.rows[each].table for each in wanted]), strict=True)
        )

    def joined(self, places: Sequence[int]) -> FrameTable:
        """Frame tables of rows, one behind the other, stored times."""
        self.unpack(places)
        return joined(self._tables[place] for place in places)

    def effective(self, places: Sequence[int]) -> FrameTable:
        """The same, effective times."""
        frames = self.joined(places)
        shifts = np.array([self.rows[place].shift_ns for place in places], np.int64)
        if shifts.any():
            shifts = np.repeat(shifts, [len(self._tables[place]) for place in places])
            frames["time_ns"] += shifts
            frames["dts_ns"] += shifts
        return frames

    def provenance(self, place: int) -> Provenance:
        return self.provenances[self.rows[place].provenance]

    def by_provenance(self, places: Sequence[int], number: Callable[[Provenance], int]) -> Columns:
        """A number of each row's provenance."""
        values, at = np.unique(self.columns[places, _rows.PROVENANCE], return_inverse=True)
        return np.array([number(self.provenances[each]) for each in values.tolist()], np.int64)[at]

    def is_conflict(self, place: int) -> bool:
        return bool(self.provenance(place).splice & Splice.CONFLICT)

    def counted_by(self, primary: int) -> Manifest:
        """The same beside a timeline whose frames are those of another track: rows without any have none."""
        if primary >= self.primary or not self.rows:
            return self
        self.unpack(range(len(self.rows)))
        rows = (
            msgspec.structs.replace(row, frames=int(np.count_nonzero(self.stored(at)["track"] == primary)))
            for at, row in enumerate(self.rows)
        )
        return replace(self, primary=primary, rows=tuple(rows))

    def only(self, kept: npt.NDArray[np.bool_]) -> Manifest:
        """Some of the rows. kept: one entry a row."""
        at = np.cumsum(kept) - 1
        tables = {int(at[place]): table for place, table in self._tables.items() if kept[place]}
        made = replace(self, rows=tuple(compress(self.rows, kept.tolist())), _tables=tables)
        if "columns" in self.__dict__:
            made.__dict__["columns"] = np.asfortranarray(self.columns[kept])
        return made

    @cached_property
    def _runs(self) -> list[Run]:
        found: dict[tuple[str, int], list[list[int]]] = {}
        table = self.columns
        differs = np.ones(len(table), bool)
        told = table[:, [_rows.PROVENANCE, _rows.EPOCH, _rows.SHIFT]]
        differs[1:] = (told[1:] != told[:-1]).any(axis=1)
        for start, stop in pairwise([*np.flatnonzero(differs).tolist(), len(table)]):
            row = self.rows[start]
            session = self.provenances[row.provenance].session or f"#{row.provenance}"
            runs = found.setdefault((session, row.epoch), [])
            for run in runs:
                if abs(self.rows[run[-1]].shift_ns - row.shift_ns) <= SAME_CLOCK_NS:
                    run.extend(range(start, stop))
                    break
            else:
                runs.append(list(range(start, stop)))
        made = [
            Run(session, epoch, self.provenance(run[0]), tuple(run))
            for (session, epoch), runs in found.items()
            for run in runs
        ]
        return sorted(made, key=lambda run: run.places[0])

    def runs(self) -> list[Run]:
        """Rows by session, epoch and how far they were moved, in order of their first row."""
        return self._runs


def load_manifest(
    timeline: Timeline,
    stream: str,
    from_ns: int | None = None,
    to_ns: int | None = None,
    *,
    neighbours: bool = False,
) -> Manifest:
    """What a timeline holds of a stream from..to; an empty manifest if it lacks the stream.

    neighbours: also what comes next on either side, however far, so that gaps at the edges end where they do.
    The generation is read first: rows that change afterwards make an insertion raise PlanStale.
    """
    info = next((each for each in timeline.streams() if each.name == stream), None)
    if info is None:
        return Manifest(timeline.identity, stream)
    try:
        rows = list(timeline.gops(stream, from_ns, to_ns))
        if neighbours and from_ns is not None and (not rows or rows[0].start_ns > from_ns):
            rows = [*_next_before(timeline, stream, from_ns, info.start_ns), *rows]
        if neighbours and to_ns is not None and (not rows or rows[-1].end_ns < to_ns):
            rows += _next_after(timeline, stream, to_ns, info.end_ns)
        provenances = timeline.provenances(stream)
    except NoSuchStream:
        return Manifest(timeline.identity, stream)
    return Manifest(
        identity=timeline.identity,
        stream=stream,
        rows=tuple(rows),
        provenances=provenances,
        generation=info.generation,
        live_edge_ns=info.live_edge_ns,
        primary=min((track.id for track in info.tracks), default=VIDEO_TRACK),
    )


def _next_before(timeline: Timeline, stream: str, at_ns: int, start_ns: int) -> list[Gop]:
    """Rows before an instant, up to the next ones; looking ever further back."""
    reach_ns = _REACH_NS
    while at_ns > start_ns:
        rows = [row for row in timeline.gops(stream, at_ns - reach_ns, at_ns) if row.end_ns <= at_ns]
        if rows:
            return rows
        at_ns, reach_ns = at_ns - reach_ns, reach_ns * 2
    return []


def _next_after(timeline: Timeline, stream: str, at_ns: int, end_ns: int) -> list[Gop]:
    reach_ns = _REACH_NS
    while at_ns < end_ns:
        rows = [row for row in timeline.gops(stream, at_ns, at_ns + reach_ns) if row.start_ns >= at_ns]
        if rows:
            return rows
        at_ns, reach_ns = at_ns + reach_ns, reach_ns * 2
    return []
