"""Where a run may be that only its own clock places, and what the target may lack for that. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from fovideo.merge.footage import Footage
from fovideo.merge.line import Index, Line, Mask


@dataclass(frozen=True)
class Choice:
    """An offset between the run and one of the target's. there: places in the run's line of the frames that
    both have then. refuted: frames that one of them lacks, though it has footage there.
    """

    offset_ns: int
    there: Index
    refuted: int


@dataclass(frozen=True)
class Lap:
    """Where the run may be. offset_ns: beyond what clocks tell. choices: for each run of the target, the
    offsets between the two that may go with it, the best first.
    """

    offset_ns: int
    choices: tuple[tuple[Choice, ...], ...]

    @cached_property
    def matched(self) -> int:
        return sum(len(each[0].there) for each in self.choices if each)

    @cached_property
    def centre_ns(self) -> int:
        """The offset of most frames that are the same."""
        told = [each[0] for each in self.choices if each and len(each[0].there)]
        frames = sum(len(choice.there) for choice in told)
        if not frames:
            return self.offset_ns
        return sum(choice.offset_ns * len(choice.there) for choice in told) // frames

    @cached_property
    def facts(self) -> tuple[tuple[tuple[int, int], ...], ...]:
        """What tells laps from each other."""
        return tuple(
            tuple((choice.offset_ns if len(choice.there) else 0, choice.refuted) for choice in each)
            for each in self.choices
        )

    @cached_property
    def refuted(self) -> int:
        return sum(each[0].refuted for each in self.choices if each)


@dataclass(frozen=True)
class Laps:
    """All laps that a run may be on; the first is taken. line: the frames that tell."""

    line: Line
    laps: tuple[Lap, ...]

    def lacking(self, source: Footage, held: Mask, copied: Mask) -> Mask:
        """Which of the held frames the target may lack after all. held, copied: of the run's frames, those
        that are in the target on the lap that is taken, and those that are in any case.

        Frames with the same bytes are the same to everybody: so many of each content must be inserted as the
        target lacks on any lap.
        """
        mine, sure = held[self.line.index], copied[self.line.index]
        _, content = np.unique(self.line.digest, return_inverse=True)
        counts = _Counts(content)
        enough = counts.of(np.flatnonzero(~mine | sure))
        free, chosen = mine & ~sure, np.zeros(len(mine), bool)
        for lap in self.laps:
            short = counts.of_all - counts.present(lap) - enough
            if (short <= 0).all():
                continue
            lone = np.ones(len(mine), bool)
            for each in filter(None, lap.choices):
                lone[each[0].there] = False
            for preferred in (lone, ~lone):
                places = np.flatnonzero(free & ~chosen & preferred)
                order = np.argsort(content[places], kind="stable")
                ranked = content[places[order]]
                rank = np.arange(len(ranked)) - np.searchsorted(ranked, ranked)
                taken = places[order[rank < short[ranked]]]
                chosen[taken] = True
                short, enough = short - counts.of(taken), enough + counts.of(taken)
        result = np.zeros(len(held), bool)
        result[self.line.index[chosen]] = True
        if chosen.any():  # sound goes with its pictures
            others = np.flatnonzero(
                held & ~copied & (source.frames["track"] != source.frames["track"][self.line.index[0]])
            )
            beside = np.searchsorted(self.line.time_ns, source.recorded["time_ns"][others])
            result[others] = chosen[np.minimum(beside, len(chosen) - 1)]
        return result


class _Counts:
    """How many frames there are of each content. content: number of that of each frame."""

    def __init__(self, content: Index) -> None:
        self._content = content
        self._count = int(content.max(initial=-1)) + 1
        self._known: dict[int, Index] = {}
        self.of_all = np.bincount(content, minlength=self._count)

    def of(self, places: Index) -> Index:
        return np.bincount(self._content[places], minlength=self._count)

    def present(self, lap: Lap) -> Index:
        """So many are surely in the target on a lap: of each of its runs, at the offset that says least."""
        least = [np.min([self._of(choice) for choice in each], axis=0) for each in lap.choices if each]
        return np.sum(least, axis=0) if least else np.zeros(self._count, np.int64)

    def _of(self, choice: Choice) -> Index:
        if id(choice) not in self._known:
            self._known[id(choice)] = self.of(choice.there)
        return self._known[id(choice)]
