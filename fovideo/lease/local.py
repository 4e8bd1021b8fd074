"""Leases without a service: a spare alone, or several that follow the order of the site."""

from __future__ import annotations

from fovideo.failover.numbers import following
from fovideo.lease.values import Claim


class LocalLeases:
    """Its holder gets whatever it asks for; nobody else is seen."""

    def __init__(self, holder: str, *, slot: int = 0, step: int = 1) -> None:
        self._holder, self._slot, self._step = holder, slot, step
        self._claims: dict[str, Claim] = {}
        self._numbers: dict[str, int] = {}

    def look(self) -> tuple[Claim, ...]:
        return tuple(self._claims.values())

    def take(
        self, role: str, cameras: tuple[str, ...] = (), *, number: int = 0, above: int = 0
    ) -> Claim | None:
        if not number:
            number = following(max(above, self._numbers.get(role, 0)), self._slot, self._step)
        self._numbers[role] = max(number, self._numbers.get(role, 0))
        claim = self._claims[role] = Claim(role, self._holder, number, cameras)
        return claim

    def drop(self, role: str) -> None:
        self._claims.pop(role, None)

    def keep(self) -> bool:
        return True

    def close(self) -> None:
        self._claims.clear()
