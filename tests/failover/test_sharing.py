"""Who of several spares stands in: turns, room, reliance, numbers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fovideo.failover import SPARES, STEADY_NS, TURN_NS, Fellow, Holding, Share, covered, following, share
from fovideo.times import NS_PER_S

NOTHING = Holding(number=0)
EMPTY: frozenset[str] = frozenset()


def fellow(place: int, **more: object) -> Fellow:
    return Fellow(place=place, answers=True, servers=frozenset({"rec-1", "rec-2"}), **more)


def asked(**more: object) -> Share:
    about: dict[str, object] = {
        "wanted": ("gate", "yard", "hall"),
        "mine": NOTHING,
        "claims": {},
        "fellows": {},
        "server": "rec-1",
        "place": 0,
        "busy": False,
        "room": 99,
        "waited_ns": 0,
    }
    about |= more
    wanted, mine, claims, fellows = (about.pop(key) for key in ("wanted", "mine", "claims", "fellows"))
    return share(wanted, mine, claims, fellows, **about)


@given(st.integers(0, 10**6), st.integers(0, SPARES - 1))
def test_a_number_is_above_and_in_its_slot(number: int, slot: int) -> None:
    found = following(number, slot, SPARES)
    assert number < found <= number + SPARES
    assert found % SPARES == slot
    assert following(number) == number + 1


def test_the_first_free_spare_begins() -> None:
    two = {"b": fellow(1), "c": fellow(2)}
    assert asked(fellows=two).take == ("gate", "yard", "hall")
    assert not asked(fellows={"a": fellow(0), "c": fellow(2)}, place=1).take
    assert asked(fellows={"a": fellow(0), "c": fellow(2)}, place=1, waited_ns=TURN_NS).take
    busy = {"a": fellow(0, busy=frozenset({"rec-2"})), "c": fellow(2)}
    assert asked(fellows=busy, place=1).take, "the first is busy"
    assert asked(fellows={"a": Fellow(place=0, servers=frozenset({"rec-1"}))}, place=1).take, "it is silent"
    other = {"a": Fellow(place=0, answers=True, servers=frozenset({"rec-2"}))}
    assert asked(fellows=other, place=1).take, "it does not watch this server"


def test_who_is_busy_comes_last() -> None:
    free = {"b": fellow(1), "c": fellow(2)}
    assert not asked(fellows=free, busy=True, waited_ns=TURN_NS).take
    assert asked(fellows=free, busy=True, waited_ns=2 * TURN_NS).take


def test_room_goes_to_the_most_important() -> None:
    found = asked(room=2, waited_ns=4 * NS_PER_S)
    assert found.take == ("gate", "yard")
    assert found.left == ("hall",)
    assert asked(room=2).left == (), "not yet"
    assert asked(room=-1, waited_ns=4 * NS_PER_S).left == ("gate", "yard", "hall")


def test_what_another_has_is_left_to_it() -> None:
    has = {"b": Holding(number=65, cameras=frozenset({"gate"}))}
    found = asked(fellows={"b": fellow(1)}, claims=has)
    assert found.others == {"gate"}
    assert found.take == ("yard", "hall")


def test_of_two_that_have_a_camera_one_yields() -> None:
    both = frozenset({"gate"})

    def keeps(mine: Holding, theirs: Holding, place: int = 1) -> bool:
        others = {"a": fellow(0), "c": fellow(2)}
        name = "a" if place == 1 else "c"
        return bool(asked(mine=mine, claims={name: theirs}, fellows=others, place=place).keep)

    own, firm = Holding(number=65, cameras=both), Holding(number=65, cameras=both, firm=True)
    assert not keeps(own, Holding(number=64, cameras=both)), "the order decides"
    assert keeps(own, Holding(number=66, cameras=both), place=0)
    assert keeps(firm, Holding(number=640, cameras=both)), "a firm claim outdoes one that is not"
    assert not keeps(own, Holding(number=64, cameras=both, firm=True))
    assert not keeps(firm, Holding(number=128, cameras=both, firm=True)), "the higher number"
    assert keeps(firm, Holding(number=64, cameras=both, firm=True))


def test_nobody_relies_on_what_is_not_sure() -> None:
    both = frozenset({"gate", "yard"})
    claim = Holding(number=64, cameras=both)
    sound = fellow(0, records={"rec-1": both}, steady=both)
    assert covered(claim, sound, "rec-1", both, STEADY_NS) == both
    assert covered(claim, fellow(0, steady=both), "rec-1", both, 0) == both, "it has just begun"
    assert covered(claim, fellow(0, steady=both), "rec-1", both, STEADY_NS) == EMPTY, "it records nothing"
    broken = fellow(0, records={"rec-1": both}, steady=frozenset({"gate"}))
    assert covered(claim, broken, "rec-1", both, STEADY_NS) == {"gate"}
    assert covered(claim, broken, "rec-1", frozenset({"gate"}), STEADY_NS) == both, "nor could I help"
    silent = Fellow(place=0, records={"rec-1": both}, steady=both)
    assert covered(claim, silent, "rec-1", both, 0) == EMPTY
