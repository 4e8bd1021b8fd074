"""Held: footage that is kept, but cannot be shown, since what it continues is missing. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fovideo.timeline.cover import DEFAULT_INTERVAL_NS, longest_step_ns
from fovideo.timeline.values import Gop, GopFlag, Provenance, Splice

REORDERED = 4
"""Around frames that one side lost, reordered frames have decode times that are so many intervals off."""


def continues(
    before: Provenance | None, after: Provenance | None, *, same: bool, step_ns: int, interval_ns: int
) -> bool:
    """Whether a frame of another row, no keyframe, has the frame so long before it as its reference.

    before, after: of the two rows. same: it is one.
    """
    interval_ns = interval_ns or DEFAULT_INTERVAL_NS
    if same:
        return step_ns <= longest_step_ns(interval_ns)
    told = (before is not None and before.splice & Splice.LEADS) or (
        after is not None and after.splice & Splice.FOLLOWS
    )
    return bool(told) and step_ns <= REORDERED * interval_ns


def held(rows: Sequence[Gop], provenances: Mapping[int, Provenance]) -> list[tuple[int, int]]:
    """Where rows of a video hold frames that are not shown, [start, end) by time.

    rows: with frames, without conflicts. What comes before the first keyframe is not told.
    """
    found: list[tuple[int, int]] = []
    open_rows: list[Gop] = []  # that reach up to the present one, and are shown
    hidden = False
    for row in sorted(rows, key=lambda row: (row.start_ns, row.serial)):
        reach_ns = REORDERED * (row.interval_ns or DEFAULT_INTERVAL_NS)
        end_ns = row.end_ns if row.interval_ns else row.end_ns + DEFAULT_INTERVAL_NS
        near = [each for each in open_rows if each.end_ns + reach_ns >= row.start_ns]
        if row.flags & GopFlag.KEY:
            hidden = False
        elif open_rows and not any(_leads_to(each, row, provenances) for each in near):
            hidden = True
        if not hidden:
            open_rows = [*near, row]
        elif found and row.start_ns <= found[-1][1] + reach_ns:
            found[-1] = found[-1][0], max(found[-1][1], end_ns)
        else:
            found.append((row.start_ns, end_ns))
    return found


def _leads_to(before: Gop, row: Gop, provenances: Mapping[int, Provenance]) -> bool:
    return continues(
        provenances.get(before.provenance),
        provenances.get(row.provenance),
        same=before.provenance == row.provenance,
        step_ns=row.start_ns - before.end_ns + (before.interval_ns or DEFAULT_INTERVAL_NS),
        interval_ns=max(before.interval_ns, row.interval_ns),
    )
