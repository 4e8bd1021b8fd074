"""A site in simulated time: cameras, a server, a spare and the network between, with faults on a schedule.

One tick is 100 ms. A frame is the number of the tick in which its camera made it, so sets of frames say
exactly who has what. The world plays everything that the machine does not: disks, memory, polls, merges.
"""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass, field

from fovideo.failover import (
    Answered,
    CameraSeen,
    HandBack,
    Heard,
    MergeEnded,
    NoAnswer,
    PassOutcome,
    Settings,
    StandDown,
    StartMerge,
    State,
    TakeOver,
    begin,
    standing,
    step,
)
from fovideo.times import NS_PER_MS

TICK_NS = 100 * NS_PER_MS
COMMIT_TICKS = 5
POLL_TICKS = 5
TIMEOUT_TICKS = 7
PREROLL_TICKS = 100
GOP_TICKS = 10
LATE_TICKS = 120
"""How long a late disk lets frames wait: longer than the pre-roll."""
HEAD_START_TICKS = 60
"""How much earlier than the spare the server starts."""

KINDS = (
    "crash",
    "freeze",
    "cut",
    "server camera",
    "spare camera",
    "camera",
    "spare crash",
    "spare pause",
    "slow disk",
    "late disk",
    "merge",
)


@dataclass(frozen=True)
class Fault:
    """kind: one of KINDS. camera: which one, for those that concern a camera."""

    kind: str
    start: int
    ticks: int
    camera: int = 0

    def covers(self, tick: int) -> bool:
        return self.start <= tick < self.start + self.ticks


@dataclass
class Session:
    """One recorder's connection to one camera: what it holds in memory, and what is on its disk."""

    connected: bool = False
    wait: int = 0
    memory: list[int] = field(default_factory=list)
    own: set[int] = field(default_factory=set)
    edge: int = 0
    interruptions: int = 0

    def waits(self, tick: int) -> int:
        """For how long the oldest frame in memory has been there."""
        return tick - min(self.memory) if self.memory else 0


class World:
    def __init__(
        self, cameras: int, faults: list[Fault], seed: int, settings: Settings | None = None
    ) -> None:
        self.names = [f"cam{i}" for i in range(cameras)]
        self.faults = {kind: [f for f in faults if f.kind == kind] for kind in {f.kind for f in faults}}
        self.random, self.tick = random.Random(seed), 0
        self.settings = settings or Settings()
        self.server = {name: Session() for name in self.names}
        self.inserted: dict[str, set[int]] = {name: set() for name in self.names}
        self.server_up, self.instance, self.boot = False, 0, 3
        self.ring = self._rings()
        self.recording: dict[str, list[int] | None] = dict.fromkeys(self.names)
        self.pending: dict[str, set[int]] = {name: set() for name in self.names}
        self.spare_ever: dict[str, set[int]] = {name: set() for name in self.names}
        self.received: dict[str, set[int]] = {name: set() for name in self.names}
        self.heard_at = dict.fromkeys(self.names, -1000)
        self.persisted = None
        self.memory = None
        self.merge: tuple[int, StartMerge, dict[str, tuple[set[int], set[int]]], int] | None = None
        self.poll_at, self.answer = 0, None
        self.takeovers: list[tuple[int, TakeOver]] = []
        self.handbacks: list[tuple[int, HandBack]] = []
        self.merges = 0
        for _ in range(HEAD_START_TICKS):
            self.tick += 1
            self._server()

    def _rings(self) -> dict[str, deque[int]]:
        return {name: deque(maxlen=PREROLL_TICKS) for name in self.names}

    # What faults say now

    def fault(self, kind: str, name: str = "") -> bool:
        return self._was(kind, name, self.tick)

    def delivers(self, name: str) -> bool:
        return not self.fault("camera", name)

    # One tick

    def run(self, ticks: int) -> None:
        for _ in range(ticks):
            self.tick += 1
            self._server()
            self._spare()

    def _server(self) -> None:
        if self.fault("crash"):
            if self.server_up:
                for session in self.server.values():
                    session.connected, session.memory = False, []
            self.server_up, self.boot = False, self.random.randint(2, 30)
            return
        if not self.server_up:
            self.boot -= 1
            if self.boot > 0:
                return
            self.server_up, self.instance = True, self.instance + 1
            for session in self.server.values():
                session.wait, session.edge, session.interruptions = self.random.randint(1, 40), 0, 0
        if self.fault("freeze"):
            for session in self.server.values():
                if session.connected:
                    session.connected, session.wait = False, self.random.randint(1, 20)
            return
        for name, session in self.server.items():
            self._server_camera(name, session)

    def _server_camera(self, name: str, session: Session) -> None:
        if self.delivers(name) and not self.fault("server camera", name):
            if not session.connected:
                session.wait -= 1
                if session.wait <= 0:
                    session.connected = True
                    session.interruptions += 1
                    # A camera may begin with the GOP that runs, so with frames from before the connection.
                    made = range(max(1, self.tick - self.random.randint(0, GOP_TICKS)), self.tick)
                    last = max(session.own | set(session.memory), default=0)
                    alive = [t for t in made if t > last and not self._was("camera", name, t)]
                    session.memory.extend(alive)
            if session.connected:
                session.memory.append(self.tick)
        elif session.connected:
            session.connected, session.wait = False, self.random.randint(1, 20)
        if self.tick % COMMIT_TICKS == 0 and not self.fault("slow disk"):
            lag = LATE_TICKS if self.fault("late disk") else 0
            written = [frame for frame in session.memory if frame <= self.tick - lag]
            if written:
                session.own.update(written)
                session.edge = max(written) + 1
                session.memory = [frame for frame in session.memory if frame > self.tick - lag]

    def _was(self, kind: str, name: str, tick: int) -> bool:
        for fault in self.faults.get(kind, ()):
            if fault.covers(tick) and (not name or self.names[fault.camera % len(self.names)] == name):
                return True
        return False

    def _spare(self) -> None:
        if self.fault("spare crash"):
            self.memory, self.merge, self.answer = None, None, None
            self.ring = self._rings()
            self.recording = dict.fromkeys(self.names)
            return
        if self.fault("spare pause"):
            return
        for name in self.names:
            if self.delivers(name) and not self.fault("spare camera", name):
                self.heard_at[name] = self.tick
                self.received[name].add(self.tick)
                self._spare_frame(name)
            if self.tick % COMMIT_TICKS == 0:
                self._flush(name)
        if self.memory is None:
            unmerged = [name for name in self.names if self.pending[name]]
            self._do(begin("rec-1", self.names, self.now, standing=self.persisted, unmerged=unmerged))
            self.poll_at = self.tick
        self._merging()
        self._polling()

    def _spare_frame(self, name: str) -> None:
        written = self.recording[name]
        if written is not None:
            written.append(self.tick)
        else:
            self.ring[name].append(self.tick)

    def _flush(self, name: str) -> None:
        if written := self.recording[name]:
            self.pending[name].update(written)
            self.spare_ever[name].update(written)
            written.clear()

    # The machine and its surroundings

    @property
    def now(self) -> int:
        return self.tick * TICK_NS

    def _tell(self, event: object) -> None:
        self._do(step(self.memory, event, self.settings))

    def _polling(self) -> None:
        if self.answer is None and self.tick >= self.poll_at:
            self._tell(Heard(self.now, frozenset(n for n in self.names if self.tick - self.heard_at[n] < 20)))
            unreachable = self.fault("cut") or (self.fault("freeze") and self.server_up)
            self.answer = (self.tick + (TIMEOUT_TICKS if unreachable else 0), unreachable)
            self.poll_at = self.tick + POLL_TICKS
        if self.answer is None or self.tick < self.answer[0]:
            return
        unreachable, self.answer = self.answer[1], None
        if unreachable:
            self._tell(NoAnswer(self.now))
        elif not self.server_up:
            self._tell(NoAnswer(self.now, refused=True))
        else:
            cameras = {
                n: CameraSeen(
                    s.edge * TICK_NS, s.interruptions, bool(s.memory), late_ns=s.waits(self.tick) * TICK_NS
                )
                for n, s in self.server.items()
            }
            self._tell(Answered(self.now, f"i{self.instance}", cameras))

    def _merging(self) -> None:
        if self.merge is None or self.tick < self.merge[0]:
            return
        _, order, plan, instance = self.merge
        self.merge = None
        if (
            self.fault("merge")
            or not self.server_up
            or self.fault("cut")
            or self.fault("freeze")
            or self.instance != instance
        ):
            self._tell(MergeEnded(self.now, order.number, {}, "cut off"))
            return
        outcomes = {}
        for portion in order.portions:
            name = portion.stream
            taken, lacking = plan[name]
            self.inserted[name] |= lacking
            held = self.server[name].own | self.inserted[name]
            self.pending[name] -= taken & held
            left = len(self.pending[name])
            outcomes[name] = PassOutcome(len(lacking), left, left)
        self._tell(MergeEnded(self.now, order.number, outcomes))

    def _do(self, outcome: object) -> None:
        self.memory, actions = outcome
        self.persisted = standing(self.memory)
        for action in actions:
            match action:
                case TakeOver():
                    self._take_over(action)
                case StandDown():
                    for name in action.cameras:
                        self._check_stand_down(name)
                        self._flush(name)
                        self.recording[name] = None
                case StartMerge():
                    assert self.merge is None
                    self.merges += 1
                    plan = {p.stream: self._plan(p) for p in action.portions}
                    self.merge = (self.tick + self.random.randint(1, 30), action, plan, self.instance)
                case HandBack():
                    self.handbacks.append((self.tick, action))
                    assert not action.incomplete
                    for name in action.cameras:
                        assert not self.pending[name], f"handed back {name} with frames left"

    def _take_over(self, action: TakeOver) -> None:
        for name in action.cameras:
            assert self.recording[name] is None
            self.recording[name] = list(self.ring[name])
            self.ring[name].clear()
        self.takeovers.append((self.tick, action))

    def _plan(self, portion: object) -> tuple[set[int], set[int]]:
        """Frames of the portion, and those of them that the server lacks at this moment."""
        name, until = portion.stream, portion.until_ns
        frames = set(self.pending[name])
        if until is not None:
            frames = {f for f in frames if f * TICK_NS < until}
        if portion.lag_ns:
            newest = max(self.pending[name], default=0)
            frames = {f for f in frames if f < newest - portion.lag_ns // TICK_NS}
        return frames, frames - self.server[name].own - self.inserted[name]

    def _check_stand_down(self, name: str) -> None:
        silent = self.tick - self.heard_at[name] > 20
        recent = set(range(self.tick - 70, self.tick)) & self.server[name].own
        assert recent or silent, f"stopped recording {name} while the server does not record it"

    # Verdicts

    def settled(self) -> bool:
        return self.memory is not None and self.memory.state == State.WATCHING

    def check_exactly_once(self) -> None:
        for name in self.names:
            twice = self.server[name].own & self.inserted[name]
            assert not twice, f"{name}: twice in the timeline: {sorted(twice)[:5]}"

    def lost(self, name: str) -> set[int]:
        """Frames that the spare received or the server made durable, but that are not in the timeline."""
        return self.received[name] - self.server[name].own - self.inserted[name]
