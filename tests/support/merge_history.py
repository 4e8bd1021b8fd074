"""Random histories of one camera, several recorders and their losses."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

from merge_world import STEP_NS, T0_NS, Held, S, Shot, World, Wrong, camera

from fovideo.media.frames import Clock

_RELATED = 25  # frames that relate the clocks of two recorders
_GRID = 16  # sessions begin and end on multiples, so that footage is shared by many frames or by none


@dataclass
class History:
    """What happened. shots: all frames, by id; exact: clocks are good enough for the order of frames to be
    told. related: what recorders have in common tells how far their clocks are apart; if not, frames may be
    kept more than once.
    """

    world: World
    sources: list[str]
    shots: dict[int, Shot]
    exact: bool
    label: str
    related: bool = True

    @property
    def target(self) -> Held:
        return self.world.timeline("server")

    @property
    def moves(self) -> bool:
        """Whether no picture is like another."""
        digests = [shot.digest for shot in self.shots.values() if shot.track == 1]
        return len(set(digests)) == len(digests)


def history(seed: int, *, again: bool = False) -> History:
    """A camera with moving, still or looping pictures, a server with outages, and one to four spares.

    again: sessions are let go and recorded again at once, in a new epoch, as spares do that stand in again.
    """
    chance, cuts_of = random.Random(seed), random.Random(f"again {seed}")
    camera_clock = chance.random() < 0.5
    content = chance.choice(["moving", "moving", "still", "frozen", "loop"])
    b_frames = chance.choice([0, 0, 2])
    gop = 10 if b_frames else chance.choice([10, 25, 7])
    count = chance.choice([320, 640])
    loss = chance.choice([0, 0, 0.02, 0.1])
    shots = camera(count, gop=gop, content=content, b_frames=b_frames, loop=gop * 4)
    world = World()

    def record(name: str, parts: int, wrong: Wrong) -> None:
        world.timeline(name)
        cuts = sorted({chance.randrange(count // _GRID + 1) * _GRID for _ in range(parts * 2)})
        for start, stop in zip(cuts[::2], cuts[1::2], strict=False):
            if not camera_clock and stop - start < 160:
                continue  # too short to tell a wrong clock from a scene that repeats
            lost = {number for number in range(start, stop) if chance.random() < loss}
            edges = [start, *(_pauses(shots[start:stop], cuts_of, start) if again else ()), stop]
            session = ""
            for epoch, (begin, end) in enumerate(pairwise(edges)):
                part = shots[begin:end]
                late_ns = cuts_of.choice([0, 0, 300_000, 12_000_000]) if again else 0
                session = world.record(
                    name,
                    part,
                    wrong=wrong,
                    lost=lost,
                    noise_ns=2_000_000,
                    receipts={shot.id: wrong.received_ns(shot.time_ns) + late_ns for shot in part},
                    session=session,
                    epoch=epoch,
                    goes_on=end < stop,
                )

    kind = Clock.SENDER_REPORT if camera_clock else Clock.LOCAL
    record("server", chance.randint(0, 3), Wrong(source=kind))
    sources = [f"spare-{number}" for number in range(chance.randint(1, 4))]
    for name in sources:
        offset_ns, drift_ppm = 0, 0
        if not camera_clock:
            drift_ppm = chance.choice([0, 0, 200, -200])
            far = content == "moving"
            offset_ns = chance.randint(-300, 300) * S if far else chance.randint(-10, 10) * 1_000_000
        record(name, chance.randint(1, 2), Wrong(offset_ns, drift_ppm, kind))
    label = f"history {seed}: {content}, {b_frames} B-frames, GOP {gop}, loss {loss}, {len(sources)} spares"
    return History(world, sources, {shot.id: shot for shot in shots}, camera_clock, label)


def _pauses(shots: Sequence[Shot], chance: random.Random, first: int) -> list[int]:
    """Where a session is let go: after a frame behind which none is shown before it."""
    times = [shot.time_ns for shot in shots]
    good = [at for at in range(10, len(shots) - 10) if max(times[:at]) < min(times[at:])]
    return sorted(first + at for at in chance.sample(good, min(chance.choice([0, 1, 1, 2]), len(good))))


@dataclass(frozen=True)
class Machine:
    """A recorder. ahead_ns: of its wall clock, which drifts by ppm. reports: whether sender reports reach
    it.
    """

    name: str
    ahead_ns: int
    reports: bool
    ppm: int = 0

    def at(self, time_ns: int) -> int:
        """What its clock shows."""
        return time_ns + self.ahead_ns + (time_ns - T0_NS) * self.ppm // 1_000_000


def outage(seed: int, *, reboots: bool = False, in_step: bool = False) -> History:
    """A site as it is: a server that dies again and again, spares that see it late, and everything in the
    way of clocks that real recorders have.

    Sessions begin anywhere; the first sender report comes some seconds later, and what ends before it has
    times of its receipt only. Processes freeze, and what waited is received late. Machines' clocks differ,
    the camera's clock is its own, and its pictures move, stand still or run in a loop of any length. reboots:
    the camera may also restart its clock, but not where two recorders have no frame in common of which both
    were told by reports: then nothing relates their clocks.
    """
    chance = random.Random(seed)
    content = chance.choice(["moving", "still", "frozen", "loop", "loop"])
    gop = chance.choice([10, 12, 25])
    # Frames that are all alike are told apart by clocks alone, so those must be the camera's.
    loop = gop * chance.randint(3, 40)
    count = chance.choice([400, 800])
    shots = camera(count, gop=gop, content=content, loop=loop)
    reports = content in ("moving", "frozen") or chance.random() < 0.8
    apart_ns = chance.choice([0, 20_000_000, 3 * S, 200 * S])
    if not reports and content == "loop":  # laps that nobody recorded twice look like a clock that is off
        shots = camera(count, gop=gop, content=content, loop=gop * 3)
    if not reports:
        apart_ns = min(apart_ns, 20_000_000)  # where pictures repeat, only clocks tell
    clocks = {0: chance.choice([0, -700_000_000, 100 * S])}
    if in_step:
        apart_ns, clocks = min(apart_ns, 20_000_000), {0: 0}
    if reboots and chance.random() < 0.3:  # its clock begins where it began before, or elsewhere
        reboot = chance.randrange(100, count - 100)
        clocks[reboot] = chance.choice([-reboot * STEP_NS, 47 * S]) + clocks[0]
    loss = chance.choice([0, 0, 0.02])
    names = ["server", *(f"spare-{number}" for number in range(chance.randint(1, 3)))]
    machines = [Machine(name, chance.randint(-apart_ns, apart_ns), reports) for name in names]
    world = World()
    for machine in machines:
        world.timeline(machine.name)
        at = chance.randint(0, 60) if machine.name == "server" else chance.randint(0, count // 3)
        while at < count - 20:
            stop = min(at + chance.choice([30, 90, 200, 400]) + chance.randint(0, 40), count)
            began = max(start for start in clocks if start <= at)
            stop = min([stop, *(start for start in clocks if start > at)])
            if stop - at > 10:
                lost = {number for number in range(at, stop) if chance.random() < loss}
                hear(world, machine, [shots[at:stop]], [clocks[began]], lost, chance)
            at = stop + chance.choice([1, 40, 100, 150])
    if len(clocks) > 1 and not related(world):
        return outage(seed)
    label = f"outage {seed}: {content} (loop {loop}), GOP {gop}, {count}, reports {reports}, loss {loss}"
    label += f", clocks {clocks}, {machines}"
    return History(world, names[1:], {shot.id: shot for shot in shots}, False, label)


def related(world: World, below: int = 1 << 62) -> bool:
    """Whether any two recorders that heard sender reports were told the time of the same frames by them.
    below: only frames with lower ids count.
    """
    known = [{number for number in held.told() if number < below} for held in world.timelines.values()]
    return all(len(one & other) >= _RELATED for one, other in combinations(filter(None, known), 2))


def hear(
    world: World,
    machine: Machine,
    parts: Sequence[Sequence[Shot]],
    off_ns: Sequence[int],
    lost: set[int],
    chance: random.Random,
    sent_ns: Callable[[Shot], int] = lambda shot: shot.time_ns,
) -> None:
    """A session. parts: what was sent, in this order; the camera's clock was off by off_ns in each."""
    shots = [shot for part in parts for shot in part]
    told = machine.reports and (
        len(shots) > chance.choice([5, 60, 130]) or not world.timeline(machine.name).rows
    )
    delays = {shot.id: 3_000_000 + int(chance.expovariate(1 / 2_000_000)) for shot in shots}
    late_ns = chance.choice([0, 40_000_000, 90_000_000])
    delays.update({shot.id: delays[shot.id] + late_ns for shot in shots[:3]})
    freezes = chance.choice([0, 0, 1, 2])
    for _ in range(freezes):
        start, length = chance.randrange(len(shots)), chance.choice([25, 80, 250])
        length = min(length, len(shots) - start - 1)  # what comes when it wakes says when the rest was sent
        for shot in shots[start : start + length]:
            delays[shot.id] += sent_ns(shots[start + length]) - sent_ns(shot)
    receipts = {shot.id: machine.at(sent_ns(shot) + delays[shot.id]) for shot in shots}
    if told:
        session = ""
        for epoch, (part, camera_ns) in enumerate(zip(parts, off_ns, strict=True)):
            wrong, goes_on = Wrong(camera_ns, source=Clock.SENDER_REPORT), epoch + 1 < len(parts)
            session = world.record(
                machine.name,
                part,
                wrong=wrong,
                receipts=receipts,
                lost=lost,
                session=session,
                epoch=epoch,
                goes_on=goes_on,
            )
        return
    video = [shot for shot in shots if shot.track == 1]
    best = [0, min(receipts[shot.id] - shot.time_ns for shot in video[:50])][len(video) > 50]
    wrong = Wrong(best or receipts[video[0].id] - video[0].time_ns, source=Clock.LOCAL)
    world.record(machine.name, shots, wrong=wrong, receipts=receipts, lost=lost)
