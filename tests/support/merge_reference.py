"""The slow and obvious reference of a merge.

It knows what the planner must find out: which camera frame each record is. A merge is the union of two sets
of frame numbers (where a scene repeats, besides possible duplicates, which are told and not shown), and a
frame can be shown if an unbroken chain of frames, each of which some recorder saw follow the other, leads to
it from a keyframe.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import pairwise

from merge_history import History
from merge_world import Held, S

from fovideo.replay import read_packets
from fovideo.replay.read import Packet

_APART_NS = 150_000_000  # what a track may be off from its video


@dataclass
class Reference:
    """The union, frame by frame. linked: frames that some recorder is known to have seen right after the one
    before. seen: by session, the video frames that its recorder saw, in decode order.
    """

    history: History
    frames: set[int] = field(default_factory=set)
    linked: set[int] = field(default_factory=set)
    seen: set[tuple[int, int]] = field(default_factory=set)

    @classmethod
    def of(cls, history: History) -> Reference:
        """Of the target as it is."""
        made = cls(history)
        made.frames, made.linked = set(history.target.ids()), _links(history.target)
        for held in history.world.timelines.values():
            for ids in _sessions(held).values():
                made.seen.update(pairwise(sorted(each for each in ids if history.shots[each].track == 1)))
        return made

    def add(self, source: Held) -> None:
        """Merge a source. A link between two frames that are there already is not learned: nothing is
        inserted.
        """
        self.linked |= {
            number for number in _links(source) if not (number in self.frames and number - 1 in self.frames)
        }
        self.frames |= set(source.ids())

    def problems(self) -> list[str]:
        """What is wrong with the target, which should hold the union."""
        target = self.history.target
        found = target.ids()
        problems = [f"lacks {number}" for number in sorted(self.frames - set(found))]
        problems += [f"made up {number}" for number in sorted(set(found) - self.frames)]
        surely = target.ids(doubtful=self.history.moves) if self.history.related else {}
        problems += [f"has {number} {times} times" for number, times in surely.items() if times > 1]
        if not target.rows:
            return problems
        shown = [(_number(packet), packet) for packet in read_packets(target, "gate", tracks=[1])]
        problems += self._decoded(shown) + self._beside()
        return problems + (self._shown([number for number, _ in shown]) if self.history.exact else [])

    def _decoded(self, shown: list[tuple[int, Packet]]) -> list[str]:
        """What does not decode as it is shown: after another frame than the one that it continues, unless its
        recorder saw it so, or both are byte for byte like two that follow each other; or with other parameter
        sets.
        """
        shots = self.history.shots
        alike = {number: (shot.digest, shot.format) for number, shot in shots.items()}
        follow = {(content, alike[number + 1]) for number, content in alike.items() if number + 1 in alike}
        problems = [
            f"decodes {after} after {before}"
            for (before, _), (after, _) in pairwise(shown)
            if not (
                shots[after].key or (before, after) in self.seen or (alike[before], alike[after]) in follow
            )
        ]
        return problems + [
            f"decodes {number} with other parameter sets"
            for number, packet in shown
            if packet.tracks[0] != shots[number].format
        ]

    def _beside(self) -> list[str]:
        """Sound and metadata that lie elsewhere than the video of their time."""
        shots = self.history.shots
        off = {
            number: time_ns - shots[number].time_ns for number, time_ns in self.history.target.times().items()
        }
        video = sorted(
            (shots[number].time_ns, off_ns) for number, off_ns in off.items() if shots[number].track == 1
        )
        problems = []
        for number, off_ns in off.items():
            at_ns = shots[number].time_ns
            near = video[bisect_left(video, (at_ns - S,)) : bisect_left(video, (at_ns + S,))]
            if shots[number].track != 1 and near and min(abs(off_ns - each) for _, each in near) > _APART_NS:
                problems.append(f"puts {number} elsewhere than its video")
        return problems

    def _shown(self, shown: list[int]) -> list[str]:
        shots = self.history.shots
        problems = [f"shows {after} after {before}" for before, after in pairwise(shown) if after <= before]
        present, chain = set(shown), False
        for number in shown:
            if not shots[number].key and number - 1 not in present and number - 1 in self.frames:
                problems.append(f"shows {number} without {number - 1}")
        for number in sorted(self.frames):
            chain = shots[number].key or (chain and number - 1 in self.frames and number in self.linked)
            if chain and number not in present:
                problems.append(f"does not show {number}")
        return problems


def _number(packet: Packet) -> int:
    return int.from_bytes(packet.payload[:8], "big")


def _sessions(timeline: Held) -> dict[str, set[int]]:
    sessions: dict[str, set[int]] = defaultdict(set)
    provenances = timeline.provenances("gate")
    for row in timeline.rows:
        sessions[provenances[row.provenance].session].update(timeline.ids_of(row))
    return sessions


def _links(timeline: Held) -> set[int]:
    return {number for ids in _sessions(timeline).values() for number in ids if number - 1 in ids}
