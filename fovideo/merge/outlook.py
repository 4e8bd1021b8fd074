"""Outlook: what is still missing in the target once a plan is carried out. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from itertools import pairwise

import msgspec
import numpy as np

from fovideo.media.frames import FrameTable, picked
from fovideo.merge import _rows
from fovideo.merge.common import follows
from fovideo.merge.line import Mask
from fovideo.merge.manifest import Columns, Manifest
from fovideo.merge.stretch import shift_at_target_ns
from fovideo.merge.values import Kind, Piece, PlannedStretch, Span
from fovideo.timeline import effective, gaps
from fovideo.timeline.cover import is_plain
from fovideo.timeline.values import Gop, GopFlag, Loss, Splice

_ENDS = 2  # rows at either end that `gaps` asks whether frames are reordered


def missing_after(
    source: Manifest,
    target: Manifest,
    stretches: Iterable[PlannedStretch],
    losses: Sequence[Loss],
    from_ns: int | None,
    to_ns: int | None,
) -> tuple[Span, ...]:
    """Stretches without frames in the union, by the rules of the timeline; held and conflicting footage fills
    none.
    """
    tables: dict[int, FrameTable] = {}
    rows = _joined(target)
    brings = [stretch for stretch in stretches if stretch.kind is Kind.FILL]
    by_serial = {row.serial: place for place, row in enumerate(source.rows)} if brings else {}
    for stretch in brings:
        pieces = [piece for piece in stretch.pieces if piece.frames]
        mine = [by_serial[piece.serial] for piece in pieces]
        for first, behind in _groups(source, pieces, mine):
            row, last = source.rows[mine[first]], source.rows[mine[behind - 1]]
            piece, serial = pieces[first], -1 - len(rows)
            if piece.rows or not is_plain(row):
                shift_ns = shift_at_target_ns(row, stretch.shift_ns, stretch.provenance.correction)
                table = source.stored(mine[first])
                if piece.rows:
                    table = picked(table, np.array(piece.rows))
                    if piece.dts_ns:
                        table["dts_ns"] = piece.dts_ns
                tables[serial] = effective(table, shift_ns)
            if piece.rows:
                rows.append(_row_of(row, serial, tables[serial], source.primary))
            else:
                rows.append(_moved(row, last, serial, stretch))

    @cache
    def places() -> dict[int, int]:
        return {row.serial: place for place, row in enumerate(target.rows)}

    def frames_of(row: Gop) -> FrameTable:
        if row.serial in tables:
            return tables[row.serial]
        return target.effective([places()[row.serial]])

    found = gaps(rows, losses, from_ns, to_ns, frames_of)
    return tuple(Span(gap.start_ns, gap.end_ns) for gap in found)


def _groups(source: Manifest, pieces: Sequence[Piece], places: Sequence[int]) -> Iterable[tuple[int, int]]:
    """Pieces that become one row (first, behind the last): whole rows that follow each other. Not those at
    the ends, of which reordering is asked.
    """
    table = source.columns[places]
    plain = (table[:, _rows.FLAGS] & (GopFlag.GAPS | GopFlag.KEY)) == GopFlag.KEY
    plain &= np.fromiter((not piece.rows for piece in pieces), bool, len(pieces))
    plain[:_ENDS] = plain[len(pieces) - _ENDS :] = False
    return _stretches(table, plain)


def _stretches(table: Columns, plain: Mask) -> Iterable[tuple[int, int]]:
    """First and behind the last of plain rows that follow each other; each other row alone."""
    joins = plain[1:] & plain[:-1] & follows(table) & (table[1:, _rows.INTERVAL] > 0)
    joins &= table[1:, _rows.INTERVAL] == table[:-1, _rows.INTERVAL]
    starts = np.flatnonzero(np.concatenate(([True], ~joins))[: len(table)]).tolist()
    return pairwise([*starts, len(table)])


def _joined(target: Manifest) -> list[Gop]:
    """What the target shows, in fewer rows: whole ones that follow each other become one. Not those at
    the ends.
    """
    table = target.columns
    hidden = [number for number, each in target.provenances.items() if each.splice & Splice.CONFLICT]
    if hidden:
        target = target.only(~np.isin(table[:, _rows.PROVENANCE], hidden))
        table = target.columns
    plain = (table[:, _rows.FLAGS] & (GopFlag.GAPS | GopFlag.KEY)) == GopFlag.KEY
    plain &= table[:, _rows.FRAMES] > 0
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
    ends = [
        (row, shift_at_target_ns(row, stretch.shift_ns, stretch.provenance.correction) - row.shift_ns)
        for row in (first, last)
    ]
    return msgspec.structs.replace(
        first, serial=serial, start_ns=first.start_ns + ends[0][1], end_ns=last.end_ns + ends[1][1]
    )


def _row_of(row: Gop, serial: int, table: FrameTable, primary: int) -> Gop:
    video = table[table["track"] == primary]
    last_ns = int(np.max(video["time_ns"]))
    return msgspec.structs.replace(
        row,
        serial=serial,
        start_ns=int(video["time_ns"][0]),
        end_ns=last_ns + row.interval_ns,
        frames=len(video),
        flags=row.flags | GopFlag.GAPS,
    )
