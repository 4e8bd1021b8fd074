"""The machine step by step: what each kind of event changes, and what it orders."""

from __future__ import annotations

import itertools

import msgspec
import pytest

from fovideo.failover import (
    Answered,
    CameraSeen,
    HandBack,
    Heard,
    MergeEnded,
    NoAnswer,
    Ordered,
    PassOutcome,
    Portion,
    Settings,
    StandDown,
    Standing,
    StartMerge,
    State,
    TakeOver,
    Tick,
    Word,
    begin,
    standing,
    step,
)
from fovideo.times import NS_PER_MS, NS_PER_S

SETTINGS = Settings()


class Bench:
    """Feeds a machine; `ms` is the time, `did` what it ordered since it was last looked at."""

    def __init__(self, cameras: tuple[str, ...] = ("gate",), **restored: object) -> None:
        self.ms, self.cameras, self.edge = 0, cameras, 1000
        self.memory, actions = begin("rec-1", cameras, 0, **restored)
        self.orders = list(actions)

    def did(self) -> list[object]:
        orders, self.orders = self.orders, []
        return orders

    def tell(self, kind: type, *args: object, after_ms: int = 0, **more: object) -> None:
        self.ms += after_ms
        self.memory, actions = step(self.memory, kind(self.ms * NS_PER_MS, *args, **more), SETTINGS)
        self.orders += actions

    def answer(
        self, word: Word = Word.RECORDING, instance: str = "a", *, moving: bool = True, **seen: object
    ) -> None:
        self.tell(Heard, frozenset(self.cameras), after_ms=500)
        self.edge += 500 * moving
        edges = {name: CameraSeen(self.edge * NS_PER_MS, **seen) for name in self.cameras}
        self.tell(Answered, instance, edges, word)

    def live(self) -> Bench:
        for _ in range(10):
            self.answer()
        assert not self.did()
        return self

    def silence(self) -> None:
        for _ in range(4):
            self.tell(NoAnswer, True, after_ms=500)

    def merged(self, **outcome: int) -> None:
        (order,) = [o for o in self.did() if isinstance(o, StartMerge)]
        self.tell(
            MergeEnded, order.number, {p.stream: PassOutcome(**outcome) for p in order.portions}, after_ms=100
        )


def test_take_over_merge_seal_hand_back():
    bench = Bench().live()
    bench.silence()
    assert bench.did() == [TakeOver(("gate",), 1)]
    assert bench.memory.state == State.STANDING_IN
    bench.answer(instance="b", moving=False)
    assert bench.memory.state == State.STANDING_IN, "it answers, but nothing has reached its disk yet"
    bench.answer(instance="b")
    assert bench.memory.state == State.MERGING
    bench.merged(inserted=50, left=10, deferred=10)
    while bench.memory.state == State.MERGING:
        bench.answer(instance="b")
    assert bench.memory.state == State.SEALING
    orders = bench.did()
    assert StandDown(("gate",)) in orders
    bench.orders = orders
    if not any(isinstance(o, StartMerge) for o in orders):
        bench.answer(instance="b")
    bench.tell(MergeEnded, bench.memory.running.number, {"gate": PassOutcome(left=2)})
    assert bench.memory.state == State.SEALING, "something is left"
    bench.did()
    bench.answer(instance="b")
    bench.answer(instance="b")
    bench.merged(left=0)
    assert bench.did() == [HandBack(("gate",), (), 1, over=True)]
    assert bench.memory.state == State.WATCHING


def test_refused_counts_faster_than_silence():
    bench = Bench().live()
    bench.tell(NoAnswer, True, after_ms=500)
    assert bench.memory.state == State.SUSPECT
    bench.tell(NoAnswer, True, after_ms=500)
    assert bench.did() == [TakeOver(("gate",), 1)]
    bench = Bench().live()
    bench.tell(NoAnswer, False, after_ms=700)
    bench.tell(NoAnswer, False, after_ms=700)
    assert not bench.did()
    bench.tell(Tick, after_ms=100)
    assert bench.did() == [TakeOver(("gate",), 1)]


def test_a_pause_of_the_spare_is_not_the_servers_silence():
    bench = Bench().live()
    bench.tell(Tick, after_ms=60_000)
    bench.tell(NoAnswer, after_ms=1)
    assert not bench.did()


def test_a_server_that_says_it_stops_is_relieved_at_once():
    bench = Bench().live()
    bench.answer(Word.STOPPING)
    assert bench.did() == [TakeOver(("gate",), 1)]


def test_a_drained_server_is_left_alone():
    bench = Bench().live()
    bench.answer(Word.DRAINED)
    bench.silence()
    bench.tell(Tick, after_ms=3_600_000)
    assert not bench.did()


def test_frames_that_no_longer_reach_the_disk():
    bench = Bench(("gate", "yard")).live()
    for _ in range(11):
        bench.tell(Heard, frozenset({"gate", "yard"}), after_ms=500)
        bench.edge += 500
        cameras = {"gate": CameraSeen(bench.edge * NS_PER_MS), "yard": CameraSeen(1)}
        bench.tell(Answered, "a", cameras)
    assert bench.did() == [TakeOver(("yard",), 1)]
    assert bench.memory.duties["gate"].state == State.WATCHING


@pytest.mark.parametrize("change", [{"instance": "b"}, {"interruptions": 1}])
def test_a_restart_or_interruption_between_two_polls(change):
    bench = Bench().live()
    bench.answer(**change)
    assert bench.did() == [TakeOver(("gate",), 1)]


def test_each_takeover_has_a_higher_number():
    bench = Bench(lease=41).live()
    bench.silence()
    assert bench.did() == [TakeOver(("gate",), 42)]
    assert standing(bench.memory) == Standing("rec-1", 42, ("gate",))


def test_a_restarted_spare_goes_on():
    bench = Bench(("gate", "yard"), standing=Standing("rec-1", 7, ("gate",)), unmerged=("old",))
    assert bench.did() == [TakeOver(("gate", "old"), 7)]
    assert bench.memory.duties["yard"].state == State.WATCHING
    bench.silence()
    assert bench.did() == [TakeOver(("yard",), 7)]


def test_unmerged_footage_is_a_takeover_of_its_own():
    bench = Bench(standing=Standing("rec-1", 7, ()), unmerged=("gate",))
    assert bench.did() == [TakeOver(("gate",), 8)]
    again = msgspec.json.decode(msgspec.json.encode(standing(bench.memory)), type=Standing)
    assert again == standing(bench.memory)


def _merging(bench: Bench) -> Bench:
    bench.silence()
    bench.answer(instance="b", moving=False)
    bench.answer(instance="b")
    assert bench.memory.state == State.MERGING
    return bench


def _sealing(bench: Bench) -> Bench:
    _merging(bench)
    bench.merged()
    while bench.memory.state == State.MERGING:
        bench.answer(instance="b")
    assert bench.memory.state == State.SEALING
    return bench


def test_the_server_dies_again_during_the_merge():
    bench = _merging(Bench().live())
    (*_, order) = bench.did()
    bench.silence()
    assert bench.memory.state == State.STANDING_IN
    assert not bench.did(), "it never stopped recording"
    bench.tell(MergeEnded, order.number, {"gate": PassOutcome(left=0)})
    bench.tell(Tick, after_ms=100)
    assert bench.memory.state == State.STANDING_IN


def test_an_edge_in_another_clock_is_not_merged_up_to():
    """Before the first sender report, the server's times of a camera may be anything."""
    bench = Bench().live()
    bench.silence()
    for _ in range(10):
        bench.answer(instance="b", settled=False)
    assert bench.memory.state == State.STANDING_IN
    bench.answer(instance="b")
    assert bench.memory.state == State.MERGING
    bench.answer(instance="b", settled=False)
    assert bench.memory.state == State.STANDING_IN
    for _ in range(60):
        bench.answer(instance="b", settled=False)
    assert bench.memory.state != State.STANDING_IN, "no sender report will ever come"


@pytest.mark.parametrize("how", ["silence", "restart", "interruption"])
def test_the_server_dies_again_during_the_last_pass(how):
    bench = _sealing(Bench().live())
    bench.did()
    if how == "silence":
        bench.silence()
    else:
        bench.answer(instance="c" if how == "restart" else "b", interruptions=int(how == "interruption"))
    assert bench.did()[0] == TakeOver(("gate",), 1)
    assert bench.memory.state == State.STANDING_IN


def test_a_pass_that_began_before_the_last_frame_does_not_seal():
    bench = _merging(Bench().live())
    bench.merged()
    while bench.memory.state == State.MERGING:
        bench.did()
        bench.answer(instance="b")
    if bench.memory.running and bench.memory.running.started_ns < bench.memory.duties["gate"].since_ns:
        bench.tell(MergeEnded, bench.memory.running.number, {"gate": PassOutcome()})
        assert bench.memory.state == State.SEALING


def test_what_cannot_be_brought_back_is_reported_and_kept():
    bench = _sealing(Bench().live())
    bench.did()
    for _ in range(20):
        if bench.memory.running:
            outcome = {"gate": PassOutcome(left=3)}
            bench.tell(MergeEnded, bench.memory.running.number, outcome)
        bench.answer(instance="b")
        bench.answer(instance="b")
    (back,) = [o for o in bench.did() if isinstance(o, HandBack)]
    assert back == HandBack(("gate",), ("gate",), 1, over=True)


def test_deferred_frames_are_waited_for():
    bench = _sealing(Bench().live())
    for _ in range(40):
        if bench.memory.running:
            bench.tell(MergeEnded, bench.memory.running.number, {"gate": PassOutcome(left=3, deferred=3)})
        bench.answer(instance="b")
    assert bench.memory.state == State.SEALING


def test_a_failing_merge_is_tried_again_ever_more_slowly():
    bench = _merging(Bench().live())
    starts = []
    for _ in range(200):
        if bench.memory.running:
            starts.append(bench.memory.running.started_ns)
            bench.tell(MergeEnded, bench.memory.running.number, {}, "server is cut off")
        bench.answer(instance="b")
    assert bench.memory.state == State.MERGING
    pauses = [b - a for a, b in itertools.pairwise(starts)]
    assert pauses == sorted(pauses)
    assert pauses[-1] == 32 * NS_PER_S
    bench.did()
    bench.answer(instance="c", moving=False)
    bench.answer(instance="c")
    assert any(isinstance(o, StartMerge) for o in bench.did()), "a new instance is tried at once"


def test_a_pass_is_bounded_by_what_the_server_has_on_disk():
    bench = _merging(Bench().live())
    (*_, order) = bench.did()
    assert order.portions == (Portion("gate", until_ns=bench.edge * NS_PER_MS),)


def test_outcomes_of_another_pass_or_stream_are_ignored():
    bench = _merging(Bench().live())
    before = bench.memory
    bench.tell(MergeEnded, 99, {"gate": PassOutcome()})
    assert bench.memory == before
    bench.tell(MergeEnded, bench.memory.running.number, {"other": PassOutcome()})
    assert bench.memory.duties == before.duties


def test_a_server_that_was_drained_is_left_alone_when_it_returns_too():
    bench = Bench().live()
    bench.answer(Word.DRAINED)
    bench.silence()
    for _ in range(10):
        bench.answer(instance="b")
    assert not bench.did()
    bench.silence()
    assert bench.did() == [TakeOver(("gate",), 1)], "that was long ago"


def test_a_restarted_spare_knows_that_the_server_was_drained():
    bench = Bench().live()
    bench.answer(Word.DRAINED)
    again = Bench(standing=standing(bench.memory))
    again.silence()
    again.answer(instance="b")
    assert not again.did()


def test_an_order_to_stand_in_holds_until_the_order_to_hand_back():
    bench = Bench(("gate", "yard")).live()
    bench.tell(Ordered, True)
    assert bench.did() == [TakeOver(("gate", "yard"), 1)]
    for _ in range(20):
        bench.answer()
    assert bench.memory.state == State.STANDING_IN, "although the server is well"
    again = Bench(("gate", "yard"), standing=standing(bench.memory))
    assert again.did() == [TakeOver(("gate", "yard"), 1)]
    for _ in range(10):
        again.answer()
    assert again.memory.state == State.STANDING_IN
    bench.tell(Ordered, False)
    assert bench.memory.state == State.MERGING
    bench.merged()
    bench.answer()
    assert bench.memory.state == State.SEALING, "ordered back: handback_after is not waited for"


def test_an_order_to_hand_back_a_dead_server_loses_nothing():
    bench = Bench().live()
    bench.silence()
    bench.tell(Ordered, False)
    bench.silence()
    assert bench.memory.state == State.STANDING_IN
    assert bench.did() == [TakeOver(("gate",), 1)]


def test_an_order_during_the_last_pass():
    bench = _sealing(Bench().live())
    bench.did()
    bench.tell(Ordered, True)
    assert bench.did() == [TakeOver(("gate",), 1)]
