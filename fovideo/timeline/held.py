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


def is_one(before: Gop, after: Gop) -> bool:
    """Whether two rows are of one recording, and its clock was not set back between them."""
    interval_ns = after.interval_ns or DEFAULT_INTERVAL_NS
    return before.provenance == after.provenance and (
        before.epoch == after.epoch or after.start_ns >= before.end_ns - interval_ns // 2
    )


def hidden_rows(rows: Sequence[Gop], provenances: Mapping[int, Provenance]) -> list[Gop]:
    """Rows of a video that are not shown, by time. What comes before the first keyframe is not told.

    rows: with frames, without conflicts.
    """
    found: list[Gop] = []
    open_rows: list[Gop] = []  # that reach up to the present one, and are shown
    hidden = False
    for row in sorted(rows, key=lambda row: (row.start_ns, row.serial)):
        near = [each for each in open_rows if each.end_ns + _reach_ns(row) >= row.start_ns]
        if row.flags & GopFlag.KEY:
            hidden = False
        elif open_rows and not any(_leads_to(each, row, provenances) for each in near):
            hidden = True
        if hidden:
            found.append(row)
        else:
            open_rows = [*near, row]
    return found


def stretches_of(hidden: Sequence[Gop]) -> list[tuple[int, int]]:
    """Where such rows lie, [start, end); those that follow each other are one."""
    found: list[tuple[int, int]] = []
    for row in hidden:
        end_ns = row.end_ns if row.interval_ns else row.end_ns + DEFAULT_INTERVAL_NS
        if found and row.start_ns <= found[-1][1] + _reach_ns(row):
            found[-1] = found[-1][0], max(found[-1][1], end_ns)
        else:
            found.append((row.start_ns, end_ns))
    return found


def held(rows: Sequence[Gop], provenances: Mapping[int, Provenance]) -> list[tuple[int, int]]:
    """Where rows of a video hold frames that are not shown, [start, end) by time. As hidden_rows."""
    return stretches_of(hidden_rows(rows, provenances))


def _reach_ns(row: Gop) -> int:
    return REORDERED * (row.interval_ns or DEFAULT_INTERVAL_NS)


def _leads_to(before: Gop, row: Gop, provenances: Mapping[int, Provenance]) -> bool:
    return continues(
        provenances.get(before.provenance),
        provenances.get(row.provenance),
        same=is_one(before, row),
        step_ns=row.start_ns - before.end_ns + (before.interval_ns or DEFAULT_INTERVAL_NS),
        interval_ns=max(before.interval_ns, row.interval_ns),
    )
