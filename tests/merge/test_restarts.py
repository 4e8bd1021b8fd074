"""A camera that restarted its clock, and what merges brought since."""

from __future__ import annotations

from merge_site import Site, once, without
from merge_world import STEP_NS, S, Wrong, camera

from fovideo.media.frames import Clock
from fovideo.merge import merge

BEFORE = Wrong(source=Clock.SENDER_REPORT)
AFTER = Wrong(47 * S, source=Clock.SENDER_REPORT)


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


def test_what_seems_to_adjoin_by_the_clock_after_the_restart_is_outvoted() -> None:
    """491 to 522 end where 32 begins, by the camera's clock; more was put beside what it continues."""
    shots, site = camera(800, gop=25), Site()
    before, after = (
        Wrong(100 * S, source=Clock.SENDER_REPORT),
        Wrong(80_400_000_000, source=Clock.SENDER_REPORT),
    )
    for start, stop, clock in ((32, 138, before), (138, 441, before), (541, 758, after)):
        site.hears("server", shots[start:stop], clock, ahead_ns=113 * S)
    for start, stop, clock in ((361, 490, before), (491, 522, after), (694, 800, after)):
        site.hears("first", shots[start:stop], clock, ahead_ns=18 * S)
    site.hears("second", shots[181:392], before, ahead_ns=39 * S)
    site.hears("second", shots[393:490], ahead_ns=39 * S)
    assert site.merged("first", "second") == once(range(32, 490), range(491, 522), range(541, 800))


def test_of_two_differences_of_machines_the_one_that_more_frames_speak_for_is_true() -> None:
    """All pictures are alike, so that frames before and after the restart seem to be the same, too."""
    shots, site = camera(800, gop=12, content="frozen"), Site()
    before, again = Wrong(source=Clock.SENDER_REPORT), Wrong(-480 * STEP_NS, source=Clock.SENDER_REPORT)
    for start, stop, clock in ((57, 463, before), (580, 800, again)):
        site.hears("server", shots[start:stop], clock, ahead_ns=123 * S)
    for start, stop, clock in ((259, 292, before), (400, 480, before), (580, 709, again)):
        site.hears("first", shots[start:stop], clock, ahead_ns=-28 * S)
    assert site.merged("first") == once(range(57, 480), range(580, 800))


def test_single_frames_of_a_camera_that_soon_restarted_arrived_with_their_neighbours() -> None:
    shots, site = camera(400, gop=25), Site()
    before, after = (
        Wrong(100 * S, source=Clock.SENDER_REPORT),
        Wrong(93_680_000_000, source=Clock.SENDER_REPORT),
    )
    site.hears("server", without(shots[51:158], 97, 130), before, ahead_ns=-S)
    site.hears("server", shots[258:400], after, ahead_ns=-S)
    site.hears("first", shots[27:132], before)
    site.hears("second", shots[75:158], before, ahead_ns=-3 * S)
    assert site.merged("first", "second") == once(range(27, 158), range(258, 400))


def test_what_continues_what_another_merge_brought_arrived_with_that() -> None:
    """The server never heard what lies around the frames that the second one brings."""
    shots, site = camera(800, gop=25), Site()
    before, after = (
        Wrong(100 * S, source=Clock.SENDER_REPORT),
        Wrong(80_800_000_000, source=Clock.SENDER_REPORT),
    )
    site.hears("server", shots[10:218], before, ahead_ns=120 * S)
    site.hears("server", shots[318:480], before, ahead_ns=120 * S)
    site.hears("server", shots[580:646], after, ahead_ns=120 * S)
    site.hears("first", without(shots[520:729], 673, 695, 713), after, ahead_ns=-80 * S)
    site.hears("second", shots[630:726], after, ahead_ns=-3 * S)
    site.hears("third", shots[400:480], before, ahead_ns=53 * S)
    site.hears("third", shots[520:800], after, ahead_ns=53 * S)
    assert site.merged("first", "second", "third") == once(range(10, 218), range(318, 480), range(520, 800))


def test_what_lies_apart_does_not_take_the_difference_of_another_clock_of_the_camera() -> None:
    """It restarted its clock by less than frames may wait: 20 to 80 seem to have come after that."""
    shots, site = camera(800, gop=25, content="frozen"), Site()
    before, again = Wrong(source=Clock.SENDER_REPORT), Wrong(-231 * STEP_NS, source=Clock.SENDER_REPORT)
    site.hears("server", shots[128:186], before, ahead_ns=1_500_000_000)
    site.hears("server", shots[320:758], again, ahead_ns=1_500_000_000)
    for start, stop, clock in ((20, 81, before), (121, 231, None), (561, 800, again)):
        site.hears("first", shots[start:stop], clock, ahead_ns=-200_000_000)
    for start, stop, clock in ((26, 64, before), (331, 367, None), (625, 800, again)):
        site.hears("second", shots[start:stop], clock, ahead_ns=-1_400_000_000)
    assert site.merged("first", "second") == once(range(20, 81), range(121, 231), range(320, 800))


def test_a_difference_of_machines_that_frames_contradict_is_not_true() -> None:
    """By the camera's clock, 106 to 137 are 244 to 275, and but for keyframes they are alike."""
    shots, site = camera(800, gop=25, content="frozen"), Site()
    before = Wrong(100 * S, source=Clock.SENDER_REPORT)
    after = Wrong(94_480_000_000, source=Clock.SENDER_REPORT)
    for start, stop in ((142, 343), (592, 800)):
        site.hears("server", shots[start:stop], after, ahead_ns=75 * S)
    site.hears("first", shots[106:138], before, ahead_ns=180 * S)
    for start, stop in ((238, 368), (607, 800)):
        site.hears("first", shots[start:stop], after, ahead_ns=180 * S)
    assert site.merged("first") == once(range(106, 138), range(142, 368), range(592, 800))


def test_what_a_merge_plans_at_two_offsets_is_not_taken_for_one() -> None:
    """214 to 622 are put on both of the server's clocks, which are 53 frames apart; 665 to 676 come after."""
    shots, site = camera(800, gop=12, content="frozen"), Site()
    reports = Wrong(source=Clock.SENDER_REPORT)
    site.hears("server", shots[222:349], ahead_ns=-2_138_000_000)
    site.hears("server", shots[389:599], reports, ahead_ns=-2_138_000_000)
    site.hears("server", shots[699:800], ahead_ns=-2_138_000_000)
    site.hears("first", shots[214:625], reports, ahead_ns=-1_386_000_000)
    site.hears("first", shots[665:800], reports, ahead_ns=-1_386_000_000)
    assert site.merged("first") == once(range(214, 625), range(665, 800))


def test_what_came_by_way_of_a_spare_arrived_when_that_merge_said() -> None:
    shots, site = camera(800, gop=10, content="frozen"), Site()
    before, after = Wrong(source=Clock.SENDER_REPORT), Wrong(-18_040_000_000, source=Clock.SENDER_REPORT)
    for name, ahead_ns, heard in (
        ("server", -66 * S, ((12, 332, before), (372, 451, before), (601, 800, after))),
        ("first", -197 * S, ((28, 247, before), (287, 342, None), (343, 451, None), (491, 591, after))),
        ("second", 75 * S, ((234, 451, before), (601, 800, after))),
        ("last", 13 * S, ((260, 305, before), (455, 800, after))),
    ):
        for start, stop, clock in heard:
            site.hears(name, shots[start:stop], clock, ahead_ns=ahead_ns)
    for name in ("first", "second"):
        merge(site.timeline(name), site.timeline("last"))
    assert site.timeline("last").ids() == once(range(28, 247), range(234, 451), range(455, 800))
    assert site.merged("last") == once(range(12, 451), range(455, 800))
