"""A camera's card in a random world, its clock off; and what a merge of it may lose: nothing.

Frames with the same bytes are the same to everybody, so which of a scene that repeats fills a gap nobody can
tell. A frame is lost if a timeline has no frame of its bytes left for it about then.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from merge_history import History, outage
from merge_mixed import OTHER, mixed
from merge_world import STEP_NS, Held, S, Shot, World, Wrong, camera

from fovideo.media.frames import Clock
from fovideo.segment import decode_table

OFF_NS = (0, 400_000_000, -1_300_000_000)
NOISE_NS = 200_000_000


def file_source(world: World, name: str, shots: Sequence[Shot], chance: random.Random) -> int:
    """Record a part of what the camera made to its card; returns by how much its clock is off."""
    start = chance.randint(0, len(shots) // 2)
    stop = chance.randint(start + 60, len(shots))
    while not shots[start].key:
        start -= 1
    off_ns = chance.choice(OFF_NS)
    world.record(name, shots[start:stop], wrong=Wrong(off_ns, source=Clock.CONTAINER))
    return off_ns


def card_world(seed: int) -> tuple[World, list[Shot], int]:
    """A server with outages and times that are a little off, and a card; the camera's frames, and how far
    from the truth a merge may put one: what clocks are off by, and a lap or two seconds.
    """
    chance = random.Random(seed)
    content = chance.choice(["loop", "loop", "still", "frozen", "moving"])
    lap = chance.choice([40, 90, 150, 250])
    shots = camera(400, content=content, loop=lap)
    world, at = World(), chance.randint(0, 60)
    while at < 360:
        stop = min(at + chance.randint(20, 160), 400)
        world.record("server", shots[at:stop], noise_ns=chance.choice([0, 30_000_000, NOISE_NS]))
        at = stop + chance.choice([0, 5, 30, 80])
    off_ns = file_source(world, "card", shots, chance)
    lap_ns = lap * STEP_NS if content == "loop" else 0
    return world, shots, abs(off_ns) + max(lap_ns, 2 * S) + 2 * NOISE_NS


def card_history(seed: int) -> History:
    """A site with outages and spares, and a camera whose card is merged, too, but not last."""
    tale = mixed(seed, in_step=True) if seed % 2 else outage(seed, in_step=True)
    chance = random.Random(f"card {seed}")
    shots = [shot for number, shot in sorted(tale.shots.items()) if number < OTHER]
    file_source(tale.world, "card", [shot for shot in shots if shot.track == 1], chance)
    tale.sources.insert(chance.randrange(len(tale.sources)), "card")
    return tale


def scarce(timeline: Held, shots: Iterable[Shot]) -> Counter[int]:
    """Digests of which a timeline, all that it keeps included, has fewer frames than there are shots."""
    there: Counter[int] = Counter()
    for row in timeline.rows:
        there.update(decode_table(row.table)["digest"].tolist())
    return Counter(shot.digest for shot in shots) - there


def lacking(timeline: Held, wanted: Iterable[Shot], reach_ns: int) -> list[int]:
    """Ids of frames for which a timeline, all that it keeps included, has none of their bytes within
    reach.
    """
    there = defaultdict(list)
    for row in timeline.rows:
        table = decode_table(row.table)
        for digest, time_ns in zip(table["digest"].tolist(), table["time_ns"].tolist(), strict=True):
            there[digest].append(time_ns + row.shift_ns)
    for times in there.values():
        times.sort(reverse=True)
    lost = []
    for shot in sorted(wanted, key=lambda shot: shot.time_ns):  # the earliest that will do: none is wasted
        times = there[shot.digest]
        while times and times[-1] < shot.time_ns - reach_ns:
            times.pop()
        if times and times[-1] <= shot.time_ns + reach_ns:
            times.pop()
        else:
            lost.append(shot.id)
    return lost
