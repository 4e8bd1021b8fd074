"""What a benchmark found, and whether that is enough."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

import msgspec


class Row(msgspec.Struct, kw_only=True):
    """One line of the table.

    ours, theirs: one figure a round, in `unit`; rounds of both alternate, so the ratio is taken round by
    round. peer: what `theirs` is, "" where the target is a limit on `ours` itself. target: the least ratio
    (or most, when `lower`). skipped: why there are no figures.
    """

    what: str
    unit: str = ""
    ours: list[float] = []
    peer: str = ""
    theirs: list[float] = []
    target: float = 0.0
    lower: bool = False
    note: str = ""
    part: str = ""
    skipped: str = ""

    @property
    def value(self) -> float:
        """Median ratio to the peer, or median of our figures where there is none."""
        if not self.theirs:
            return statistics.median(self.ours)
        if len(self.ours) != len(self.theirs):
            return statistics.median(self.ours) / statistics.median(self.theirs)
        return statistics.median(a / b for a, b in zip(self.ours, self.theirs, strict=True))

    @property
    def met(self) -> bool | None:
        """None: not measured."""
        if self.skipped or not self.ours:
            return None
        return self.value <= self.target if self.lower else self.value >= self.target


def shown(values: Sequence[float]) -> str:
    """Median and spread."""
    if not values:
        return "-"
    middle = _short(statistics.median(values))
    return middle if len(values) < 2 else f"{middle} ({_short(min(values))}-{_short(max(values))})"


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
