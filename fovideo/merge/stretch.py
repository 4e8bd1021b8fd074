"""Stretches: cuts of source rows joined to what one insertion can carry. Pure.

A new stretch begins whenever anything changes that a segment file has only one of: source segment (and with
it tracks and base time), provenance, epoch, shift, the piece of the clock, and how its ends splice; and
behind a hole.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import msgspec
import numpy as np

from fovideo.merge.clock import Clock, combined, uncorrected_ns
from fovideo.merge.line import Times
from fovideo.merge.manifest import Manifest
from fovideo.merge.splice import Cut
from fovideo.merge.values import Kind, Piece, PlannedStretch, Span
from fovideo.timeline.values import Correction, Gop, Provenance, Splice
from fovideo.times import NS_PER_S

_SAME_SHIFT_NS = 1000  # what rounding may make of one shift
_LONGEST_PAUSE_NS = NS_PER_S  # players show a hole inside of a file as a pause


def shift_at_target_ns(row: Gop, shift_ns: int, correction: Correction) -> int:
    """What the target will add to the stored times of a source row: its shift, and the correction of its
    start.
    """
    return shift_ns + correction.shift_ns(row.start_ns - row.shift_ns + shift_ns)


@dataclass
class _Open:
    key: tuple[object, ...]
    provenance: Provenance
    shift_ns: int
    correction: Correction
    cuts: list[Cut] = field(default_factory=list)
    end_ns: int = 0
    leads: bool | None = None


def build_stretches(
    source: Manifest,
    cuts: Iterable[Cut],
    clocks: Mapping[int, Clock],
    moved: Mapping[int, Times],
    now_ns: int,
    lease: int,
) -> list[PlannedStretch]:
    """Stretches of the cuts, by time. clocks, moved: by place of the row; moved: decode times of its
    frames, where they differ from the stored ones.
    """
    done: list[PlannedStretch] = []
    going: dict[tuple[object, ...], _Open] = {}
    for cut in cuts:
        row, provenance = source.rows[cut.place], source.provenance(cut.place)
        number, *after = clocks[cut.place].piece(row.start_ns)
        if cut.rows is not None or cut.place in moved:
            # The target may join such pieces to one row, and takes the drift at the start of that.
            number, *after = (number, clocks[cut.place].offset_at(row.start_ns))
        before_ns = uncorrected_ns(row.start_ns, provenance.correction)
        shift_ns = row.shift_ns - (row.start_ns - before_ns)
        key = (row.segment, row.provenance, row.epoch, number, *after)
        lane = (provenance.session, row.epoch, cut.kind)
        last = going.get(lane)
        clashing = last is not None and None not in (cut.leads, last.leads) and cut.leads != last.leads
        apart = last is not None and row.start_ns - last.end_ns > _LONGEST_PAUSE_NS
        other = last is None or last.key != key or abs(last.shift_ns - shift_ns) > _SAME_SHIFT_NS
        if last is None or other or clashing or apart:
            if last is not None:
                done.append(_close(source, lane[2], last, moved, now_ns, lease))
            correction = combined(provenance.correction, Correction(*after))
            last = going[lane] = _Open(key, provenance, shift_ns, correction)
        last.cuts.append(cut)
        last.end_ns = row.end_ns
        last.leads = cut.leads if last.leads is None else last.leads
    done.extend(_close(source, lane[2], last, moved, now_ns, lease) for lane, last in going.items())
    return sorted(done, key=lambda stretch: (stretch.span.from_ns, stretch.span.to_ns, stretch.kind))


def _close(
    source: Manifest, kind: object, made: _Open, moved: Mapping[int, Times], now_ns: int, lease: int
) -> PlannedStretch:
    follows = kind is Kind.FILL and any(cut.follows for cut in made.cuts)
    splice = (
        (Splice.FOLLOWS if follows else 0)
        | (Splice.LEADS if kind is not Kind.CONFLICT and made.leads else 0)
        | (Splice.CONFLICT if kind is Kind.CONFLICT else made.provenance.splice & Splice.CONFLICT)
    )
    provenance = msgspec.structs.replace(
        made.provenance,
        inserted_from=source.identity,
        inserted_ns=now_ns,
        lease=lease or made.provenance.lease,
        correction=made.correction,
        splice=splice,
    )
    spans = [_span(source, cut, made.shift_ns, made.correction) for cut in made.cuts]
    return PlannedStretch(
        kind=Kind(str(kind)),
        provenance=provenance,
        shift_ns=made.shift_ns,
        epoch=source.rows[made.cuts[0].place].epoch,
        span=Span(min(span.from_ns for span in spans), max(span.to_ns for span in spans)),
        pieces=tuple(_piece(source, cut, moved) for cut in made.cuts),
    )


def _span(source: Manifest, cut: Cut, shift_ns: int, correction: Correction) -> Span:
    row = source.rows[cut.place]
    shift_ns = shift_at_target_ns(row, shift_ns, correction)
    if cut.rows is None:
        return Span(row.start_ns - row.shift_ns + shift_ns, row.end_ns - row.shift_ns + shift_ns)
    times = source.stored(cut.place)["time_ns"][cut.rows]
    return Span(int(times.min()) + shift_ns, int(times.max()) + shift_ns + row.interval_ns)


def _piece(source: Manifest, cut: Cut, moved: Mapping[int, Times]) -> Piece:
    row = source.rows[cut.place]
    dts_ns = moved.get(cut.place) if cut.kind is not Kind.CONFLICT else None
    if cut.rows is None and dts_ns is None:
        return Piece(row.serial, (), row.frames, 0, row.size_bytes)
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
