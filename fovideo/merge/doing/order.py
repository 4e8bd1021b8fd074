"""In which order a plan is carried out, and in how large steps. Pure.

A step is one insertion: durable and playable as soon as it is done. The order changes nothing about the
result, only what is there first.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import TypeAlias

import msgspec

from fovideo.merge.planning.stretch import shift_at_target_ns
from fovideo.merge.values import Piece, PlannedStretch, Span
from fovideo.timeline.values import Gop, GopFlag, StreamInfo
from fovideo.times import NS_PER_S

STEP_BYTES = 64 << 20
"""What one insertion brings at most, if its footage has keyframes."""

LOCAL_STEP_BYTES = 256 << 20
"""The same where the kernel copies it from file to file."""


_TURN_NS = 3600 * NS_PER_S
_MOST_TURNS = 48


class Order(StrEnum):
    """Which footage of a stream is inserted first; the newest of several streams hour by hour, of all in
    turn.
    """

    OLDEST = "oldest"
    NEWEST = "newest"


def turns(infos: Sequence[StreamInfo], order: Order) -> list[Span]:
    """What of several streams is merged before the rest of any: the last hour of all, then the hour before.

    infos: of the source, whose clock may be another one: what these spans miss is left for the end. Longer
    spans, where there would be very many.
    """
    held = [info for info in infos if info.frames]
    if order is not Order.NEWEST or len(held) < 2:
        return []
    start_ns, end_ns = min(info.start_ns for info in held), max(info.end_ns for info in held)
    turn_ns = max(_TURN_NS, (end_ns - start_ns) // _MOST_TURNS)
    return [Span(at_ns - turn_ns, at_ns) for at_ns in range(end_ns, start_ns + turn_ns, -turn_ns)]


def steps(
    stretches: Sequence[PlannedStretch],
    rows: Mapping[int, Gop],
    *,
    order: Order = Order.OLDEST,
    step_bytes: int = STEP_BYTES,
) -> list[PlannedStretch]:
    """The stretches, cut into steps and sorted. rows: of the source, by serial.

    A stretch is cut only in front of a whole GOP, which decodes without what lies before it, so every step
    is playable whether the one before is there or not.
    """
    cut = [step for stretch in stretches for step in _steps(stretch, rows, step_bytes)]
    cut.sort(key=lambda step: step.span.from_ns, reverse=order is Order.NEWEST)
    return cut


def _steps(stretch: PlannedStretch, rows: Mapping[int, Gop], step_bytes: int) -> Iterator[PlannedStretch]:
    taken: list[Piece] = []
    size_bytes = 0
    for piece in stretch.pieces:
        if taken and size_bytes + piece.size_bytes > step_bytes and _is_whole_gop(piece, rows):
            yield part_of(stretch, taken, rows)
            taken, size_bytes = [], 0
        taken.append(piece)
        size_bytes += piece.size_bytes
    if len(taken) == len(stretch.pieces):
        yield stretch
    else:
        yield part_of(stretch, taken, rows)


def _is_whole_gop(piece: Piece, rows: Mapping[int, Gop]) -> bool:
    return not piece.rows and bool(rows[piece.serial].flags & GopFlag.KEY)


def part_of(stretch: PlannedStretch, pieces: Sequence[Piece], rows: Mapping[int, Gop]) -> PlannedStretch:
    """Some of the pieces of a stretch. rows: of the source, by serial.

    If the last one is a part of a row, the span reaches to the end of that.
    """
    correction = stretch.provenance.correction
    starts, ends = [], []
    for piece in pieces:
        row = rows[piece.serial]
        moved_ns = shift_at_target_ns(row, stretch.shift_ns, correction) - row.shift_ns
        starts.append(row.start_ns + moved_ns)
        ends.append(row.end_ns + moved_ns)
    span = Span(max(min(starts), stretch.span.from_ns), min(max(ends), stretch.span.to_ns))
    return msgspec.structs.replace(stretch, pieces=tuple(pieces), span=span)


Name: TypeAlias = tuple[int, tuple[int, ...]]
"""Of a piece, within its plan."""


def name_of(piece: Piece) -> Name:
    return piece.serial, piece.rows


def parts_of(
    stretch: PlannedStretch, rows: Mapping[int, Gop], names: Collection[Name], *, inside: bool
) -> Iterator[PlannedStretch]:
    """The runs of its pieces that are among those of these names, or that are not."""
    for found, run in itertools.groupby(stretch.pieces, lambda piece: name_of(piece) in names):
        if found is inside:
            pieces = list(run)
            yield stretch if len(pieces) == len(stretch.pieces) else part_of(stretch, pieces, rows)


def recut(
    stretches: Sequence[PlannedStretch],
    left: Sequence[PlannedStretch],
    rows: Mapping[int, Gop],
    order: Order,
    step_bytes: int,
) -> list[PlannedStretch]:
    """What is left of the stretches of a plan, in steps of another size."""
    names = {name_of(piece) for step in left for piece in step.pieces}
    rest = [part for stretch in stretches for part in parts_of(stretch, rows, names, inside=True)]
    return steps(rest, rows, order=order, step_bytes=step_bytes)
