"""Outlook: what is still missing in the target once a plan is carried out. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
import numpy as np

from fovideo.media.frames import FrameTable
from fovideo.merge.manifest import Manifest
from fovideo.merge.stretch import shift_at_target_ns
from fovideo.merge.values import Kind, PlannedStretch, Span
from fovideo.timeline import effective, gaps
from fovideo.timeline.values import Gop, GopFlag, Loss


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
    rows = [row for place, row in enumerate(target.rows) if not target.is_conflict(place)]
    places = {row.serial: place for place, row in enumerate(target.rows)}
    by_serial = {row.serial: place for place, row in enumerate(source.rows)}
    for stretch in stretches:
        if stretch.kind is not Kind.FILL:
            continue
        for piece in stretch.pieces:
            if not piece.frames:
                continue
            place = by_serial[piece.serial]
            row = source.rows[place]
            shift_ns = shift_at_target_ns(row, stretch.shift_ns, stretch.provenance.correction)
            serial = -1 - len(rows)
            if piece.rows:
                table = source.stored(place)[list(piece.rows)]
                if piece.dts_ns:
                    table["dts_ns"] = piece.dts_ns
                table = effective(table, shift_ns)
                tables[serial] = table
                rows.append(_row_of(row, serial, table, source.primary))
            else:
                moved_ns = shift_ns - row.shift_ns
                if row.flags & (GopFlag.GAPS | GopFlag.KEY) != GopFlag.KEY:
                    tables[serial] = effective(source.stored(place), shift_ns)
                rows.append(
                    msgspec.structs.replace(
                        row, serial=serial, start_ns=row.start_ns + moved_ns, end_ns=row.end_ns + moved_ns
                    )
                )

    def frames_of(row: Gop) -> FrameTable:
        if row.serial in tables:
            return tables[row.serial]
        return target.effective([places[row.serial]])

    found = gaps(rows, losses, from_ns, to_ns, frames_of)
    return tuple(Span(gap.start_ns, gap.end_ns) for gap in found)


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
