"""Outlook: what is still missing in the target once a plan is carried out. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

import msgspec
import numpy as np

from fovideo.media.frames import FrameTable
from fovideo.merge import _rows
from fovideo.merge.common import follows, follows_at_once
from fovideo.merge.manifest import Manifest
from fovideo.merge.stretch import shift_at_target_ns
from fovideo.merge.values import Kind, PlannedStretch, Span
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
    places = {row.serial: place for place, row in enumerate(target.rows)}
    by_serial = {row.serial: place for place, row in enumerate(source.rows)}
    for stretch in stretches:
        if stretch.kind is not Kind.FILL:
            continue
        going: tuple[Gop, Gop] | None = None  # whole rows that follow each other are one, but for those
        inner = range(_ENDS, len(stretch.pieces) - _ENDS)  # at the ends, of which reordering is asked
        for number, piece in enumerate(stretch.pieces):
            if not piece.frames:
                continue
            place = by_serial[piece.serial]
            row = source.rows[place]
            if not piece.rows and is_plain(row) and number in inner:
                if going is not None and follows_at_once(going[1], row):
                    going = going[0], row
                    continue
                if going is not None:
                    rows.append(_moved(*going, -1 - len(rows), stretch))
                going = row, row
                continue
            shift_ns = shift_at_target_ns(row, stretch.shift_ns, stretch.provenance.correction)
            serial = -1 - len(rows)
            if piece.rows:
                table = source.stored(place)[list(piece.rows)]
                if piece.dts_ns:
                    table["dts_ns"] = piece.dts_ns
                table = effective(table, shift_ns)
                rows.append(_row_of(row, serial, table, source.primary))
                tables[serial] = table
                continue
            if not is_plain(row):
                tables[serial] = effective(source.stored(place), shift_ns)
            rows.append(_moved(row, row, serial, stretch))
        if going is not None:
            rows.append(_moved(*going, -1 - len(rows), stretch))

    def frames_of(row: Gop) -> FrameTable:
        if row.serial in tables:
            return tables[row.serial]
        return target.effective([places[row.serial]])

    found = gaps(rows, losses, from_ns, to_ns, frames_of)
    return tuple(Span(gap.start_ns, gap.end_ns) for gap in found)


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
    plain &= (table[:, _rows.FRAMES] > 0) & (table[:, _rows.INTERVAL] > 0)
    held = np.flatnonzero(table[:, _rows.FRAMES] > 0)
    plain[held[:_ENDS]] = plain[held[-_ENDS:]] = False
    joins = plain[1:] & plain[:-1] & follows(table)
    joins &= table[1:, _rows.INTERVAL] == table[:-1, _rows.INTERVAL]
    starts = np.flatnonzero(np.concatenate(([True], ~joins))[: len(table)]).tolist()
    return [
        target.rows[first]
        if behind == first + 1
        else msgspec.structs.replace(target.rows[first], end_ns=target.rows[behind - 1].end_ns)
        for first, behind in pairwise([*starts, len(table)])
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
