"""Which of a track's sender-report times can be believed."""

from __future__ import annotations

from typing import NamedTuple

from fovideo.camera.clock.settings import StampSettings

NO_TIME = -(2**63)
_PTS_LIMIT_NS = 1_500_000_000 * 1_000_000_000
LATEST_NS = 4_102_444_800 * 1_000_000_000  # 2100


class Unit(NamedTuple):
    """A row of the ring's UNIT, as Python integers."""

    pts: int
    wall: int
    receipt: int
    value: int
    digest: int
    position: int
    end: int
    size: int
    session: int
    kind: int
    track: int
    flags: int


def has_pts(unit: Unit) -> bool:
    """The media clock is known, and not absurd (47 years)."""
    return -_PTS_LIMIT_NS < unit.pts < _PTS_LIMIT_NS


class Reports:
    """Follows the sender reports of one track. A relation is wall clock minus pts.

    The first packet that carries a report's time may carry the next frame's, so belief begins with the
    second. After a jump of pts the old reports no longer say when a frame was captured: their relation is
    disbelieved until it changes, or has stayed the same for so long that newer reports must have confirmed
    it.
    """

    def __init__(self, settings: StampSettings, *, trust_first: bool) -> None:
        self._settings = settings
        self.had_wall = trust_first
        self.trust_first = trust_first
        self._stale: int | None = None
        self._stale_since = 0
        self.relation: int | None = None
        self.since = 0

    @property
    def steady(self) -> bool:
        """No report waits to be believed again."""
        return self._stale is None

    def valid(self, unit: Unit) -> bool:
        """The unit carries a wall clock that a camera can have."""
        return self._settings.earliest_ns <= unit.wall <= LATEST_NS

    def see(self, unit: Unit, pts: int, known: bool) -> int | None:
        """Relation that the unit shows, or None. known: pts not interpolated. To be called in ring order."""
        if not self.valid(unit):
            self.had_wall = self.trust_first
            return None
        trusted, self.had_wall = self.had_wall and known, True
        if not trusted:
            return None
        relation = unit.wall - pts
        if self._stale is not None:
            same = abs(relation - self._stale) < self._settings.anchor_ns
            if same and unit.receipt - self._stale_since < self._settings.stale_ns:
                return None
            self._stale = None
        if self.relation is None:
            self.since = unit.receipt
        self.relation = relation
        return relation

    def jumped(self, receipt_ns: int) -> None:
        """pts have jumped at this receipt time."""
        if self.relation is not None:
            self._stale, self._stale_since = self.relation, receipt_ns
        self.relation = None
