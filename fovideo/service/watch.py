"""Watches one server: polls it, tells the failover machine, and has its orders carried out."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from typing import Protocol

import msgspec

from fovideo.decoding import from_json
from fovideo.errors import FovideoError, StoreError
from fovideo.failover import (
    Action,
    Answered,
    CameraSeen,
    Claim,
    Event,
    HandBack,
    Heard,
    Memory,
    MergeEnded,
    NoAnswer,
    PassOutcome,
    Portion,
    Settings,
    StandDown,
    Standing,
    StartMerge,
    Step,
    TakeOver,
    Witnessed,
    Word,
    begin,
    standing,
    step,
    suspicion,
)
from fovideo.peer import Health, Unanswered
from fovideo.service.describe import SURE_CLOCKS
from fovideo.times import NS_PER_S

_log = logging.getLogger(__name__)


class Hands(Protocol):
    """What a watch needs of its spare. All but `merge` return at once."""

    def heard(self) -> dict[str, str]:
        """The cameras that deliver to this spare now, with the name of the clock of their times."""

    def take_over(self, cameras: tuple[str, ...], lease: int) -> None: ...

    def stand_down(self, cameras: tuple[str, ...]) -> None: ...

    def hand_back(self, order: HandBack) -> None: ...

    def claim(self, order: Claim, known: int) -> None:
        """Settle with the other spares. known: the highest number that the watch knows."""

    def witness_ns(self) -> int | None:
        """When anything but the server was last reached, -1 = never; None: there is nothing else."""

    def merge(self, portions: tuple[Portion, ...], lease: int) -> tuple[dict[str, PassOutcome], str]:
        """One pass: the outcome by stream, and why streams are missing in it. Waits for disks and network."""

    def remember(self, standing: Standing) -> None:
        """Make durable what must survive a restart. StoreError."""


class Watch:
    """A thread that watches one server."""

    def __init__(
        self,
        server: str,
        cameras: Iterable[str],
        *,
        ask: Callable[[], Health],
        hands: Hands,
        settings: Settings,
        poll_ns: int,
        standing: Standing | None = None,
        unmerged: Iterable[str] = (),
        lease: int = 0,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """ask: polls the server once. standing, unmerged, lease: see fovideo.failover.begin."""
        self._ask, self._hands, self._settings, self._poll_ns = ask, hands, settings, poll_ns
        self._now_ns = monotonic_ns
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._merger: threading.Thread | None = None
        self._thread = threading.Thread(target=self._run, name=f"watch-{server}", daemon=True)
        self._first = begin(
            server,
            cameras,
            self._now_ns(),
            standing=standing,
            unmerged=unmerged,
            lease=lease,
            settings=settings,
        )
        self._memory = self._first.memory
        self.answered_wall_ns = 0
        self.silence = ""

    # answered_wall_ns: the last sign of life. silence: why there is none now, "" while there is.

    @property
    def suspicion(self) -> float:
        """How likely the server is down now, see fovideo.failover.suspicion."""
        return suspicion(self._memory, self._now_ns(), self._settings)

    @property
    def memory(self) -> Memory:
        """What is known of the server now."""
        return self._memory

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End watching. A merge pass that runs goes on: see join_merge."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()

    def join_merge(self, timeout_s: float) -> bool:
        """After stop: wait for a merge pass that runs; False if it still does."""
        merger = self._merger
        if merger is not None:
            merger.join(timeout_s)
        return merger is None or not merger.is_alive()

    def _run(self) -> None:
        with self._lock:
            self._carry_out(self._first)
        while not self._stopping.is_set():
            began_ns = self._now_ns()
            try:
                self.poll()
            except Exception:
                # Whatever is wrong, a server that is not watched is worse.
                _log.exception("%s: a poll went wrong", self._memory.server)
            left_ns = self._poll_ns - (self._now_ns() - began_ns)
            self._stopping.wait(max(left_ns, 0) / NS_PER_S)

    def poll(self) -> None:
        """Ask the server once, and act on it."""
        heard = self._hands.heard()
        self.tell(Heard(self._now_ns(), frozenset(heard)))
        witness_ns = self._hands.witness_ns()
        if witness_ns is not None:
            self.tell(Witnessed(self._now_ns(), witness_ns))
        asked_ns = self._now_ns()
        try:
            health = self._ask()
        except FovideoError as error:
            if str(error) != self.silence:
                _log.info("%s: does not answer: %s", self._memory.server, error)
            self.silence = str(error)
            refused = isinstance(error, Unanswered) and error.refused
            self.tell(NoAnswer(self._now_ns(), refused))
            return
        self.answered_wall_ns, self.silence = time.time_ns(), ""
        self.tell(answered(self._now_ns(), health, heard, took_ns=self._now_ns() - asked_ns))

    def tell(self, event: Event) -> None:
        """Let the machine know, and carry out what it orders. Any thread."""
        with self._lock:
            self._carry_out(step(self._memory, event, self._settings))

    def _carry_out(self, outcome: Step) -> None:
        before, self._memory = standing(self._memory), outcome.memory
        after = standing(outcome.memory)
        if after != before or outcome is self._first:
            try:
                self._hands.remember(after)
            except StoreError as error:
                # Recording matters more: after a restart, the footage itself says what is unmerged.
                _log.error("%s: cannot note the takeover: %s", after.server, error)
        for action in outcome.actions:
            try:
                self._act(action)
            except Exception:
                _log.exception("%s: an order failed: %s", after.server, action)

    def _act(self, action: Action) -> None:
        server = self._memory.server
        match action:
            case TakeOver(cameras, lease):
                if not lease:
                    _log.warning(
                        "%s: recording %s without a claim: perhaps it is this spare that is cut off",
                        server,
                        ", ".join(cameras),
                    )
                self._hands.take_over(cameras, lease)
            case StandDown(cameras):
                _log.info("%s: records %s again", server, ", ".join(cameras))
                self._hands.stand_down(cameras)
            case HandBack():
                self._hands.hand_back(action)
            case Claim():
                self._hands.claim(action, self._memory.lease)
            case StartMerge():
                self._merger = threading.Thread(
                    target=self._merge, args=(action,), name=f"merge-{server}", daemon=True
                )
                self._merger.start()

    def _merge(self, order: StartMerge) -> None:
        outcomes: dict[str, PassOutcome] = {}
        error = "it ended unexpectedly"
        try:
            outcomes, error = self._hands.merge(order.portions, order.lease)
        except Exception:
            _log.exception("%s: a merge pass ended unexpectedly", self._memory.server)
        if not self._stopping.is_set():
            self.tell(MergeEnded(self._now_ns(), order.number, outcomes, error))


def answered(now_ns: int, health: Health, heard: dict[str, str], took_ns: int = 0) -> Answered:
    """What a server's health means to the machine. heard: see Hands.heard."""
    cameras = {
        name: CameraSeen(
            durable_to_ns=camera.durable_to_ns,
            interruptions=camera.sessions + camera.dropped + camera.lost,
            holding=camera.held_bytes > 0,
            settled={camera.clock, heard.get(name, camera.clock)} <= SURE_CLOCKS,
            late_ns=camera.late_ns,
        )
        for name, camera in health.cameras.items()
        if camera.mode == "record"
    }
    try:
        word = Word(health.state)
    except ValueError:
        word = Word.RECORDING
    return Answered(now_ns, health.instance, cameras, word, took_ns, bool(health.store.error))


def decode_standing(data: bytes | None) -> Standing | None:
    """What `remember` made durable; None if there is nothing, or nothing readable."""
    if data is None:
        return None
    try:
        return from_json(data, Standing)
    except msgspec.MsgspecError as error:
        _log.error("what was noted of a takeover cannot be read: %s", error)
        return None
