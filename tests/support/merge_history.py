"""Random histories of one camera, several recorders and their losses; and the slow and obvious reference of a
merge.

The reference knows what the planner must find out: which camera frame each record is. A merge is the union of
two sets of frame numbers, and a frame can be shown if an unbroken chain of frames, each of which some
recorder saw follow the other, leads to it from a keyframe.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from itertools import combinations, pairwise

from merge_world import STEP_NS, Held, S, Shot, World, Wrong, camera

from fovideo.media.frames import Clock
from fovideo.replay import read_packets

_RELATED = 25  # frames that relate the clocks of two recorders
_GRID = 16  # sessions begin and end on multiples, so that footage is shared by many frames or by none


@dataclass
class History:
    """What happened. gop: keyframe distance; exact: clocks are good enough for the order of frames to be
    told.
    """

    world: World
    sources: list[str]
    gop: int
    exact: bool
    label: str

    @property
    def target(self) -> Held:
        return self.world.timeline("server")


def history(seed: int) -> History:
    """A camera with moving, still or looping pictures, a server with outages, and one to four spares."""
    chance = random.Random(seed)
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
            world.record(name, shots[start:stop], wrong=wrong, lost=lost, noise_ns=2_000_000)

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
    return History(world, sources, gop, camera_clock, label)


@dataclass
class Reference:
    """The union, frame by frame. linked: frames that some recorder is known to have seen right after the one
    before.
    """

    frames: set[int]
    linked: set[int] = field(default_factory=set)

    @classmethod
    def of(cls, timeline: Held) -> Reference:
        return cls(set(timeline.ids()), _links(timeline))

    def add(self, source: Held) -> None:
        """Merge a source. A link between two frames that are there already is not learned: nothing is
        inserted.
        """
        self.linked |= {
            number for number in _links(source) if not (number in self.frames and number - 1 in self.frames)
        }
        self.frames |= set(source.ids())

    def problems(self, timeline: Held, gop: int, exact: bool) -> list[str]:
        """What is wrong with a timeline that should hold the union."""
        found = timeline.ids()
        problems = [f"lacks {number}" for number in sorted(self.frames - set(found))]
        problems += [f"made up {number}" for number in sorted(set(found) - self.frames)]
        problems += [f"has {number} {times} times" for number, times in found.items() if times > 1]
        return problems + (self._shown(timeline, gop) if exact and timeline.rows else [])

    def _shown(self, timeline: Held, gop: int) -> list[str]:
        shown = [
            int.from_bytes(packet.payload[:8], "big") for packet in read_packets(timeline, "gate", tracks=[1])
        ]
        problems = [f"shows {after} after {before}" for before, after in pairwise(shown) if after <= before]
        present, chain = set(shown), False
        for number in shown:
            if number % gop and number - 1 not in present and number - 1 in self.frames:
                problems.append(f"shows {number} without {number - 1}")
        for number in sorted(self.frames):
            chain = number % gop == 0 or (chain and number - 1 in self.frames and number in self.linked)
            if chain and number not in present:
                problems.append(f"does not show {number}")
        return problems


def _links(timeline: Held) -> set[int]:
    sessions: dict[str, set[int]] = {}
    provenances = timeline.provenances("gate")
    for row in timeline.rows:
        sessions.setdefault(provenances[row.provenance].session, set()).update(timeline.ids_of(row))
    return {number for ids in sessions.values() for number in ids if number - 1 in ids}


@dataclass(frozen=True)
class _Machine:
    """A recorder. ahead_ns: of its wall clock. reports: whether sender reports reach it."""

    name: str
    ahead_ns: int
    reports: bool


def outage(seed: int, *, reboots: bool = False) -> History:
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
    if reboots and chance.random() < 0.3:  # its clock begins where it began before, or elsewhere
        reboot = chance.randrange(100, count - 100)
        clocks[reboot] = chance.choice([-reboot * STEP_NS, 47 * S]) + clocks[0]
    loss = chance.choice([0, 0, 0.02])
    names = ["server", *(f"spare-{number}" for number in range(chance.randint(1, 3)))]
    machines = [_Machine(name, chance.randint(-apart_ns, apart_ns), reports) for name in names]
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
                _session(world, machine, shots[at:stop], clocks[began], lost, chance)
            at = stop + chance.choice([1, 40, 100, 150])
    if len(clocks) > 1 and not _related(world):
        return outage(seed)
    label = f"outage {seed}: {content} (loop {loop}), GOP {gop}, {count}, reports {reports}, loss {loss}"
    label += f", clocks {clocks}, {machines}"
    return History(world, names[1:], gop, False, label)


def _related(world: World) -> bool:
    """Whether any two recorders that heard sender reports were told the time of the same frames by them."""
    told = [numbers for held in world.timelines.values() if (numbers := held.told())]
    return all(len(one & other) >= _RELATED for one, other in combinations(told, 2))


def _session(
    world: World,
    machine: _Machine,
    shots: list[Shot],
    camera_ns: int,
    lost: set[int],
    chance: random.Random,
) -> None:
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
            waits_ns = shots[0].time_ns + (start + length - (shot.id - shots[0].id)) * 40_000_000
            delays[shot.id] += max(waits_ns - shots[0].time_ns, 0)
    receipts = {shot.id: shot.time_ns + machine.ahead_ns + delays[shot.id] for shot in shots}
    if told:
        wrong = Wrong(camera_ns, source=Clock.SENDER_REPORT)
    else:
        best = [0, min(delays[shot.id] for shot in shots[:50])][len(shots) > 50]
        wrong = Wrong(machine.ahead_ns + (best or delays[shots[0].id]), source=Clock.LOCAL)
    world.record(machine.name, shots, wrong=wrong, receipts=receipts, lost=lost)
