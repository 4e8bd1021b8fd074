"""Cameras and recorders' clocks in numbers: a world to merge in.

Every frame of a camera has an id, its place in decode order, which is its payload too; so sets of ids say
exactly who holds what, whatever digests and clocks say.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from fovideo.media.codec import Codec, Track
from fovideo.media.frames import Clock

T0_NS = 1_790_000_000_000_000_000
STEP_NS = 40_000_000
VIDEO = Track(id=1, codec=Codec.H264)
LARGE = Track(id=1, codec=Codec.H264, parameter_sets=(b"\x67other", b"\x68"), width=1920, height=1080)
AUDIO = Track(id=2, codec=Codec.PCMU, timescale=8000, sample_rate=8000, channels=1)
METADATA = Track(id=3, codec=Codec.ONVIF)
S = 1_000_000_000


@dataclass(frozen=True)
class Shot:
    """A frame as the camera made it. time_ns: presentation, true time. digest: of its content. large: needs
    other parameter sets.
    """

    id: int
    time_ns: int
    key: bool
    digest: int
    track: int = 1
    large: bool = False

    @property
    def format(self) -> Track:
        return (LARGE if self.large else VIDEO, AUDIO, METADATA)[self.track - 1]


def camera(
    count: int, *, gop: int = 10, content: str = "moving", b_frames: int = 0, loop: int = 40, seed: int = 1
) -> list[Shot]:
    """Frames in decode order, 25 a second.

    content: "moving" = every frame differs; "still" = a scene of which every GOP is like the one before;
    "frozen" = all frames but keyframes are alike; "loop" = repeats every `loop` frames.
    """
    shots = []
    for number in range(count):
        place = number % gop
        identity = {
            "moving": number,
            "still": place,
            "frozen": min(place, 1),
            "loop": number % loop,
        }[content]
        digest = random.Random(f"{seed}/{content}/{identity}").getrandbits(64)
        shots.append(Shot(number, T0_NS + _shown(number, gop, b_frames) * STEP_NS, place == 0, digest))
    return shots


def _shown(number: int, gop: int, b_frames: int) -> int:
    """Place in presentation order: I P b b P b b, in closed GOPs."""
    start, place = number - number % gop, number % gop
    if place == 0 or not b_frames:
        return number
    group = (place - 1) // (b_frames + 1)
    first = 1 + group * (b_frames + 1)
    size = min(b_frames + 1, gop - first)
    inner = (place - 1) % (b_frames + 1)
    return start + (first + size - 1 if inner == 0 else first + inner - 1)


def sound(count: int, seed: int = 2, silent: bool = False) -> list[Shot]:
    """Audio frames of 20 ms; ids from 10 million on."""
    return [
        Shot(
            10_000_000 + n,
            T0_NS + n * 20_000_000,
            True,
            7 if silent else random.Random(f"{seed}/{n}").getrandbits(64),
            2,
        )
        for n in range(count)
    ]


def documents(count: int) -> list[Shot]:
    """Metadata documents each 200 ms; ids from 20 million on."""
    return [
        Shot(20_000_000 + n, T0_NS + n * 200_000_000, True, random.Random(f"document {n}").getrandbits(64), 3)
        for n in range(count)
    ]


@dataclass(frozen=True)
class Wrong:
    """How a recorder's clock differs from true time: offset, and drift since T0."""

    offset_ns: int = 0
    drift_ppm: float = 0.0
    source: Clock = Clock.LOCAL

    def at(self, time_ns: int) -> int:
        return time_ns + self.offset_ns + round((time_ns - T0_NS) * self.drift_ppm / 1e6)

    def received_ns(self, time_ns: int) -> int:
        """When a frame is received, by the recorder's clock, which is wrong only if it is what times come
        from.
        """
        return (self.at(time_ns) if self.source is Clock.LOCAL else time_ns) + 5_000_000


TRUE_CLOCK = Wrong()
