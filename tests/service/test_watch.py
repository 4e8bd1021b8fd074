"""A watch: what it hears of a server reaches the machine, and what the machine orders is done."""

from __future__ import annotations

import threading

import pytest

from fovideo.errors import PeerUnauthorized, StoreError
from fovideo.failover import (
    CameraSeen,
    Claim,
    HandBack,
    PassOutcome,
    Portion,
    Settings,
    Standing,
    State,
    Word,
)
from fovideo.peer import CameraHealth, Health, StoreHealth, Unanswered
from fovideo.service.watch import Watch, answered, decode_standing
from fovideo.times import NS_PER_MS, NS_PER_S


class Clock:
    def __init__(self) -> None:
        self.now_ns = 10**15

    def __call__(self) -> int:
        return self.now_ns


class FakeHands:
    """Notes what it is told. `merged` is set when a pass has ended."""

    def __init__(self) -> None:
        self.did: list[tuple[object, ...]] = []
        self.noted: list[Standing] = []
        self.outcome: tuple[dict[str, PassOutcome], str] | Exception = ({"gate": PassOutcome()}, "")
        self.disk_works = True
        self.merging = threading.Event()

    def heard(self) -> dict[str, str]:
        return {"gate": "sender-report"}

    def take_over(self, cameras: tuple[str, ...], lease: int) -> None:
        self.did.append(("take over", cameras, lease))

    def stand_down(self, cameras: tuple[str, ...]) -> None:
        self.did.append(("stand down", cameras))

    def hand_back(self, order: HandBack) -> None:
        self.did.append(("hand back", order.cameras))

    def claim(self, order: Claim, known: int) -> None:
        self.did.append(("claim", order.cameras, known))

    def witness_ns(self) -> int | None:
        return None

    def merge(self, portions: tuple[Portion, ...], lease: int) -> tuple[dict[str, PassOutcome], str]:
        self.did.append(("merge", tuple(portion.stream for portion in portions)))
        self.merging.set()
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome

    def remember(self, standing: Standing) -> None:
        if not self.disk_works:
            raise StoreError("disk full")
        self.noted.append(standing)


class Server:
    """Answers as told. answer: a Health, or the error of a poll."""

    def __init__(self) -> None:
        self.edge_ns, self.instance, self.error = NS_PER_S, "a", None

    def __call__(self) -> Health:
        if self.error is not None:
            raise self.error
        self.edge_ns += 500 * NS_PER_MS
        return health(self.edge_ns, self.instance)


def health(edge_ns: int, instance: str = "a", state: str = "recording", **camera: object) -> Health:
    seen = CameraHealth(state="live", durable_to_ns=edge_ns, clock="sender-report", **camera)
    return Health(
        name="rec-1",
        role="server",
        instance=instance,
        state=state,
        now_ns=0,
        cameras={"gate": seen},
        store=StoreHealth(id="0" * 32),
    )


class Bench:
    def __init__(self, **restored: object) -> None:
        self.clock, self.hands, self.server = Clock(), FakeHands(), Server()
        self.watch = Watch(
            "rec-1",
            ["gate"],
            ask=self.server,
            hands=self.hands,
            settings=Settings(),
            poll_ns=500 * NS_PER_MS,
            monotonic_ns=self.clock,
            **restored,
        )

    def polls(self, count: int) -> None:
        for _ in range(count):
            self.clock.now_ns += 500 * NS_PER_MS
            self.watch.poll()
            merger = self.watch._merger
            if merger is not None:
                merger.join()

    def did(self, kind: str) -> list[tuple[object, ...]]:
        return [each for each in self.hands.did if each[0] == kind]


REFUSED = Unanswered("nothing listens there", refused=True)


def test_the_whole_course() -> None:
    bench = Bench()
    bench.polls(10)
    assert bench.hands.did == []
    bench.server.error = REFUSED
    bench.polls(3)
    assert bench.hands.did == [("take over", ("gate",), 1)]
    assert bench.hands.noted == [Standing("rec-1", 1, ("gate",))]
    bench.server.error, bench.server.instance = None, "b"
    bench.polls(20)
    assert [each[0] for each in bench.hands.did if each[0] != "merge"] == [
        "take over",
        "stand down",
        "hand back",
    ]
    assert bench.did("merge")
    assert bench.hands.noted[-1] == Standing("rec-1", 1, ())
    assert bench.watch.memory.state == State.WATCHING


@pytest.mark.parametrize("error", [Unanswered("no answer in time"), PeerUnauthorized("wrong token"), REFUSED])
def test_whatever_is_no_answer_is_a_sign_of_death(error: Exception) -> None:
    bench = Bench()
    bench.polls(3)
    bench.server.error = error
    bench.polls(4)
    assert bench.watch.memory.state == State.STANDING_IN


def test_a_full_disk_keeps_nobody_from_standing_in() -> None:
    bench = Bench()
    bench.polls(3)
    bench.hands.disk_works = False
    bench.server.error = REFUSED
    bench.polls(4)
    assert bench.did("take over")


def test_an_order_that_fails_does_not_end_the_watch() -> None:
    bench = Bench()
    bench.polls(3)
    bench.hands.take_over = lambda cameras, lease: 1 / 0
    bench.server.error = REFUSED
    bench.polls(4)
    assert bench.watch.memory.state == State.STANDING_IN
    bench.server.error = None
    bench.polls(20)
    assert bench.did("hand back")


@pytest.mark.parametrize("outcome", [({}, "the server is cut off"), ZeroDivisionError()])
def test_a_merge_that_fails_is_tried_again(outcome: object) -> None:
    bench = Bench()
    bench.polls(3)
    bench.server.error = REFUSED
    bench.polls(4)
    bench.server.error, bench.hands.outcome = None, outcome
    bench.polls(20)
    tried = len(bench.did("merge"))
    assert 1 < tried < 10
    assert not bench.did("hand back")
    bench.hands.outcome = ({"gate": PassOutcome()}, "")
    bench.polls(100)
    assert bench.did("hand back")


def test_a_restarted_spare_goes_on() -> None:
    bench = Bench(standing=Standing("rec-1", 7, ("gate",)))
    bench.watch._carry_out(bench.watch._first)
    assert bench.hands.did == [("take over", ("gate",), 7)]
    assert bench.hands.noted == [Standing("rec-1", 7, ("gate",))]


def test_the_thread_polls_until_it_is_stopped() -> None:
    hands, server = FakeHands(), Server()
    polled = threading.Semaphore(0)

    def ask() -> Health:
        polled.release()
        if server.edge_ns > 3 * NS_PER_S:
            raise ZeroDivisionError
        return server()

    watch = Watch("rec-1", ["gate"], ask=ask, hands=hands, settings=Settings(), poll_ns=NS_PER_MS)
    watch.start()
    for _ in range(10):
        assert polled.acquire(timeout=30), "an unexpected error ended the watch"
    watch.stop()
    assert watch.answered_wall_ns


def test_what_health_means() -> None:
    heard = {"gate": "sender-report"}
    event = answered(5, health(7, sessions=2, dropped=3, lost=4, held_bytes=1), heard)
    assert event.cameras == {"gate": CameraSeen(7, 9, True, True)}
    assert event.word == Word.RECORDING
    assert answered(5, health(7, state="stopping"), heard).word == Word.STOPPING
    assert answered(5, health(7, state="starting"), heard).word == Word.RECORDING
    assert answered(5, health(7, mode="standby"), heard).cameras == {}


def test_times_before_the_first_sender_report_are_not_settled() -> None:
    import msgspec

    early = health(7)
    camera = msgspec.structs.replace(early.cameras["gate"], clock="local")
    early = msgspec.structs.replace(early, cameras={"gate": camera})
    assert not answered(5, early, {"gate": "sender-report"}).cameras["gate"].settled
    assert not answered(5, early, {"gate": "local"}).cameras["gate"].settled, "one may come soon"
    assert not answered(5, health(7), {"gate": "local"}).cameras["gate"].settled
    assert answered(5, health(7), {"gate": "sender-report"}).cameras["gate"].settled
    assert answered(5, health(7), {}).cameras["gate"].settled
    assert not answered(5, early, {}).cameras["gate"].settled, "what this spare has of it has times, too"


def test_notes_that_cannot_be_read() -> None:
    assert decode_standing(None) is None
    assert decode_standing(b"\xff{") is None
    assert decode_standing(b'{"server":"rec-1","lease":3,"cameras":["gate"]}') == Standing(
        "rec-1", 3, ("gate",)
    )
