"""What a lease service must be able to do, and what it tells."""

from __future__ import annotations

from typing import Protocol

import msgspec

from fovideo.errors import FovideoError


class LeasesAway(FovideoError, ConnectionError):
    """The lease service cannot be asked now; whoever needs it goes on without and settles later."""


class Claim(msgspec.Struct, frozen=True):
    """A holder has (its part of) a role, under a number that nobody else ever has.

    role: such as "server/rec-1" or "role/management". cameras: its part, where a role has parts.
    """

    role: str
    holder: str
    number: int
    cameras: tuple[str, ...] = ()


class Leases(Protocol):
    """Claims of one holder, and a view of those of all. For one thread at a time. All but close may raise
    LeasesAway, after a bounded time.
    """

    def look(self) -> tuple[Claim, ...]:
        """All claims that hold now, of every holder."""

    def take(
        self, role: str, cameras: tuple[str, ...] = (), *, number: int = 0, above: int = 0
    ) -> Claim | None:
        """Claim (a part of) a role, unless anybody claimed since the last look: then None, and look again.

        number: of a claim that is being changed; 0 = the next one, above `above` and all that were given.
        """

    def drop(self, role: str) -> None:
        """Give up a claim. Harmless when there is none."""

    def keep(self) -> bool:
        """Keep all own claims alive, to be called at least every third of their time. False: lost."""

    def close(self) -> None:
        """Give up everything, if it can be done at once."""
