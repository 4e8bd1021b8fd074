"""Random histories of one camera, several recorders and their losses; and the slow and obvious reference of a
merge.

The reference knows what the planner must find out: which camera frame each record is. A merge is the union of
two sets of frame numbers, and a frame can be shown if an unbroken chain of frames, each of which some
recorder saw follow the other, leads to it from a keyframe.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from itertools import pairwise

from merge_world import Held, S, World, Wrong, camera

from fovideo.media.frames import Clock
from fovideo.replay import read_packets

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
