"""Random histories of a site in which everything comes together: sound and metadata, cameras that reorder
frames, change their size, set their clock right or restart it, machines whose clocks drift, spares that pull
another encode, and up to five of them.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from merge_camera import STEP_NS, T0_NS, S, Shot, camera, documents, sound
from merge_history import History, Machine, hear, related
from merge_world import World

OTHER = 30_000_000
"""Ids of another encode begin here."""


@dataclass(frozen=True)
class _Scene:
    """What a camera sends. encodes: all frames of each. delay: by how many frames the encoder is late.

    reports: whether sender reports are sent. silent: whether all sound is alike. clocks: by how much the
    camera's clock is off from each frame on, and whether sessions go on when it changes.
    """

    label: str
    encodes: Sequence[Sequence[Shot]]
    count: int
    delay: int
    reports: bool
    silent: bool
    clocks: dict[int, tuple[int, bool]]

    def sent_ns(self, shot: Shot) -> int:
        late_ns = (T0_NS + (shot.id % OTHER + self.delay) * STEP_NS) - shot.time_ns if shot.track == 1 else 0
        return shot.time_ns + late_ns

    def between(self, encode: int, start: int, stop: int, tracks: set[int]) -> list[Shot]:
        """What is sent from one frame to another, in this order."""
        from_ns, to_ns = (T0_NS + (number + self.delay) * STEP_NS for number in (start, stop))
        mine = [
            shot
            for shot in self.encodes[encode]
            if shot.track in tracks and from_ns <= self.sent_ns(shot) < to_ns
        ]
        return sorted(mine, key=lambda shot: (self.sent_ns(shot), shot.track))


def mixed(seed: int, *, restarts: bool = True, in_step: bool = False) -> History:
    """restarts: whether the camera's clock may change (not where nothing relates the recorders' clocks).
    in_step: all clocks are nearly right.
    """
    chance = random.Random(f"mixed {seed}")
    scene = _scene(chance, restarts and not in_step)
    if in_step:
        scene = replace(scene, clocks={0: (0, True)})
    apart_ns = chance.choice([0, 20_000_000, 3 * S, 200 * S])
    if in_step or not scene.reports:
        apart_ns = min(apart_ns, 20_000_000)  # where pictures repeat, only clocks tell
    ppm = chance.choice([0, 0, 200])
    loss = chance.choice([0, 0, 0.02])
    world, machines, unrelated = World(), [], False
    for name in ("server", *(f"spare-{number}" for number in range(chance.choice([1, 1, 2, 2, 3, 5])))):
        ahead_ns = chance.randint(-apart_ns, apart_ns)
        machine = Machine(name, ahead_ns, scene.reports, chance.choice([-ppm, ppm]))
        machines.append(machine)
        foreign = name != "server" and chance.random() < 0.15
        encode = int(foreign)
        unrelated |= foreign and len(scene.clocks) > 1  # no frame in common relates it to a restart
        tracks = {1, 2, 3} if chance.random() < 0.85 else {1}
        if encode and scene.silent:  # nothing but clocks would tell which silence is which
            tracks -= {2}
        _record(world, machine, scene, encode, tracks, loss, chance)
    if len(scene.clocks) > 1 and not related(world, below=10_000_000):
        return mixed(seed, restarts=False)
    shots = {shot.id: shot for encode in scene.encodes for shot in encode}
    label = f"mixed {seed}: {scene.label}, loss {loss}, clocks {scene.clocks}, {machines}"
    return History(world, [each.name for each in machines[1:]], shots, False, label, not unrelated)


def _scene(chance: random.Random, restarts: bool) -> _Scene:
    content = chance.choice(["moving", "moving", "still", "frozen", "loop"])
    b_frames = chance.choice([0, 0, 2])
    gop = chance.choice([10, 12, 25])
    count = chance.choice([400, 400, 800])
    reports = content in ("moving", "frozen") or chance.random() < 0.8
    loop = gop * (chance.randint(3, 40) if reports else 3)  # laps nobody recorded twice look like clocks
    kind = {"content": content, "b_frames": b_frames}
    video = camera(count, gop=gop, loop=loop, **kind)  # type: ignore[arg-type]
    change = gop * (chance.randrange(100, count - 100) // gop)
    resized = chance.random() < 0.3
    if resized:
        video = video[:change] + _later(camera(count - change, gop=gop, loop=loop, seed=5, **kind), change)  # type: ignore[arg-type]
    clocks = {0: (chance.choice([0, -700_000_000, 100 * S]), True)}
    fate = chance.random()
    if restarts and fate < 0.2:  # its clock begins where it began before, or elsewhere
        clocks[change] = clocks[0][0] + chance.choice([-change * STEP_NS, 47 * S]), False
    elif restarts and reports and fate < 0.4:  # it is set right
        clocks[change] = clocks[0][0] + chance.choice([-3 * S, 900_000_000, 10 * S]), True
    heard, silent = chance.random() < 0.4, chance.random() < 0.2
    sounds = [sound(2 * count + 20, silent=silent), sound(2 * count + 20, seed=4, silent=silent)]
    notes = documents(count // 5) if chance.random() < 0.3 else []
    other = [
        replace(shot, id=shot.id + OTHER, time_ns=shot.time_ns + 13_000_000)
        for shot in camera(count, gop=chance.choice([15, gop]), loop=loop, seed=6, **kind)  # type: ignore[arg-type]
    ]
    if same_sound := chance.random() < 0.5:
        sounds[1] = sounds[0]
    else:
        sounds[1] = [replace(shot, id=shot.id + OTHER) for shot in sounds[1]]
    label = f"{content} (loop {loop}), {b_frames} B-frames, GOP {gop}, {count}, reports {reports}"
    label += f", sound {heard} silent {silent} same {same_sound}, notes {len(notes)}, resized {resized}"
    encodes = [
        [*frames, *(track if heard else []), *notes]
        for frames, track in zip((video, other), sounds, strict=True)
    ]
    return _Scene(label, encodes, count, b_frames, reports, silent, clocks)


def _later(shots: Sequence[Shot], by: int) -> list[Shot]:
    """The same pictures later, with other parameter sets."""
    return [replace(shot, id=shot.id + by, time_ns=shot.time_ns + by * STEP_NS, large=True) for shot in shots]


def _record(
    world: World,
    machine: Machine,
    scene: _Scene,
    encode: int,
    tracks: set[int],
    loss: float,
    chance: random.Random,
) -> None:
    """What a recorder sees of a camera, and when."""
    world.timeline(machine.name)
    at = chance.randint(0, 60) if machine.name == "server" else chance.randint(0, scene.count // 3)
    while at < scene.count - 20:
        stop = min(at + chance.choice([30, 90, 200, 400]) + chance.randint(0, 40), scene.count)
        ends = [number for number, (_, goes_on) in scene.clocks.items() if number > at and not goes_on]
        stop = min([stop, *ends])
        if stop - at > 10:
            edges = [at, *(number for number in sorted(scene.clocks) if at < number < stop), stop]
            off_ns = [
                scene.clocks[max(each for each in scene.clocks if each <= edge)][0] for edge in edges[:-1]
            ]
            shots = [scene.between(encode, *edge, tracks) for edge in pairwise(edges)]
            lost = {shot.id for part in shots for shot in part if chance.random() < loss}
            hear(world, machine, shots, off_ns, lost, chance, scene.sent_ns)
        at = stop + chance.choice([1, 40, 100, 150])
