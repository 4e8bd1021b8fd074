"""Sessions of which every frame had waited: their times lie over what follows them, in a still scene."""

from __future__ import annotations

from merge_site import Site, once
from merge_world import STEP_NS, Shot, Wrong, camera

WAITED = Wrong(51 * STEP_NS + 6_000_000)


def overlaps_itself(shots: list[Shot]) -> Site:
    """The server's times of 471 to 520 are about those of 522 to 571."""
    site = Site()
    site.hears("server", shots[276:320])
    site.hears("server", shots[471:521], WAITED)
    site.hears("server", shots[522:800])
    return site


def test_what_machines_tell_of_one_session_is_not_added_to_another() -> None:
    """419 to 460 lie in the gap; a lap later, they would be what waited."""
    shots = camera(800, gop=12, content="still")
    site = overlaps_itself(shots)
    site.hears("first", shots[191:319])
    site.hears("first", shots[419:461])
    site.hears("first", shots[612:800])
    assert site.merged("first") == once(range(191, 320), range(419, 461), range(471, 521), range(522, 800))


def test_what_lies_about_as_near_to_a_session_that_waited_arrived_before_that() -> None:
    """419 to 460 lie before the times of what waited and of what was received meanwhile."""
    shots = camera(800, gop=12, content="still")
    site = overlaps_itself(shots)
    site.hears("first", shots[191:319])
    site.hears("first", shots[419:461])
    site.hears("first", shots[612:800])
    site.hears("second", shots[385:614])
    assert site.merged("first", "second") == once(range(191, 320), range(385, 800))
