"""Spans: uninterrupted coverage, by who recorded it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from fovideo.timeline.cover import Tables, breaks, covers
from fovideo.timeline.values import Gop, Provenance, Span


def spans(
    rows: Sequence[Gop], provenances: Mapping[int, Provenance], tables: Tables | None = None
) -> list[Span]:
    """Uninterrupted coverage by each provenance label, sorted by start. Every frame counts in one span.

    Spans of different labels may overlap: where two recorders hold different content, and where a recorder
    filled single frames into another's footage. tables: as for `covers`; without it holes inside a row are
    not seen.
    """
    cover = covers(rows, tables)
    labels = [provenances[row.provenance].label if row.provenance in provenances else "?" for row in rows]
    names = sorted(set(labels))
    codes = {name: code for code, name in enumerate(names)}
    by_row = np.fromiter((codes[label] for label in labels), dtype=np.int64, count=len(labels))
    label_of = by_row[cover["row"]] if len(cover) else np.zeros(0, dtype=np.int64)
    result: list[Span] = []
    for code, name in enumerate(names):
        mine = cover[label_of == code]
        if not len(mine):
            continue
        gap, _ = breaks(mine)
        first = np.flatnonzero(np.concatenate(([True], gap[1:])))
        ends = np.maximum.reduceat(mine["end_ns"], first)
        frames = np.add.reduceat(mine["frames"], first)
        columns = (mine["start_ns"][first].tolist(), ends.tolist(), frames.tolist())
        result += [Span(start, end, count, name) for start, end, count in zip(*columns, strict=True)]
    return sorted(result, key=lambda span: (span.start_ns, span.end_ns, span.provenance))
