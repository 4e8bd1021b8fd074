"""Suspicion that accrues, a grace for reboots, a store that fails, claims, and who is cut off."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fovideo.failover import (
    Answered,
    CameraSeen,
    Claim,
    Heard,
    MergeEnded,
    NoAnswer,
    PassOutcome,
    Ruled,
    Settings,
    StandDown,
    Standing,
    StartMerge,
    State,
    TakeOver,
    Tick,
    Witnessed,
    Word,
    begin,
    is_cut_off,
    standing,
    step,
    suspicion,
)
from fovideo.times import NS_PER_MS, NS_PER_S

ARBITRATED = Settings(arbitrated=True, slot=1, step=64)


class Bench:
    """Feeds a machine; `ms` is the time, `did` what it ordered since it was last looked at."""

    def __init__(self, settings: Settings | None = None, **restored: object) -> None:
        self.settings, self.ms, self.edge = settings or Settings(), 0, 1000
        self.memory, orders = begin("rec-1", ["gate"], 0, settings=self.settings, **restored)
        self.orders = list(orders)

    @property
    def now_ns(self) -> int:
        return self.ms * NS_PER_MS

    def tell(self, kind: type, *args: object, after_ms: int = 0, **more: object) -> None:
        self.ms += after_ms
        self.memory, orders = step(self.memory, kind(self.now_ns, *args, **more), self.settings)
        self.orders += orders

    def answer(self, *, instance: str = "a", moving: bool = True, **more: object) -> None:
        self.tell(Heard, frozenset({"gate"}), after_ms=500)
        self.edge += 500 * moving
        self.tell(Answered, instance, {"gate": CameraSeen(self.edge * NS_PER_MS)}, **more)

    def live(self, **more: object) -> Bench:
        for _ in range(20):
            self.answer(**more)
        assert not self.did()
        return self

    def silence(self, polls: int = 4, *, refused: bool = False) -> None:
        for _ in range(polls):
            self.tell(NoAnswer, refused, after_ms=500)

    def ruled(self, number: int = 0, mine: str = "", others: str = "", healed: str = "") -> None:
        self.tell(
            Ruled,
            self.memory.claims,
            number,
            frozenset(mine.split()),
            frozenset(others.split()),
            frozenset(healed.split()),
        )

    def did(self) -> list[object]:
        orders, self.orders = self.orders, []
        return orders

    @property
    def state(self) -> State:
        return self.memory.duties["gate"].state


def test_a_server_that_is_usually_slow_is_granted_more() -> None:
    quick, slow = Bench().live(took_ns=NS_PER_MS), Bench().live(took_ns=600 * NS_PER_MS)
    for bench in (quick, slow):
        bench.silence(3)
        bench.tell(Tick, after_ms=200)
    assert quick.state == State.STANDING_IN
    assert slow.state == State.WATCHING
    slow.tell(Tick, after_ms=250)
    assert slow.state == State.STANDING_IN, "but not more than slack"


@given(st.lists(st.integers(0, 700), max_size=60), st.integers(0, 5000))
def test_suspicion_rises_with_silence_and_is_bounded(took_ms: list[int], silence_ms: int) -> None:
    bench = Bench()
    for each in took_ms:
        bench.answer(took_ns=each * NS_PER_MS)
    assert suspicion(bench.memory, bench.now_ns, bench.settings) == 0
    bench.tell(NoAnswer)
    grown = [suspicion(bench.memory, bench.now_ns + ms * NS_PER_MS, bench.settings) for ms in (0, silence_ms)]
    assert grown[0] <= grown[1]
    limit_ns = bench.settings.takeover_after_ns + bench.settings.slack_ns
    assert suspicion(bench.memory, bench.memory.told_ns + limit_ns, bench.settings) >= 1


def test_a_reboot_in_its_grace_is_left_alone_and_healed_afterwards() -> None:
    bench = Bench(Settings(reboot_grace_ns=60 * NS_PER_S)).live()
    bench.answer(word=Word.STOPPING)
    bench.silence(100)
    assert not bench.did()
    bench.answer(instance="b")
    assert bench.did()[0] == TakeOver(("gate",), 1), "with its pre-roll it heals what was missed"
    late = Bench(Settings(reboot_grace_ns=60 * NS_PER_S)).live()
    late.answer(word=Word.STOPPING)
    late.silence(119)
    assert not late.did()
    late.silence(1)
    assert late.did() == [TakeOver(("gate",), 1)]


def late(bench: Bench, seconds: float) -> None:
    """An answer that tells of frames which wait for the disk; the disk does take some."""
    bench.tell(Heard, frozenset({"gate"}), after_ms=500)
    bench.edge += 500
    seen = CameraSeen(bench.edge * NS_PER_MS, holding=True, late_ns=round(seconds * NS_PER_S))
    bench.tell(Answered, "a", {"gate": seen})


def test_frames_that_reach_the_disk_too_late_are_taken_over() -> None:
    bench = Bench().live()
    for seconds in (2, 6, 7.9, 8, 7, 8, 2):
        late(bench, seconds)
    assert not bench.did(), "one late answer is none"
    late(bench, 8)
    late(bench, 8)
    assert bench.did() == [TakeOver(("gate",), 1)]
    for _ in range(20):
        late(bench, 5)
    assert not bench.did(), "not so late any more, but not in time: nothing is merged into a disk that lags"
    for _ in range(2):
        late(bench, 1)
    merge = bench.did()[0]
    assert isinstance(merge, StartMerge)
    bench.tell(MergeEnded, merge.number, {"gate": PassOutcome(inserted=10)})
    for _ in range(20):
        late(bench, 1)
    assert StandDown(("gate",)) in bench.did()


def test_a_crash_has_no_grace() -> None:
    bench = Bench(Settings(reboot_grace_ns=60 * NS_PER_S)).live()
    bench.silence()
    assert bench.state == State.STANDING_IN


def test_a_store_that_takes_nothing() -> None:
    bench = Bench().live()
    bench.answer(moving=False, storage_fails=True)
    assert bench.state == State.WATCHING, "once may be a moment"
    bench.answer(moving=False, storage_fails=True)
    assert bench.did() == [TakeOver(("gate",), 1)]
    bench.answer(storage_fails=True)
    assert bench.state == State.STANDING_IN
    bench.answer()
    assert bench.state == State.MERGING


def test_who_is_cut_off_records_but_claims_nothing() -> None:
    bench = Bench().live()
    bench.tell(Witnessed, bench.now_ns)
    bench.silence()
    assert is_cut_off(bench.memory), "nothing was reached since the server was missed"
    assert bench.did() == [TakeOver(("gate",), 0)]
    assert standing(bench.memory) == Standing("rec-1", 0, ("gate",))
    bench.tell(Witnessed, bench.now_ns)
    assert bench.did() == [TakeOver(("gate",), 1)], "so it was the server"


def test_who_was_cut_off_merges_without_ever_claiming() -> None:
    bench = Bench().live()
    bench.tell(Witnessed, -1)
    bench.silence()
    bench.did()
    for _ in range(3):
        bench.answer()
    assert bench.state == State.MERGING
    assert all(getattr(order, "lease", 0) == 0 for order in bench.did())
    assert bench.memory.lease == 0


@pytest.mark.parametrize("how", ["witness", "refusal", "no witnesses"])
def test_who_is_not_cut_off(how: str) -> None:
    bench = Bench().live()
    if how != "no witnesses":
        bench.tell(Witnessed, bench.now_ns)
    bench.silence(1, refused=how == "refusal")
    if how == "witness":
        bench.tell(Witnessed, bench.now_ns)
    bench.silence(3, refused=how == "refusal")
    assert bench.did() == [TakeOver(("gate",), 1)]


def test_a_spare_asks_before_it_stands_in() -> None:
    bench = Bench(ARBITRATED).live()
    bench.silence()
    assert bench.did() == [Claim(1, ("gate",))]
    bench.ruled(65, mine="gate")
    assert bench.did() == [TakeOver(("gate",), 65)]
    bench.ruled(129, mine="gate")
    assert bench.did() == [TakeOver(("gate",), 129)], "what is recorded goes on under the new number"


def test_what_another_spare_has_is_left_to_it_until_it_is_silent() -> None:
    bench = Bench(ARBITRATED).live()
    bench.silence()
    bench.ruled(others="gate")
    bench.silence(20)
    assert bench.did() == [Claim(1, ("gate",)), Claim(2, ())]
    bench.ruled()
    assert bench.did() == [Claim(3, ("gate",))]


def test_a_spare_that_is_refused_stops_and_keeps_what_it_has() -> None:
    bench = Bench(ARBITRATED).live()
    bench.silence()
    bench.ruled(65, mine="gate")
    bench.did()
    bench.ruled(others="gate")
    assert bench.did() == [StandDown(("gate",)), Claim(2, ())]
    assert bench.state == State.SEALING
    assert bench.memory.standing == ("gate",)


def test_nobody_rules() -> None:
    bench = Bench(ARBITRATED).live()
    bench.silence(3)
    bench.tell(Tick, after_ms=1900)
    assert bench.did() == [Claim(1, ("gate",))]
    bench.tell(Tick, after_ms=200)
    assert bench.did() == [TakeOver(("gate",), 1)], "when in doubt, record; 1 is of its own slot"


def test_an_old_ruling_grants_nothing() -> None:
    bench = Bench(ARBITRATED).live()
    bench.silence()
    bench.tell(Ruled, 99, 65, frozenset({"gate"}), frozenset())
    assert bench.did() == [Claim(1, ("gate",))]
    assert bench.memory.lease == 65, "but its number is known"


def test_what_another_spare_heals_is_remembered_until_it_has() -> None:
    for healed in ("", "gate"):
        bench = Bench(ARBITRATED).live()
        bench.ruled(others="gate")
        bench.answer(instance="b")
        assert not bench.did(), "the other one heals it"
        bench.ruled(healed=healed)
        assert bench.did() == ([] if healed else [Claim(1, ("gate",))])


def test_a_restarted_spare_claims_what_it_stands_in_for() -> None:
    bench = Bench(ARBITRATED, standing=Standing("rec-1", 129, ("gate",), right=65))
    assert bench.did() == [TakeOver(("gate",), 65)]
    bench.tell(Tick)
    assert bench.did() == [Claim(1, ("gate",))]


def test_what_a_refused_spare_has_waits_for_an_edge_that_can_be_relied_on() -> None:
    bench = Bench(ARBITRATED).live()
    bench.silence()
    bench.ruled(65, mine="gate")
    bench.ruled(others="gate")
    bench.did()
    for _ in range(6):
        bench.tell(Heard, frozenset({"gate"}), after_ms=500)
        bench.edge += 500
        bench.tell(Answered, "b", {"gate": CameraSeen(bench.edge * NS_PER_MS, settled=False)})
    assert not [order for order in bench.did() if isinstance(order, StartMerge)], "before the sender report"
    bench.answer(instance="b")
    bench.answer(instance="b")
    assert [order for order in bench.did() if isinstance(order, StartMerge)]
