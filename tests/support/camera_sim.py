"""A simulated camera: what a reader would have put into a ring, together with the truth about each frame."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import numpy as np

from fovideo.camera.session_start import SessionStart
from fovideo.media.codec import Codec, Track
from fovideo.media.frames import FrameFlag
from fovideo.ring.units import NO_TIME, UNIT, Kind, Units

MS = 1_000_000
S = 1_000_000_000
WALL = 1_790_000_000 * S
MONOTONIC = 5_000 * S

VIDEO = Track(id=1, codec=Codec.H264)
AUDIO = Track(id=2, codec=Codec.PCMU, timescale=8000, sample_rate=8000, channels=1)


def start(**changes: object) -> SessionStart:
    """Start of a live session at WALL and MONOTONIC."""
    fields: dict[str, object] = {
        "tracks": (VIDEO,),
        "source": "rtsp://camera/",
        "session": "0123456789abcdef",
        "wall_at_start_ns": WALL,
        "receipt_at_start_ns": MONOTONIC,
    }
    return SessionStart(**(fields | changes))  # type: ignore[arg-type]


def unit(
    pts_ns: int = NO_TIME,
    *,
    receipt_ns: int,
    wall_ns: int = NO_TIME,
    track: int = 1,
    key: bool = False,
    position: int = 0,
    value: int = 0,
    kind: int = Kind.FRAME,
) -> tuple[object, ...]:
    """One row, as a tuple for `table`."""
    flags = FrameFlag.KEY if key or track != 1 else 0
    return (pts_ns, wall_ns, receipt_ns, value, position, position, position + 100, 50, 1, kind, track, flags)


def table(rows: list[tuple[object, ...]]) -> Units:
    """Ring rows of units; positions are numbered when they are all 0."""
    made = np.zeros(len(rows), dtype=UNIT)
    names = [name for name in UNIT.names or () if name != "pad"]
    for number, row in enumerate(rows):
        for name, value in zip(names, row, strict=True):
            made[number][name] = value
    if len(made) and not made["position"].any():
        made["position"] = made["digest"] = np.arange(len(made)) * 100
        made["end"] = made["position"] + 100
    return made


@dataclass
class Camera:
    """A camera with its own clock, seen through one session.

    gop: presentation order of the frames of one GOP, listed in decode order (0 first).
    first_report: number of the first frame that carries a sender report's time, None = never.
    steps: (frame number, ns): the camera's clock is set; its reports say so at once.
    pts_jumps: (frame number, ns): the media clock jumps; reports follow `report_delay` frames later.
    missing: frame numbers without pts. audio: an audio frame after each video frame.
    """

    gop: tuple[int, ...] = (0, 1, 2, 3, 4, 5, 6, 7, 8, 9)
    interval_ns: int = 40 * MS
    frames: int = 50
    first_report: int | None = 0
    clock_ahead_ns: int = 0
    steps: list[tuple[int, int]] = field(default_factory=list)
    pts_jumps: list[tuple[int, int]] = field(default_factory=list)
    report_delay: int = 5
    missing: frozenset[int] = frozenset()
    audio: bool = False
    delay_ns: int = 80 * MS
    jitter_ns: int = 0
    pts_base_ns: int = 0
    joined: int = 0
    seed: int = 0

    def run(self) -> tuple[Units, list[int]]:
        """Rows in ring order, and the true capture time of each by the camera's clock."""
        chance = random.Random(self.seed)
        rows: list[tuple[object, ...]] = []
        truth: list[int] = []
        for number in range(self.joined, self.frames):
            place = number - number % len(self.gop) + self.gop[number % len(self.gop)]
            ideal = place * self.interval_ns
            wall = WALL + self.clock_ahead_ns + ideal + sum(ns for at, ns in self.steps if number >= at)
            jumped = sum(ns for at, ns in self.pts_jumps if number >= at)
            told = sum(ns for at, ns in self.pts_jumps if number >= at + self.report_delay)
            pts = self.pts_base_ns + ideal + jumped
            receipt = (
                MONOTONIC + number * self.interval_ns + self.delay_ns + chance.randint(0, self.jitter_ns)
            )
            reported = self.first_report is not None and number - self.joined >= self.first_report
            said = wall + jumped - told
            if reported and number - self.joined == self.first_report and self.first_report:
                said += self.interval_ns  # libavformat's quirk
            rows.append(
                unit(
                    NO_TIME if number - self.joined in self.missing else pts,
                    receipt_ns=receipt,
                    wall_ns=said if reported else NO_TIME,
                    key=number % len(self.gop) == 0,
                )
            )
            truth.append(wall)
            if self.audio:
                rows.append(
                    unit(
                        pts + 7 * MS + 3 * S,
                        receipt_ns=receipt + MS,
                        wall_ns=said + 7 * MS if reported else NO_TIME,
                        track=2,
                    )
                )
                truth.append(wall + 7 * MS)
        return table(rows), truth
