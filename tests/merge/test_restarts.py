"""A camera that restarted its clock, and what merges brought since."""

from __future__ import annotations

from collections.abc import Sequence

from merge_world import STEP_NS, S, Shot, World, Wrong, camera

from fovideo.media.frames import Clock
from fovideo.merge import merge

BEFORE = Wrong(source=Clock.SENDER_REPORT)
AFTER = Wrong(47 * S, source=Clock.SENDER_REPORT)


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


def test_what_was_put_beside_footage_without_reports_arrived_with_that() -> None:
    shots, site = camera(400, gop=25), Site()
    site.hears("server", shots[20:151], BEFORE)
    site.hears("server", shots[152:188])
    site.hears("server", shots[338:388])
    site.hears("first", shots[49:94], BEFORE)
    site.hears("first", shots[194:400], AFTER)
    site.hears("second", shots[4:151], BEFORE)
    site.hears("second", shots[379:400], ahead_ns=600_000)
    site.hears("second", shots[152:279], AFTER)
    assert site.merged("first", "second") == once(range(4, 151), range(152, 400))


def test_a_clock_that_begins_where_it_began_does_not_make_neighbours() -> None:
    """The brought frames have the times of footage after the restart, but they would have no room there."""
    shots, site = camera(400, gop=12, content="frozen"), Site()
    again = Wrong(-242 * STEP_NS, source=Clock.SENDER_REPORT)
    site.hears("server", shots[53:242], BEFORE, ahead_ns=13_000_000)
    site.hears("server", shots[243:351], again, ahead_ns=13_000_000)
    site.hears("first", shots[41:82], BEFORE, ahead_ns=-19_000_000)
    site.hears("first", shots[243:351], again, ahead_ns=-19_000_000)
    site.hears("second", shots[1:202], BEFORE, ahead_ns=-18_000_000)
    assert site.merged("first", "second") == once(range(1, 242), range(243, 351))
