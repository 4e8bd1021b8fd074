"""A site in numbers: machines with clocks of their own, and what the server holds after merges."""

from __future__ import annotations

from collections.abc import Sequence

from merge_world import Shot, World, Wrong

from fovideo.merge import merge


class Site(World):
    """Machines with clocks of their own, by which everything is received."""

    def hears(
        self, name: str, shots: Sequence[Shot], wrong: Wrong | None = None, *, ahead_ns: int = 0
    ) -> None:
        """A session; without sender reports its times are those of the machine."""
        receipts = {shot.id: shot.time_ns + ahead_ns + 3_000_000 for shot in shots}
        own = Wrong(ahead_ns + 3_000_000) if wrong is None else wrong
        self.record(name, shots, wrong=own, receipts=receipts)

    def merged(self, *names: str) -> dict[int, int]:
        """What the server holds in the end, and how often."""
        for name in names:
            merge(self.timeline(name), self.timeline("server"))
        return dict(self.timeline("server").ids())


def once(*parts: range) -> dict[int, int]:
    return {number: 1 for part in parts for number in part}


def without(shots: Sequence[Shot], *lost: int) -> list[Shot]:
    return [shot for shot in shots if shot.id not in lost]
