"""Gaps: stretches of a timeline without frames, and why they are empty as far as the store knows. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from fovideo.timeline.cover import DEFAULT_INTERVAL_NS, Cover, Tables, breaks, covers, is_plain, primary
from fovideo.timeline.values import Gap, Gop, Loss


def gaps(
    rows: Sequence[Gop],
    losses: Sequence[Loss] = (),
    from_ns: int | None = None,
    to_ns: int | None = None,
    tables: Tables | None = None,
) -> list[Gap]:
    """Stretches of [from_ns, to_ns) without frames of any row, sorted.

    Without from_ns (to_ns) nothing is a gap before the first (after the last) frame; with it, what is missing
    at the edge of the window is a gap too. A gap begins where the last frame's nominal duration ends, and
    needs to hide at least one frame (`cover.longest_step_ns`). Where frames are reordered, the first and the
    last ones lie apart: what belongs between them was sent before recording began, or would have been sent
    after its end. That is no gap. tables: as for `covers`, for holes inside rows flagged GAPS. A gap has the
    reason of the loss that explains most of it, if losses explain at least half.
    """
    if from_ns is not None and to_ns is not None and from_ns >= to_ns:
        return []
    cover = covers(rows, tables)
    if not len(cover):
        whole = from_ns is not None and to_ns is not None
        return _explained([(from_ns, to_ns)], losses) if whole else []  # type: ignore[list-item]
    gap, before = breaks(cover)
    found = list(zip(before[gap].tolist(), cover["start_ns"][gap].tolist(), strict=True))
    if found and tables is not None:
        found = _without_ragged(found, rows, cover, tables, head=from_ns is None, tail=to_ns is None)
    step = int(cover["interval_ns"][0])
    if from_ns is not None and int(cover["start_ns"][0]) - from_ns > step:
        found.insert(0, (from_ns, int(cover["start_ns"][0])))
    last = int(np.max(cover["end_ns"]))
    if to_ns is not None and to_ns - last > step:
        found.append((last, to_ns))
    return _explained(_clipped(found, from_ns, to_ns), losses)


def _without_ragged(
    found: list[tuple[int, int]], rows: Sequence[Gop], cover: Cover, tables: Tables, *, head: bool, tail: bool
) -> list[tuple[int, int]]:
    """Without what lies among the first or the last frames as far as reordering brings them apart."""
    held = list(dict.fromkeys(cover["row"].tolist()))
    edges = [rows[row] for row in (*held[:2], *held[-2:])]
    apart_ns = max((_reordered_ns(row, tables) for row in edges if not is_plain(row)), default=0)
    until = int(cover["start_ns"].min()) + (apart_ns if head else 0)
    since = int(cover["end_ns"].max()) - (apart_ns if tail else 0)
    return [(start, end) for start, end in found if end > until and start < since]


def _reordered_ns(row: Gop, tables: Tables) -> int:
    """How far apart in presentation two frames can lie that are sent one after the other; 0 = in order."""
    frames = primary(tables(row))
    places = np.argsort(np.argsort(frames["time_ns"], kind="stable"), kind="stable")
    early = int((places - np.arange(len(frames))).max(initial=0))
    return (early + 2) * (row.interval_ns or DEFAULT_INTERVAL_NS) if early else 0


def _clipped(found: list[tuple[int, int]], from_ns: int | None, to_ns: int | None) -> list[tuple[int, int]]:
    clipped = (
        (start if from_ns is None else max(start, from_ns), end if to_ns is None else min(end, to_ns))
        for start, end in found
    )
    return [(start, end) for start, end in clipped if start < end]


def _explained(found: list[tuple[int, int]], losses: Sequence[Loss]) -> list[Gap]:
    known = sorted(losses, key=lambda loss: (loss.start_ns, loss.end_ns))
    result: list[Gap] = []
    first = 0
    for start, end in found:
        while first < len(known) and known[first].end_ns <= start:
            first += 1
        shares: Counter[str] = Counter()
        for loss in known[first:]:
            if loss.start_ns >= end:
                break
            shares[loss.reason] += max(0, min(end, loss.end_ns) - max(start, loss.start_ns))
        enough = 2 * shares.total() >= end - start
        result.append(Gap(start, end, shares.most_common(1)[0][0] if shares and enough else ""))
    return result
