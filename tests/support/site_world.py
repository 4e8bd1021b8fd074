"""A whole site in simulated time: servers, spares, cameras, leases and the network, with random faults.

One beat is 500 ms, and a frame is the beat in which its camera made it, so sets of frames say exactly who has
what. The machine, the arbiter and the numbers are fovideo's own; everything around them is played. The peace
between two episodes of trouble is skipped, once everything has settled: nothing there depends on the date.
"""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass, field

from sim_etcd import Etcd, SimLeases

from fovideo.failover import (
    SPARES,
    Answered,
    CameraSeen,
    Claim,
    Fellow,
    HandBack,
    Heard,
    Holding,
    MergeEnded,
    NoAnswer,
    PassOutcome,
    Settings,
    StandDown,
    StartMerge,
    State,
    TakeOver,
    Tick,
    Witnessed,
    begin,
    standing,
    step,
)
from fovideo.service.arbiter import Arbiter, Post
from fovideo.times import NS_PER_MS

BEAT_NS = 500 * NS_PER_MS
PREROLL = 22
LATE = 24
"""Frames that a late disk lets wait: more than a pre-roll."""
STEADY = 20


@dataclass
class Session:
    """One recorder's connection to one camera."""

    connected: bool = False
    wait: int = 0
    memory: list[int] = field(default_factory=list)
    own: set[int] = field(default_factory=set)
    edge: int = 0
    interruptions: int = 0
    guess: Guess = field(default_factory=lambda: Guess())


@dataclass
class Guess:
    """How far a session's times are wrong before the first sender report, and for how many beats still."""

    beats: int = 0
    off: int = 0

    @classmethod
    def of(cls, world: SiteWorld) -> Guess:
        return cls(world.chance.randint(0, 12), world.chance.randint(-4, 4))

    @property
    def error(self) -> int:
        return self.off if self.beats > 0 else 0


class Server:
    def __init__(self, name: str, cameras: list[str]) -> None:
        self.name, self.cameras = name, cameras
        self.up, self.instance, self.boot, self.skew = False, 0, 1, 0
        self.sessions = {camera: Session() for camera in cameras}
        self.inserted: dict[str, set[int]] = {camera: set() for camera in cameras}
        self.told: dict[tuple[str, int], int] = {}

    def beat(self, world: SiteWorld) -> None:
        if self.name in world.dead:
            if self.up:
                for session in self.sessions.values():
                    session.connected, session.memory = False, []
            self.up, self.boot = False, world.chance.randint(1, 8)
            return
        if not self.up:
            self.boot -= 1
            if self.boot > 0:
                return
            self.up, self.instance = True, self.instance + 1
            for session in self.sessions.values():
                session.wait, session.edge, session.interruptions = world.chance.randint(0, 6), 0, 0
        for camera, session in self.sessions.items():
            frozen = self.name in world.frozen
            if frozen or camera in world.dead or world.cut(self.name, camera):
                if session.connected:
                    session.connected, session.wait = False, world.chance.randint(0, 4)
            elif session.connected:
                session.memory.append(world.beat)
            else:
                session.wait -= 1
                if session.wait < 0:
                    session.connected, session.interruptions = True, session.interruptions + 1
                    session.memory.append(world.beat)
                    session.guess = Guess.of(world)
            session.guess.beats -= session.connected
            keeps = LATE if self.name in world.late else 1
            if len(session.memory) > keeps and not frozen and self.name not in world.slow:
                session.own.update(session.memory[:-keeps])
                session.edge = session.memory[-keeps - 1] + 1
                del session.memory[:-keeps]

    def health(self, world: SiteWorld, heard: dict[str, Guess]) -> Answered:
        """heard: the cameras that the asking spare hears, and how far its own times are wrong."""
        seen = {}
        for camera, session in self.sessions.items():
            error = session.guess.error
            edge = (session.edge + error + self.skew) * BEAT_NS if session.edge else 0
            self.told[camera, edge] = session.edge + error
            guesses = (session.guess, heard.get(camera, session.guess))
            waits = world.beat - session.memory[0] if session.memory else 0
            seen[camera] = CameraSeen(
                edge,
                session.interruptions,
                bool(session.memory),
                settled=all(guess.beats <= 0 for guess in guesses),
                late_ns=waits * BEAT_NS,
            )
        return Answered(0, f"i{self.instance}", seen)

    def has(self, camera: str) -> set[int]:
        return self.sessions[camera].own | self.inserted[camera]


class Spare:
    def __init__(self, world: SiteWorld, place: int, servers: list[Server], room: int | None) -> None:
        self.world, self.place, self.room = world, place, room
        self.name, self.slot = f"spare{place}", place
        self.servers = servers
        self.of = {camera: server for server in servers for camera in server.cameras}
        self.pending: dict[str, set[int]] = {camera: set() for camera in self.of}
        self.persisted: dict[str, object] = {}
        self.crashes = 0
        self.up = False
        self.received: dict[str, set[int]] = {camera: set() for camera in self.of}
        self.numbers: list[tuple[str, int]] = []

    def begin(self) -> None:
        world = self.world
        self.up, self.paused = True, 0
        self.settings = Settings(
            arbitrated=len(world.spare_names) > 1 or self.room is not None, slot=self.slot, step=SPARES
        )
        self.ring = {camera: deque(maxlen=PREROLL) for camera in self.of}
        self.recording: dict[str, list[int] | None] = dict.fromkeys(self.of)
        self.connected = dict.fromkeys(self.of, False)
        self.last_heard = dict.fromkeys(self.of, -1000)
        self.guesses = {camera: Guess() for camera in self.of}
        self.interruptions = dict.fromkeys(self.of, 0)
        self.merging: dict[str, tuple[int, StartMerge, dict[str, set[int]], int]] = {}
        self.memories: dict[str, object] = {}
        self.fellows: dict[str, Fellow] = {}
        self.fellow_seen: dict[str, tuple[int, int]] = {}
        self.broken: dict[tuple[str, str], tuple[object, int]] = {}
        self.arbiter = Arbiter(
            Post(
                self.name, self.place, tuple(s.name for s in self.servers), self.room, {}, self.slot, SPARES
            ),
            SimLeases(world, self.name, self.slot),
            service=world.with_etcd,
            fellows=lambda: self.fellows,
            heard=lambda: frozenset(c for c in self.of if world.beat - self.last_heard[c] < PREROLL),
        )
        for server in self.servers:
            unmerged = [camera for camera in server.cameras if self.pending[camera]]
            outcome = begin(
                server.name,
                server.cameras,
                world.now,
                standing=self.persisted.get(server.name),
                unmerged=unmerged,
                settings=self.settings,
            )
            self.do(server, outcome)

    def crash(self) -> None:
        if self.up:
            self.crashes += 1
        self.up = False

    def beat(self) -> None:
        world = self.world
        if self.name in world.dead:
            self.crash()
            return
        if self.name in world.frozen:
            self.paused += 1
            return
        if not self.up:
            self.begin()
        paused, self.paused = self.paused, 0
        if paused > 6:
            self.connected = dict.fromkeys(self.of, False)
        for camera in self.of:
            if camera not in world.dead and not world.cut(self.name, camera):
                if 0 < paused <= 6 and self.connected[camera]:
                    # what a short pause lets wait in the sockets
                    late = range(world.beat - paused, world.beat)
                    self.received[camera].update(late)
                    written = self.recording[camera]
                    (self.ring[camera] if written is None else written).extend(late)
                if not self.connected[camera]:
                    self.connected[camera] = True
                    self.guesses[camera] = Guess.of(world)
                    self.interruptions[camera] += 1
                self.guesses[camera].beats -= 1
                self.last_heard[camera] = world.beat
                self.received[camera].add(world.beat)
                written = self.recording[camera]
                (self.ring[camera] if written is None else written).append(world.beat)
            else:
                self.connected[camera] = False
            if written := self.recording[camera]:
                self.pending[camera].update(written[:-1])
                del written[:-1]
        self.look_around()
        for server in self.servers:
            self.poll(server)
        if self.settings.arbitrated:
            for name, ruling in self.arbiter.cycle(world.now).items():
                server = next((s for s in self.servers if s.name == name), None)
                if server is not None:
                    self.tell(server, ruling)

    # What is known of others

    def look_around(self) -> None:
        """The other spares' health, and what that says about this one's network."""
        world = self.world
        reached = False
        for other in world.spares:
            if other is self:
                continue
            if other.up and other.name not in world.frozen and not world.cut(self.name, other.name):
                reached = True
                self.fellows[other.name] = self.fellow(other)
                self.fellow_seen[other.name] = (world.beat, 0)
            elif other.name in self.fellows:
                seen, _ = self.fellow_seen[other.name]
                if world.beat - seen > 3:
                    old = self.fellows[other.name]
                    self.fellows[other.name] = Fellow(place=old.place, servers=old.servers, busy=old.busy)
                    for key in [key for key in self.broken if key[0] == other.name]:
                        del self.broken[key]
        reached |= any(self.answers(server) for server in self.servers)
        self.reached = reached

    def fellow(self, other: Spare) -> Fellow:
        now = self.world.beat
        steady = set()
        for camera in other.of:
            sign = (other.crashes, other.interruptions[camera], other.connected[camera])
            known = self.broken.get((other.name, camera))
            if known is None or known[0] != sign:
                self.broken[other.name, camera] = known = (sign, now)
            if other.connected[camera] and now - known[1] > STEADY:
                steady.add(camera)
        records: dict[str, frozenset[str]] = {}
        for server in other.servers:
            duties, claimed = other.memories[server.name].duties, other.arbiter.holding(server.name).cameras
            records[server.name] = frozenset(
                c
                for c in server.cameras
                if other.recording[c] is not None or (duties[c].state == State.SEALING and c in claimed)
            )
        busy = frozenset(name for name, cameras in records.items() if cameras)
        holdings: dict[str, Holding] = {}
        for server in other.servers:
            right = other.memories[server.name].right
            if right and records[server.name]:
                firm = other.arbiter.holding(server.name).firm
                holdings[server.name] = Holding(number=right, cameras=records[server.name], firm=firm)
        return Fellow(
            place=other.place,
            answers=True,
            servers=frozenset(server.name for server in other.servers),
            busy=busy,
            records=records,
            steady=frozenset(steady),
            holdings=holdings,
        )

    def answers(self, server: Server) -> bool:
        world = self.world
        return server.up and server.name not in world.frozen and not world.cut(self.name, server.name)

    def poll(self, server: Server) -> None:
        world, now = self.world, self.world.now
        heard = frozenset(c for c in server.cameras if self.connected[c])
        self.tell(server, Heard(now, heard))
        self.tell(server, Witnessed(now, now if self.reached else -1))
        self.merged(server)
        if self.answers(server):
            health = server.health(world, {camera: self.guesses[camera] for camera in heard})
            self.tell(server, Answered(now, health.instance, health.cameras))
        else:
            alive = server.name not in world.frozen and not world.cut(self.name, server.name)
            self.tell(server, NoAnswer(now, refused=alive))
        self.tell(server, Tick(now))

    # The machine's orders

    def tell(self, server: Server, event: object) -> None:
        self.do(server, step(self.memories[server.name], event, self.settings))

    def do(self, server: Server, outcome: object) -> None:
        world = self.world
        memory, actions = outcome
        self.memories[server.name] = memory
        self.persisted[server.name] = standing(memory)
        for action in actions:
            match action:
                case TakeOver(cameras, lease):
                    world.taken(self, server, action)
                    for camera in cameras:
                        if self.recording[camera] is None:
                            self.recording[camera] = list(self.ring[camera])
                            self.ring[camera].clear()
                    if lease:
                        world.number(server.name, lease, self.name)
                case StandDown(cameras):
                    for camera in cameras:
                        written = self.recording[camera] or []
                        self.pending[camera].update(written)
                        self.ring[camera].extend(written[-PREROLL:])
                        self.recording[camera] = None
                case StartMerge():
                    plan = {p.stream: self.portion(server, p) for p in action.portions}
                    done = world.beat + world.chance.randint(1, 5)
                    self.merging[server.name] = (done, action, plan, server.instance)
                case HandBack(cameras, incomplete):
                    assert not incomplete
                    for camera in cameras:
                        assert not self.pending[camera], f"handed back {camera} with frames left"
                case Claim(number, cameras):
                    self.arbiter.wish(server.name, number, cameras, world.now, memory.lease)

    def portion(self, server: Server, portion: object) -> set[int]:
        camera, frames = portion.stream, set(self.pending[portion.stream])
        if portion.until_ns is not None:
            edge = server.told.get((camera, portion.until_ns), 0) - self.guesses[camera].error
            frames = {frame for frame in frames if frame < edge}
        if portion.lag_ns:
            newest = max(frames, default=0)
            frames = {frame for frame in frames if frame < newest - portion.lag_ns // BEAT_NS}
        return frames

    def merged(self, server: Server) -> None:
        running = self.merging.get(server.name)
        if running is None or self.world.beat < running[0]:
            return
        _, order, plan, instance = self.merging.pop(server.name)
        if not self.answers(server) or instance != server.instance or self.world.chance.random() < 0.02:
            self.tell(server, MergeEnded(self.world.now, order.number, {}, "cut off"))
            return
        outcomes = {}
        for camera, frames in plan.items():
            lacking = frames - server.has(camera)
            server.inserted[camera] |= lacking
            self.pending[camera] -= frames
            left = len(self.pending[camera])
            outcomes[camera] = PassOutcome(len(lacking), left, left)
        self.tell(server, MergeEnded(self.world.now, order.number, outcomes))


class SiteWorld:
    """servers, spares: how many. with_etcd: else the order of the site decides."""

    def __init__(
        self, chance: random.Random, servers: int, spares: int, *, with_etcd: bool, room: int | None = None
    ) -> None:
        self.chance, self.beat, self.with_etcd = chance, 100, with_etcd
        self.etcd = Etcd()
        self.dead: set[str] = set()
        self.frozen: set[str] = set()
        self.slow: set[str] = set()
        self.late: set[str] = set()
        self.cuts: set[tuple[str, str]] = set()
        self.holders: dict[tuple[str, int], str] = {}
        self.takeovers: list[tuple[int, str, str, TakeOver]] = []
        self.servers = [
            Server(f"rec{n}", [f"cam{n}{c}" for c in range(chance.randint(1, 2))]) for n in range(servers)
        ]
        self.spare_names = [f"spare{n}" for n in range(spares)]
        self.spares = [Spare(self, n, self.servers, room) for n in range(spares)]
        self.cameras = [camera for server in self.servers for camera in server.cameras]
        for _ in range(12):
            self.beat += 1
            for server in self.servers:
                server.beat(self)
        self.run(4)

    @property
    def now(self) -> int:
        return self.beat * BEAT_NS

    def cut(self, one: str, other: str) -> bool:
        cuts = self.cuts
        return bool(cuts) and (
            (one, other) in cuts or (other, one) in cuts or (one, "*") in cuts or (other, "*") in cuts
        )

    def run(self, beats: int) -> None:
        for _ in range(beats):
            self.beat += 1
            self.etcd.expire(self.beat)
            for server in self.servers:
                server.beat(self)
            for spare in self.spares:
                spare.beat()

    def skip(self) -> None:
        """Peace: everybody has every frame, so none of it is kept in mind."""
        for server in self.servers:
            for camera, session in server.sessions.items():
                session.own, server.inserted[camera] = set(), set()
            server.told.clear()
        for spare in self.spares:
            spare.received = {camera: set() for camera in spare.of}
            spare.crashes = 0

    # What must hold

    def taken(self, spare: Spare, server: Server, action: TakeOver) -> None:
        self.takeovers.append((self.beat, spare.name, server.name, action))

    def number(self, server: str, number: int, holder: str) -> None:
        assert self.holders.setdefault((server, number), holder) == holder, f"two holders of {number}"

    def settled(self) -> bool:
        return all(
            spare.up and memory.state == State.WATCHING
            for spare in self.spares
            for memory in spare.memories.values()
        )

    def check(self, since: int) -> None:
        """Everything that a spare received, or a server has on disk, is in the right timeline, once."""
        for server in self.servers:
            for camera in server.cameras:
                twice = server.sessions[camera].own & server.inserted[camera]
                assert not twice, f"{camera}: twice: {sorted(twice)[:5]}"
                timeline = server.has(camera) | set(server.sessions[camera].memory)
                for spare in self.spares:
                    assert not spare.pending[camera]
                    if spare.crashes:
                        continue
                    missing = {f for f in spare.received[camera] - timeline if f >= since}
                    assert not missing, f"{camera}: {spare.name} received {sorted(missing)[:9]}"
