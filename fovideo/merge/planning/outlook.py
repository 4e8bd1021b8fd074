"""Outlook: what is still missing in the target, or not shown, once a plan is carried out. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from itertools import pairwise
from typing import NamedTuple

import msgspec
import numpy as np

from fovideo.media.codec import VIDEO_TRACK
from fovideo.media.frames import FrameFlag, FrameTable, picked
from fovideo.merge import _rows
from fovideo.merge.footage import meeting
from fovideo.merge.line import Mask
from fovideo.merge.manifest import Columns, Manifest
from fovideo.merge.planning.common import follows
from fovideo.merge.planning.stretch import shift_at_target_ns
from fovideo.merge.values import Kind, Piece, PlannedStretch, Span, joined
from fovideo.timeline import effective, gaps
from fovideo.timeline.cover import Tables
from fovideo.timeline.held import hidden_rows, stretches_of
from fovideo.timeline.values import Gop, GopFlag, Loss, Provenance, Splice
from fovideo.times import NS_PER_MS, NS_PER_S

_NEAR_NS = 2 * NS_PER_S
_ADJOIN_NS = 100 * NS_PER_MS
_ENDS = 2  # rows at either end that `gaps` asks whether frames are reordered


class Outlook(NamedTuple):
    """As Plan.missing, held and conflicts."""

    missing: tuple[Span, ...]
    held: tuple[Span, ...]
    conflicts: tuple[Span, ...]


def outlook(
    source: Manifest,
    target: Manifest,
    stretches: Iterable[PlannedStretch],
    losses: Sequence[Loss],
    from_ns: int | None,
    to_ns: int | None,
) -> Outlook:
    """Stretches without frames in the union, by the rules of the timeline; held and conflicting footage that
    merges brought fills none.
    """
    stretches = list(stretches)
    brings = [stretch for stretch in stretches if stretch.kind is Kind.FILL]
    provenances = dict(target.provenances)
    by_serial = {row.serial: place for place, row in enumerate(source.rows)} if brings else {}
    beginnings = _beginnings(source, target, brings, by_serial)
    rows = _joined(target, beginnings)
    made_of: dict[int, tuple[int, Piece, int]] = {}
    for number, stretch in enumerate(brings, 1):
        provenances[-number] = stretch.provenance
        pieces = [piece for piece in stretch.pieces if piece.frames]
        mine = [by_serial[piece.serial] for piece in pieces]
        for first, behind in _groups(source, stretch, pieces, mine, beginnings):
            row, last = source.rows[mine[first]], source.rows[mine[behind - 1]]
            piece, serial = pieces[first], -1 - len(rows)
            shift_ns = shift_at_target_ns(row, stretch.shift_ns, stretch.provenance.correction)
            made_of[serial] = mine[first], piece, shift_ns
            if piece.rows:
                made = _row_of(row, serial, _table(source, *made_of[serial]), source.primary)
            else:
                made = _moved(row, last, serial, stretch)
            rows.append(msgspec.structs.replace(made, provenance=-number))

    @cache
    def places() -> dict[int, int]:
        return {row.serial: place for place, row in enumerate(target.rows)}

    def frames_of(row: Gop) -> FrameTable:
        if row.serial in made_of:
            return _table(source, *made_of[row.serial])
        return target.effective([places()[row.serial]])

    hidden = _hidden(rows, provenances, frames_of, target.identity) if target.primary == VIDEO_TRACK else []
    brought = {row.serial for row in hidden if provenances[row.provenance].inserted_from}
    shown = [row for row in rows if row.serial not in brought] if brought else rows
    found = gaps(shown, losses, from_ns, to_ns, frames_of)
    held = [stretch.span for stretch in stretches if stretch.kind is Kind.HELD]
    held += [Span(*ends) for ends in stretches_of(hidden)]
    return Outlook(
        tuple(Span(gap.start_ns, gap.end_ns) for gap in found),
        _clipped(held, from_ns, to_ns),
        _clipped(_conflicts(target), from_ns, to_ns),
    )


def _hidden(
    rows: Sequence[Gop], provenances: Mapping[int, Provenance], frames_of: Tables, own: str
) -> list[Gop]:
    """Rows that are not shown."""
    filled = [row for row in rows if row.frames]
    if all(row.flags & GopFlag.KEY for row in filled):
        return []
    return hidden_rows(filled, provenances, frames_of, own)


def _differs(splice: int) -> bool:
    return splice & (Splice.CONFLICT | Splice.DOUBTFUL) == Splice.CONFLICT


def _conflicts(target: Manifest) -> list[Span]:
    numbers = [number for number, each in target.provenances.items() if _differs(each.splice)]
    if not numbers:
        return []
    table = target.columns[np.isin(target.columns[:, _rows.PROVENANCE], numbers)]
    return [Span(*ends) for ends in table[:, [_rows.START, _rows.END]].tolist()]


def _clipped(spans: Sequence[Span], from_ns: int | None, to_ns: int | None) -> tuple[Span, ...]:
    """Their parts within the window, those that adjoin as one."""
    inside = (
        Span(
            span.from_ns if from_ns is None else max(span.from_ns, from_ns),
            span.to_ns if to_ns is None else min(span.to_ns, to_ns),
        )
        for span in spans
    )
    return joined((span for span in inside if span.from_ns < span.to_ns), _ADJOIN_NS)


def _table(source: Manifest, place: int, piece: Piece, shift_ns: int) -> FrameTable:
    """The frames of a piece, in the target."""
    table = source.stored(place)
    if piece.rows:
        table = picked(table, np.array(piece.rows))
        if piece.dts_ns:
            table["dts_ns"] = piece.dts_ns
    return effective(table, shift_ns)


def _beginnings(
    source: Manifest, target: Manifest, brings: Iterable[PlannedStretch], by_serial: Mapping[int, int]
) -> Columns:
    """Where rows lie that may begin without a keyframe: start and end, by start. Around these it matters
    which frame is last.
    """
    table = target.columns
    spans = table[table[:, _rows.FLAGS] & GopFlag.KEY == 0][:, [_rows.START, _rows.END]].tolist()
    for stretch in brings:
        for piece in stretch.pieces:
            row = source.rows[by_serial[piece.serial]]
            if piece.rows or not row.flags & GopFlag.KEY:
                shift_ns = _shift_ns(row, stretch)
                spans.append([row.start_ns + shift_ns, row.end_ns + shift_ns])
    return np.array(sorted(spans), np.int64).reshape(-1, 2)


def _shift_ns(row: Gop, stretch: PlannedStretch) -> int:
    """What to add to the effective times of a row."""
    return shift_at_target_ns(row, stretch.shift_ns, stretch.provenance.correction) - row.shift_ns


def _groups(
    source: Manifest,
    stretch: PlannedStretch,
    pieces: Sequence[Piece],
    places: Sequence[int],
    beginnings: Columns,
) -> Iterable[tuple[int, int]]:
    """Pieces that become one row (first, behind the last): whole rows that follow each other. Not those at
    the ends, of which reordering is asked.
    """
    table = source.columns[places]
    plain = (table[:, _rows.FLAGS] & (GopFlag.GAPS | GopFlag.KEY)) == GopFlag.KEY
    plain &= np.fromiter((not piece.rows for piece in pieces), bool, len(pieces))
    plain[:_ENDS] = plain[len(pieces) - _ENDS :] = False
    if plain.any():
        plain &= ~_meets(table, beginnings - _shift_ns(source.rows[places[0]], stretch))
    return _stretches(table, plain)


def _meets(table: Columns, spans: Columns) -> Mask:
    """Which rows come near to any of the spans."""
    if not len(spans):
        return np.zeros(len(table), bool)
    return meeting(table[:, _rows.START], table[:, _rows.END], spans[:, 0], spans[:, 1], _NEAR_NS)


def _stretches(table: Columns, plain: Mask) -> Iterable[tuple[int, int]]:
    """First and behind the last of plain rows that follow each other, and were brought together: what may
    continue what is told of that. Each other row alone.
    """
    joins = np.diff(table[:, _rows.PROVENANCE]) == 0
    joins &= plain[1:] & plain[:-1] & follows(table) & (table[1:, _rows.INTERVAL] > 0)
    joins &= table[1:, _rows.INTERVAL] == table[:-1, _rows.INTERVAL]
    starts = np.flatnonzero(np.concatenate(([True], ~joins))[: len(table)]).tolist()
    return pairwise([*starts, len(table)])


def _joined(target: Manifest, beginnings: Columns) -> list[Gop]:
    """What the target shows, in fewer rows: whole ones that follow each other become one. Not those at
    the ends, and near rows that begin without a keyframe.
    """
    table = target.columns
    hidden = [number for number, each in target.provenances.items() if each.splice & Splice.CONFLICT]
    if hidden:
        target = target.only(~np.isin(table[:, _rows.PROVENANCE], hidden))
        table = target.columns
    plain = (table[:, _rows.FLAGS] & (GopFlag.GAPS | GopFlag.KEY)) == GopFlag.KEY
    plain &= table[:, _rows.FRAMES] > 0
    plain &= ~_meets(table, beginnings)
    held = np.flatnonzero(table[:, _rows.FRAMES] > 0)
    plain[held[:_ENDS]] = plain[held[-_ENDS:]] = False
    return [
        target.rows[first]
        if behind == first + 1
        else msgspec.structs.replace(target.rows[first], end_ns=target.rows[behind - 1].end_ns)
        for first, behind in _stretches(table, plain)
    ]


def _moved(first: Gop, last: Gop, serial: int, stretch: PlannedStretch) -> Gop:
    """Rows that follow each other, as one at its place in the target."""
    return msgspec.structs.replace(
        first,
        serial=serial,
        start_ns=first.start_ns + _shift_ns(first, stretch),
        end_ns=last.end_ns + _shift_ns(last, stretch),
    )


def _row_of(row: Gop, serial: int, table: FrameTable, primary: int) -> Gop:
    video = table[table["track"] == primary]
    last_ns = int(np.max(video["time_ns"]))
    key = GopFlag.KEY if video["flags"][0] & FrameFlag.KEY else 0
    return msgspec.structs.replace(
        row,
        serial=serial,
        start_ns=int(video["time_ns"][0]),
        end_ns=last_ns + row.interval_ns,
        frames=len(video),
        flags=row.flags & ~GopFlag.KEY | GopFlag.GAPS | key,
    )
