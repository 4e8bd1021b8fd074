"""What is still missing after a merge, and why: what a third source could fill. Pure."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from enum import StrEnum
from itertools import accumulate, pairwise
from operator import attrgetter
from typing import Any

import msgspec

from fovideo.timeline.values import Loss
from fovideo.times import NS_PER_MS, format_ns

SLIVER_NS = 100 * NS_PER_MS
"""Shorter pieces of a gap take the reason of what is beside them: clocks and edges differ so much."""


class Reason(StrEnum):
    """Why frames are missing. The value is the word in `merge --json` and for people."""

    NEVER_RECORDED = "never recorded"  # neither side knows of ever having received them
    DROPPED = "dropped"  # received or sent, but lost before they were written
    EXPIRED = "expired"  # recorded, and freed by retention before they were merged
    CUT = "cut"  # the torn end of what was being written in a crash
    DAMAGED = "damaged"  # recorded, and unreadable since
    REFUSED = "refused"  # the source has them, but they don't decode: what they continue is missing
    DEFERRED = "deferred"  # the source has them; a later run takes them


_OF_LOSS = {
    "disk-slow": Reason.DROPPED,
    "transport": Reason.DROPPED,
    "expired": Reason.EXPIRED,
    "cut": Reason.CUT,
    "damaged": Reason.DAMAGED,
}


class Missing(msgspec.Struct, frozen=True):
    """A stretch without frames, [from_ns, to_ns), and why.

    target, source: the reason of the loss that each side notes there (Loss.reason), "" = it notes none.
    """

    from_ns: int
    to_ns: int
    reason: str = Reason.NEVER_RECORDED
    target: str = ""
    source: str = ""

    def as_json(self) -> dict[str, Any]:
        """The object of `merge --json`; times RFC 3339."""
        found = {"from": format_ns(self.from_ns), "to": format_ns(self.to_ns), "reason": str(self.reason)}
        sides = {"target": self.target, "source": self.source}
        return found | {side: reason for side, reason in sides.items() if reason}

    def __str__(self) -> str:
        """The reason, for people."""
        sides = [
            f"{reason} at the {side}"
            for side, reason in (("source", self.source), ("target", self.target))
            if reason and reason != self.reason
        ]
        return f"{self.reason} ({', '.join(sides)})" if sides else str(self.reason)


def still_missing(
    missing: Iterable[tuple[int, int]],
    target: Sequence[Loss] = (),
    source: Sequence[Loss] = (),
    *,
    refused: Iterable[tuple[int, int]] = (),
    deferred: Iterable[tuple[int, int]] = (),
) -> tuple[Missing, ...]:
    """Each missing stretch, cut where the reason changes; together they are the stretches that were given.

    All times are the target's, in ns. target, source: losses that each side notes. refused, deferred: where
    the source holds frames that were not inserted, or not to be shown. Where several reasons meet: what the
    source still holds comes first, then what the source lost (it was asked last), then what the target lost.
    """
    sides = {
        "deferred": _Marks([(start, end, Reason.DEFERRED) for start, end in deferred]),
        "refused": _Marks([(start, end, Reason.REFUSED) for start, end in refused]),
        "source": _Marks([(loss.start_ns, loss.end_ns, loss.reason) for loss in source]),
        "target": _Marks([(loss.start_ns, loss.end_ns, loss.reason) for loss in target]),
    }
    found: list[Missing] = []
    for start_ns, end_ns in missing:
        edges = {start_ns, end_ns}.union(*(marks.edges(start_ns, end_ns) for marks in sides.values()))
        pieces = [
            _piece(from_ns, to_ns, {side: marks.at(from_ns) for side, marks in sides.items()})
            for from_ns, to_ns in pairwise(sorted(edges))
        ]
        found += _without_slivers(_joined(pieces))
    return tuple(found)


class _Marks:
    """Stretches with a word each."""

    def __init__(self, marks: Iterable[tuple[int, int, str]]) -> None:
        self._marks = sorted(mark for mark in marks if mark[0] < mark[1])
        self._reach = list(accumulate((end for _, end, _ in self._marks), max))

    def within(self, start_ns: int, end_ns: int) -> list[tuple[int, int, str]]:
        """Those that meet [start_ns, end_ns)."""
        first = bisect_right(self._reach, start_ns)
        last = bisect_left(self._marks, end_ns, key=lambda mark: mark[0])
        return [mark for mark in self._marks[first:last] if mark[1] > start_ns]

    def edges(self, start_ns: int, end_ns: int) -> set[int]:
        """Where they begin and end inside of (start_ns, end_ns)."""
        found = self.within(start_ns, end_ns)
        return {edge for start, end, _ in found for edge in (start, end) if start_ns < edge < end_ns}

    def at(self, time_ns: int) -> str:
        """The word of the one that holds at this time, "" if none does."""
        return next((word for _, _, word in self.within(time_ns, time_ns + 1)), "")


def _piece(from_ns: int, to_ns: int, words: dict[str, str]) -> Missing:
    source, target = words["source"], words["target"]
    lost = source or target
    reason = words["deferred"] or words["refused"] or _OF_LOSS.get(lost, lost) or Reason.NEVER_RECORDED
    return Missing(from_ns, to_ns, str(reason), target, source)


def _joined(pieces: Sequence[Missing]) -> list[Missing]:
    """Neighbours with the same words become one."""
    words = attrgetter("reason", "target", "source")
    found: list[Missing] = []
    for piece in pieces:
        if found and words(found[-1]) == words(piece):
            piece = msgspec.structs.replace(piece, from_ns=found.pop().from_ns)
        found.append(piece)
    return found


def _without_slivers(pieces: list[Missing]) -> list[Missing]:
    def length_ns(number: int) -> int:
        return pieces[number].to_ns - pieces[number].from_ns

    while len(pieces) > 1:
        shortest = min(range(len(pieces)), key=length_ns)
        if length_ns(shortest) >= SLIVER_NS:
            break
        beside = [number for number in (shortest - 1, shortest + 1) if 0 <= number < len(pieces)]
        longer = max(beside, key=length_ns)
        low, high = min(shortest, longer), max(shortest, longer)
        grown = msgspec.structs.replace(pieces[longer], from_ns=pieces[low].from_ns, to_ns=pieces[high].to_ns)
        pieces = _joined([*pieces[:low], grown, *pieces[high + 1 :]])
    return pieces
