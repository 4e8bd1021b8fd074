"""Stretches: cuts of source rows joined to what one insertion can carry. Pure.

A new stretch begins whenever anything changes that a segment file has only one of: source segment (and with
it tracks and base time), provenance, epoch, shift, the piece of the clock, and how its ends splice; and
behind a hole.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import msgspec
import numpy as np

from fovideo.merge import _rows
from fovideo.merge.footage import UNKNOWN_NS
from fovideo.merge.line import Index, Times
from fovideo.merge.manifest import Manifest
from fovideo.merge.placing.clock import Clock, combined, uncorrected_ns
from fovideo.merge.planning.lone import Between, alike
from fovideo.merge.planning.splice import Cut
from fovideo.merge.values import Kind, Piece, PlannedStretch, Span
from fovideo.timeline.links import packed, unpacked
from fovideo.timeline.values import Correction, Gop, Provenance, Splice
from fovideo.times import NS_PER_MS, NS_PER_S

Arrived: TypeAlias = tuple[int, bool, Times | None]
"""By how much the clock of the target's machine is ahead, and whether that is a guess; and for each frame
of a row how much later than it arrived it was received, where that was looked at.
"""

_NOBODY: Mapping[int, Arrived] = {}
_SOON_NS = 20 * NS_PER_MS  # a frame that waited no longer says when all arrived
_SAME_SHIFT_NS = 1000  # what rounding may make of one shift
_NOTHING: Between = {}
_MOST_NAMES = 512  # of links: every segment file tells them in its header
_LONGEST_PAUSE_NS = NS_PER_S  # players show a hole inside of a file as a pause


def shift_at_target_ns(row: Gop, shift_ns: int, correction: Correction) -> int:
    """What the target will add to the stored times of a source row: its shift, and the correction of its
    start.
    """
    return shift_ns + correction.shift_ns(row.start_ns - row.shift_ns + shift_ns)


@dataclass
class _Open:
    """A stretch that still grows. span: of its pieces, in target time. end_ns: of its last row. apart_ns: by
    how much the clock of the target's machine is ahead. late_ns: as of Footage, of the frame that waited
    least, or of one that did not wait.
    """

    key: tuple[object, ...]
    kind: Kind
    provenance: Provenance
    epoch: int
    shift_ns: int
    correction: Correction
    pieces: list[Piece] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)
    follows: bool = False
    end_ns: int = 0
    leads: bool | None = None
    names: set[int] = field(default_factory=set)
    apart_ns: int | None = None
    late_ns: int = UNKNOWN_NS
    guessed: bool = False

    def arrives(
        self, apart_ns: int, guessed: bool, late_ns: Times | None = None, rows: Index | None = None
    ) -> None:
        """Take what is known of the frames of a row. rows: only of these."""
        self.apart_ns, self.guessed = apart_ns, guessed
        if late_ns is not None and not self._is_told():
            self.late_ns = min(self.late_ns, int((late_ns if rows is None else late_ns[rows]).min()))

    def _is_told(self) -> bool:
        return abs(self.late_ns + (self.provenance.ahead_ns or 0)) <= _SOON_NS

    @property
    def ahead_ns(self) -> int | None:
        """As of its provenance in the target."""
        if self.apart_ns is None:
            return None
        if self.late_ns == UNKNOWN_NS or self._is_told():
            return self.apart_ns + (self.provenance.ahead_ns or 0)
        return self.apart_ns - self.late_ns


def build_stretches(
    source: Manifest,
    cuts: Iterable[Cut],
    clocks: Mapping[int, Clock],
    moved: Mapping[int, Times],
    now_ns: int,
    lease: int,
    between: Between = _NOTHING,
    arrived: Mapping[int, Arrived] = _NOBODY,
) -> list[PlannedStretch]:
    """Stretches of the cuts, by time. clocks, moved: by place of the row; moved: decode times of its
    frames, where they differ from the stored ones. between: rows that the source holds besides, and that are
    inserted as they stand, each on the clock of the row behind which they belong. arrived: by place, what
    is known of when the frames of a row did.
    """
    builder = _Builder(source, clocks, moved, arrived)
    for cut in cuts:
        builder.add(cut)
        if cut.place in between:
            builder.add_whole(cut.place, between[cut.place])
    made = [_closed(source, stretch, now_ns, lease) for stretch in builder.all()]
    return sorted(made, key=lambda stretch: (stretch.span.from_ns, stretch.span.to_ns, stretch.kind))


@dataclass
class _Builder:
    source: Manifest
    clocks: Mapping[int, Clock]
    moved: Mapping[int, Times]
    arrived: Mapping[int, Arrived]
    _done: list[_Open] = field(default_factory=list)
    _going: dict[tuple[object, ...], _Open] = field(default_factory=dict)

    def add(self, cut: Cut) -> None:
        row = self.source.rows[cut.place]
        number, *after = self.clocks[cut.place].piece(row.start_ns)
        if cut.rows is not None or cut.place in self.moved or row.serial < 0:
            # The target may join such pieces to one row, and takes the drift at the start of that.
            number, *after = (number, self.clocks[cut.place].offset_at(row.start_ns))
        made = self._lane(cut.place, row, cut.kind, (number, *after), cut.leads)
        made.pieces.append(_piece(self.source, cut, self.moved))
        made.spans.append(_span(self.source, cut, made.shift_ns, made.correction))
        made.follows = made.follows or cut.follows
        made.names.update(cut.names)
        made.end_ns = row.end_ns
        if cut.place in self.arrived:
            made.arrives(*self.arrived[cut.place], cut.rows)

    def add_whole(self, place: int, rows: tuple[Gop, ...]) -> None:
        """Rows that follow the one at a place, of its session and on its clock."""
        for part in alike(rows, self.clocks[place]):
            first, last = part[0], part[-1]
            made = self._lane(place, first, Kind.FILL, self.clocks[place].piece(first.start_ns), False)
            made.pieces.extend(_whole(part))
            made.spans += [_span_of(each, made.shift_ns, made.correction) for each in (first, last)]
            made.end_ns = last.end_ns
            if place in self.arrived:
                made.arrives(*self.arrived[place][:2])

    def all(self) -> list[_Open]:
        return [*self._done, *self._going.values()]

    def _lane(self, place: int, row: Gop, kind: Kind, piece: tuple[int, ...], leads: bool | None) -> _Open:
        """The stretch that takes what comes next of a session. place: of a row of the same provenance."""
        provenance = self.source.provenance(place)
        before_ns = uncorrected_ns(row.start_ns, provenance.correction)
        shift_ns = row.shift_ns - (row.start_ns - before_ns)
        key = (row.segment, row.provenance, row.epoch, *piece)
        lane = (provenance.session, row.epoch, kind)
        last = self._going.get(lane)
        clashing = last is not None and None not in (leads, last.leads) and leads != last.leads
        apart = last is not None and row.start_ns - last.end_ns > _LONGEST_PAUSE_NS
        other = last is None or last.key != key or abs(last.shift_ns - shift_ns) > _SAME_SHIFT_NS
        full = last is not None and len(last.names) >= _MOST_NAMES
        if last is None or other or clashing or apart or full:
            if last is not None:
                self._done.append(last)
            correction = combined(provenance.correction, Correction(*piece[1:]))
            last = self._going[lane] = _Open(key, kind, provenance, row.epoch, shift_ns, correction)
        last.leads = leads if last.leads is None else last.leads
        return last


def _closed(source: Manifest, made: _Open, now_ns: int, lease: int) -> PlannedStretch:
    splice = (
        Splice.NAMED
        | (Splice.FOLLOWS if made.kind is Kind.FILL and made.follows else 0)
        | (Splice.LEADS if made.kind.is_shown and made.leads else 0)
        | (0 if made.kind.is_shown else Splice.CONFLICT)
        | (Splice.DOUBTFUL if made.kind is Kind.DOUBTFUL else 0)
        | (Splice.GUESSED if made.guessed else 0)
        | (made.provenance.splice & (Splice.CONFLICT | Splice.DOUBTFUL | Splice.GUESSED))
    )
    provenance = msgspec.structs.replace(
        made.provenance,
        inserted_from=source.identity,
        inserted_ns=now_ns,
        lease=lease or made.provenance.lease,
        correction=made.correction,
        splice=splice,
        ahead_ns=made.ahead_ns,
        links=packed(made.names | unpacked(made.provenance.links)),
    )
    return PlannedStretch(
        kind=made.kind,
        provenance=provenance,
        shift_ns=made.shift_ns,
        epoch=made.epoch,
        span=Span(min(span.from_ns for span in made.spans), max(span.to_ns for span in made.spans)),
        pieces=tuple(made.pieces),
    )


def _span(source: Manifest, cut: Cut, shift_ns: int, correction: Correction) -> Span:
    row = source.rows[cut.place]
    if cut.rows is None:
        return _span_of(row, shift_ns, correction)
    shift_ns = shift_at_target_ns(row, shift_ns, correction)
    times = source.stored(cut.place)["time_ns"][cut.rows]
    return Span(int(times.min()) + shift_ns, int(times.max()) + shift_ns + row.interval_ns)


def _span_of(row: Gop, shift_ns: int, correction: Correction) -> Span:
    moved_ns = shift_at_target_ns(row, shift_ns, correction) - row.shift_ns
    return Span(row.start_ns + moved_ns, row.end_ns + moved_ns)


def _whole(rows: Sequence[Gop]) -> list[Piece]:
    table = np.zeros((len(rows), _rows.COLUMNS), np.int64, "F")
    _rows.columns(rows, table)
    others = (table[:, _rows.SAMPLES] - table[:, _rows.FRAMES]).tolist()
    return [
        Piece(row.serial, (), row.frames, more, row.size_bytes)
        for row, more in zip(rows, others, strict=True)
    ]


def _piece(source: Manifest, cut: Cut, moved: Mapping[int, Times]) -> Piece:
    row = source.rows[cut.place]
    dts_ns = moved.get(cut.place) if cut.kind.is_shown else None
    if cut.rows is None and dts_ns is None:
        return _whole([row])[0]
    stored = source.stored(cut.place)
    rows = np.arange(len(stored)) if cut.rows is None else cut.rows
    frames = stored[rows]
    primary = int(np.count_nonzero(frames["track"] == source.primary))
    return Piece(
        serial=row.serial,
        rows=tuple(rows.tolist()),
        frames=primary,
        others=len(frames) - primary,
        size_bytes=int(frames["size"].sum()),
        dts_ns=() if dts_ns is None else tuple(dts_ns[rows].tolist()),
    )
