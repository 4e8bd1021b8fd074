"""Recorders and what they hold: a world to merge in."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from held_timeline import Held, table_of
from merge_camera import STEP_NS, T0_NS, TRUE_CLOCK, S, Shot, Wrong, camera, documents, sound

from fovideo.timeline.values import Provenance

__all__ = [
    "STEP_NS",
    "T0_NS",
    "TRUE_CLOCK",
    "Held",
    "S",
    "Shot",
    "World",
    "Wrong",
    "camera",
    "documents",
    "sound",
    "table_of",
]


def _closed(shots: list[Shot]) -> list[Shot]:
    """Without the last run of frames whose order was not known yet: a recorder holds those back."""
    video = [shot for shot in shots if shot.track == 1]
    latest = max((shot.time_ns for shot in video), default=0)
    tail = len(video)
    while tail and video[tail - 1].time_ns < latest:
        tail -= 1
    if tail == len(video):
        return shots
    behind = {shot.id for shot in video[tail - 1 :]}
    return [shot for shot in shots if shot.id not in behind]


@dataclass
class World:
    """Timelines by name; sessions and stores get numbers as they come."""

    sessions: int = 0
    stores: int = 0
    timelines: dict[str, Held] = field(default_factory=dict)

    def timeline(self, name: str) -> Held:
        if name not in self.timelines:
            self.stores += 1
            self.timelines[name] = Held(f"{self.stores:032x}", name)
        return self.timelines[name]

    def record(
        self,
        name: str,
        shots: Iterable[Shot],
        *,
        wrong: Wrong = TRUE_CLOCK,
        lost: Iterable[int] = (),
        noise_ns: int = 0,
        gops_per_segment: int = 6,
        epoch: int = 0,
        session: str = "",
        told: bool = False,
        receipts: Mapping[int, int] | None = None,
        goes_on: bool = False,
    ) -> str:
        """A session of a recorder that received these frames but for the lost ones; returns its number.

        noise_ns: error of the session's anchor, up to this. told: frames after lost ones say so. receipts: by
        id, when each was received by the recorder's machine; else soon, by the clock that is wrong if the
        recorder's own is, by true time if the camera's is. goes_on: more of the session will come.
        """
        lost = set(lost)
        if not session:
            self.sessions += 1
            session = f"{self.sessions:016x}"
        got = [shot for shot in shots if shot.id not in lost]
        got = got if goes_on else _closed(got)
        error_ns = random.Random(f"{session}/noise").randint(-noise_ns, noise_ns)
        timeline = self.timeline(name)
        if not got:
            return session
        provenance = Provenance(recorder=name, session=session, store=timeline.identity)
        known = {shot.id: wrong.received_ns(shot.time_ns) for shot in got} if receipts is None else receipts
        told_of = lost if told else set()
        timeline.record(got, wrong, error_ns, provenance, gops_per_segment, epoch, told_of, known)
        return session
