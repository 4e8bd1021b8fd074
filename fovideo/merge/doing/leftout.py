"""A saved plan without the rows of its source that cannot be read. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import groupby

import msgspec

from fovideo.merge.doing.order import Name, name_of, part_of
from fovideo.merge.doing.saved import reach
from fovideo.merge.manifest import Manifest
from fovideo.merge.planning.outlook import outlook
from fovideo.merge.values import Kind, Piece, Plan, PlannedStretch, Span, joined
from fovideo.timeline.cover import DEFAULT_INTERVAL_NS
from fovideo.timeline.values import Gop, GopFlag, Splice

_LOST, _CONTINUES_LOST = range(1, 3)


def without_rows(plan: Plan, source: Manifest, held: Manifest, lost: Collection[int]) -> Plan:
    """What is left of a plan, and what the target lacks and hides then.

    held: of the target now, of all that the plan reaches; the plan is of what it lacks. lost: serials. Frames
    that continue what is lost are kept, but not shown until something brings that.
    """
    if not lost:
        return plan
    rows = {row.serial: row for row in source.rows}
    fates = _fates(plan.stretches, rows, lost)
    stretches = [part for stretch in plan.stretches for part in _parts(stretch, rows, fates)]
    spans = joined(
        part_of(stretch, [piece], rows).span
        for stretch in plan.stretches
        for piece in stretch.pieces
        if name_of(piece) in fates and stretch.kind is Kind.FILL
    )
    missing, hidden = plan.missing, plan.held
    if spans:
        after = outlook(source, held, stretches, (), spans[0].from_ns, reach(plan).to_ns)
        missing = joined([*missing, *_common(after.missing, spans)])
        hidden = joined([*hidden, *after.held])
    return msgspec.structs.replace(
        plan,
        stretches=tuple(stretches),
        settled=tuple(serial for serial in plan.settled if serial not in lost),
        missing=missing,
        held=hidden,
    )


def _fates(
    stretches: Sequence[PlannedStretch], rows: Mapping[int, Gop], lost: Collection[int]
) -> dict[Name, int]:
    """Of the pieces that are lost, or continue one that is."""
    pieces = [(stretch, piece, rows[piece.serial]) for stretch in stretches for piece in stretch.pieces]
    pieces.sort(key=lambda each: (_session(each[0]), each[2].start_ns, each[2].serial))
    fates: dict[Name, int] = {}
    for _, session in groupby(pieces, lambda each: _session(each[0])):
        until_ns: int | None = None  # what continues the lost comes until then
        for _, piece, row in session:
            begins = row.flags & GopFlag.KEY or (piece.rows and piece.rows[0])  # or goes on with the target's
            if piece.serial in lost:
                fates[name_of(piece)] = _LOST
            elif begins or until_ns is None or row.start_ns > until_ns:
                until_ns = None
                continue
            else:
                fates[name_of(piece)] = _CONTINUES_LOST
            until_ns = row.end_ns + (row.interval_ns or DEFAULT_INTERVAL_NS)
    return fates


def _session(stretch: PlannedStretch) -> tuple[str, int]:
    return stretch.provenance.session, stretch.epoch


def _parts(
    stretch: PlannedStretch, rows: Mapping[int, Gop], fates: Mapping[Name, int]
) -> Iterator[PlannedStretch]:
    def fate_of(piece: Piece) -> int:
        return fates.get(name_of(piece), 0)

    if not any(map(fate_of, stretch.pieces)):
        yield stretch
        return
    for fate, run in groupby(stretch.pieces, fate_of):
        pieces = list(run)
        if fate == _LOST:
            continue
        made = part_of(stretch, pieces, rows)
        splice = made.provenance.splice
        if pieces[-1] is not stretch.pieces[-1] and not any(piece.rows for piece in pieces):
            splice &= ~Splice.LEADS
        if fate == _CONTINUES_LOST and made.kind is Kind.FILL:
            made = msgspec.structs.replace(made, kind=Kind.HELD)
            splice &= ~Splice.FOLLOWS
        provenance = msgspec.structs.replace(made.provenance, splice=splice)
        yield msgspec.structs.replace(made, provenance=provenance)


def _common(spans: Sequence[Span], others: Sequence[Span]) -> list[Span]:
    return [
        Span(max(span.from_ns, other.from_ns), min(span.to_ns, other.to_ns))
        for span in spans
        for other in others
        if span.from_ns < other.to_ns and other.from_ns < span.to_ns
    ]
