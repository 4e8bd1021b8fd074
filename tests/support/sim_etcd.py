"""A cluster of etcd in simulated time, counted in beats of a world, and one spare's client of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from fovideo.failover import SPARES, following
from fovideo.lease import Claim as LeaseClaim
from fovideo.lease import LeasesAway

TTL = 12


class World(Protocol):
    """Where the cluster is."""

    etcd: Etcd
    beat: int

    def cut(self, one: str, other: str) -> bool: ...


@dataclass
class Etcd:
    """A cluster: away or not; sessions end when they are not kept for TTL beats."""

    away: bool = False
    kept: dict[int, int] = field(default_factory=dict)
    claims: dict[tuple[str, str], tuple[int, LeaseClaim]] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)
    revisions: dict[str, int] = field(default_factory=dict)
    sessions: int = 0

    def expire(self, beat: int) -> None:
        if self.away:  # a cluster without a leader lets nothing expire
            self.kept = {session: kept + 1 for session, kept in self.kept.items()}
            return
        dead = {session for session, kept in self.kept.items() if beat - kept >= TTL}
        if dead:
            self.kept = {s: k for s, k in self.kept.items() if s not in dead}
            self.claims = {key: v for key, v in self.claims.items() if v[0] not in dead}


class SimLeases:
    """One spare's client of the cluster."""

    def __init__(self, world: World, name: str, slot: int) -> None:
        self._world, self._name, self._slot, self._session = world, name, slot, 0
        self._seen: dict[str, int] = {}

    def _ask(self) -> Etcd:
        etcd = self._world.etcd
        if etcd.away or self._world.cut(self._name, "etcd"):
            raise LeasesAway("no member answers")
        return etcd

    def look(self) -> tuple[LeaseClaim, ...]:
        etcd = self._ask()
        self._seen = dict(etcd.revisions)
        return tuple(claim for _, claim in etcd.claims.values())

    def take(
        self, role: str, cameras: tuple[str, ...] = (), *, number: int = 0, above: int = 0
    ) -> LeaseClaim | None:
        etcd = self._ask()
        if etcd.revisions.get(role, 0) != self._seen.get(role, 0):
            return None
        if self._session not in etcd.kept:
            etcd.sessions += 1
            self._session = etcd.sessions
            etcd.kept[self._session] = self._world.beat
        if not number:
            number = following(max(above, etcd.numbers.get(role, 0)), self._slot, SPARES)
        etcd.numbers[role] = max(number, etcd.numbers.get(role, 0))
        etcd.revisions[role] = etcd.revisions.get(role, 0) + 1
        self._seen[role] = etcd.revisions[role]
        claim = LeaseClaim(role, self._name, number, cameras)
        etcd.claims[role, self._name] = (self._session, claim)
        return claim

    def drop(self, role: str) -> None:
        self._ask().claims.pop((role, self._name), None)

    def keep(self) -> bool:
        etcd = self._ask()
        if self._session in etcd.kept:
            etcd.kept[self._session] = self._world.beat
            return True
        return self._session == 0

    def close(self) -> None:
        pass
