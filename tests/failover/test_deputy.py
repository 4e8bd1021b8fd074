"""A spare stands in for the management server: when, and which one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fovideo.failover import Deputy, Seen, deputise, entitled, wants_right

S = 1_000_000_000
SETTINGS = {"takeover_after_ns": 3 * S // 2, "handback_after_ns": 3 * S}


def run(rounds: list[tuple[bool, bool]], *, step_ns: int = S // 2, lease: int = 0) -> list[Deputy]:
    memory, found = Deputy(told_ns=0, well_ns=0, lease=lease), []
    for number, (manager, earlier) in enumerate(rounds, 1):
        seen = Seen(number * step_ns, manager=manager, earlier=earlier)
        memory = deputise(memory, seen, **SETTINGS)
        if wants_right(memory, service=False):
            memory = entitled(memory, memory.lease + 1, firm=False)
        found.append(memory)
    return found


def test_it_stands_in_and_hands_back() -> None:
    found = run([(True, False)] * 4 + [(False, False)] * 5 + [(True, False)] * 10)
    acting = [memory.acting for memory in found]
    assert acting[:6] == [False] * 6, "one slow answer, and a second, are no failure"
    assert acting[7] is True
    assert found[8].lease == 1
    assert acting[9] is True, "the manager answers, and has to go on doing so"
    assert acting[-1] is False


def test_the_first_spare_of_the_site_does_it() -> None:
    assert not any(memory.acting for memory in run([(False, True)] * 20))
    found = run([(False, False)] * 6 + [(False, True)])
    assert found[5].acting
    assert not found[6].acting


def test_numbers_rise_above_all_that_was_heard() -> None:
    memory = deputise(Deputy(told_ns=0, well_ns=0), Seen(S, manager=True, lease=7), **SETTINGS)
    for number in range(2, 8):
        memory = deputise(memory, Seen(number * S, manager=False), **SETTINGS)
    assert (memory.acting, memory.lease, wants_right(memory, service=False)) == (True, 7, True)
    memory = entitled(memory, 8, firm=False)
    assert (memory.lease, memory.right) == (8, 8)


def silent(memory: Deputy, number: int, **seen: int) -> Deputy:
    """After another round without the manager."""
    return deputise(memory, Seen(number * S, manager=False, **seen), **SETTINGS)


def test_who_has_the_lease_goes_on_whoever_else_is_there() -> None:
    memory = entitled(silent(silent(Deputy(told_ns=0, well_ns=0), 1), 2), 5, firm=True)
    assert silent(memory, 3, earlier=True, held=5).acting
    assert not silent(memory, 3, earlier=True).acting, "without it, the order of the site counts"
    assert not silent(memory, 3, taken=True).acting
    again = silent(memory, 3)
    assert (again.acting, again.firm, again.right) == (True, False, 5), "when it is away, go on serving"
    assert wants_right(again, service=True)
    assert not wants_right(again, service=False)


def test_who_is_refused_rests() -> None:
    memory = silent(silent(Deputy(told_ns=0, well_ns=0), 1), 2)
    assert memory.acting
    refused = entitled(memory, 0, firm=True)
    assert (refused.acting, refused.right) == (False, 0)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=60))
def test_always(rounds: list[tuple[bool, bool]]) -> None:
    before = Deputy(told_ns=0, well_ns=0)
    for (manager, earlier), memory in zip(rounds, run(rounds), strict=True):
        assert memory.lease >= before.lease
        if memory.acting and not before.acting:
            assert memory.lease == before.lease + 1
            assert not manager
            assert not earlier
        before = memory


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=20))
def test_in_the_end_the_manager_manages(rounds: list[tuple[bool, bool]]) -> None:
    assert not run([*rounds, *[(True, False)] * 8])[-1].acting
    assert run([*rounds, *[(False, False)] * 8])[-1].acting
