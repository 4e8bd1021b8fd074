"""Which lap of what repeats a run is on that was not received live (a file): only its own clock tells. Pure.

All that the target shows is compared at once, at every offset that the clock allows. The nearest that
explains it as well as the best is the run's; the others beside it are possible, too, and what the target
would lack there may be lacking.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from fovideo.media.codec import AUDIO_TRACK, VIDEO_TRACK
from fovideo.merge.footage import Footage
from fovideo.merge.line import Line, Times, line_of, nominal_ns, tolerance_of
from fovideo.merge.placing.doubt import Choice, Lap, Laps
from fovideo.merge.placing.offset import NEAR_NS, Prior, judge, partners, repeats, returns_ns
from fovideo.times import NS_PER_MS

SEAM_NS = 250 * NS_PER_MS
"""How far off a recorder's first times are."""

FEW = 8
"""Where content repeats, fewer matching frames than this say nothing of the clock."""

_DRIFT_PPM = 200  # of a recorder's clock, at the most
_BY_CHANCE = 3  # frames that speak against an offset and mean nothing
_SHARE = 0.002  # of all frames, the same
_SAMPLES = 128
_PART = 16
_OFFSETS = 200


def laps_of(
    source: Footage, targets: Sequence[Footage], primary: int, prior: Prior, expected_ns: int
) -> Laps | None:
    """The laps that a run may be on; None if that is not for its clock to tell: where frames come but once,
    or arrival tells.

    targets: what the target shows. prior: what is known, but for the offset that is expected.
    """
    found = _search(source, targets, primary, prior, expected_ns)
    if found is None:
        return None
    search, elsewhere = found
    lap_ns = _lap_ns([search.source, joined_lines(search.targets)])
    reach_ns = min(max(NEAR_NS, lap_ns) + SEAM_NS, prior.window_ns)
    laps = elsewhere or search.laps(expected_ns, reach_ns)
    best = _nearest(laps, expected_ns)
    if best is None or not _explains(best, 0.0):
        laps += search.laps(expected_ns, prior.window_ns)
        best = _nearest(laps, expected_ns)
    if best is None:
        return None
    share = _share(laps)
    beside = elsewhere or search.laps(best.centre_ns, reach_ns)
    return Laps(search.source, (best, *(lap for lap in beside if _explains(lap, share))))


def is_for_its_clock(source: Footage, targets: Iterable[Footage], primary: int, prior: Prior) -> bool:
    """Whether only its own clock tells which lap a run is on."""
    shown = [each for each in targets if not each.conflict and each.session != source.session]
    return _search(source, shown, primary, prior, prior.expected_ns) is not None


def _search(
    source: Footage, targets: Sequence[Footage], primary: int, prior: Prior, expected_ns: int
) -> tuple[_Search, list[Lap]] | None:
    """The search for the laps of a run that was not received live; and, where most content seems to come but
    once, all offsets that explain it; None where that is one, or where nothing repeats.
    """
    if not prior.repeats or source.arrival_ns.any() or source.conflict:
        return None
    ours, theirs = _lines(source, targets, primary)
    if not len(ours) or not any(map(len, theirs)):
        return None
    if repeats(ours, joined_lines(theirs), prior.repeated):
        heard, sound = _lines(source, targets, AUDIO_TRACK)
        if primary != VIDEO_TRACK or not len(heard) or not any(map(len, sound)):
            return _Search(ours, theirs), []
        if repeats(heard, joined_lines(sound), prior.repeated):
            return _Search(ours, theirs), []
        ours, theirs = heard, sound
    search = _Search(ours, theirs)
    laps = [lap for lap in search.laps(expected_ns, prior.window_ns) if lap.matched >= FEW]
    share = _share(laps)
    laps = [lap for lap in laps if _explains(lap, share)]
    offsets = [lap.offset_ns for lap in laps]
    if max(offsets, default=0) - min(offsets, default=0) <= 2 * search.slack_ns:
        return None
    return search, laps


def _lap_ns(lines: Iterable[Line]) -> int:
    """After how long content comes again, in the main; 0 if it does not."""
    return max((int(np.median(after)) for after in map(returns_ns, lines) if len(after)), default=0)


def _nearest(laps: Iterable[Lap], expected_ns: int) -> Lap | None:
    share = _share(laps)
    good = [lap for lap in laps if _explains(lap, share) and lap.refuted <= lap.matched]
    return min(
        good, key=lambda lap: (abs(lap.centre_ns - expected_ns), lap.refuted, -lap.matched), default=None
    )


def _share(laps: Iterable[Lap]) -> float:
    """Which share of the frames the best offset leaves unexplained, and a little more."""
    least = min(
        (lap.refuted / (lap.matched + lap.refuted) for lap in laps if lap.matched >= FEW), default=0.0
    )
    return least + max(_SHARE, least / 4)


def _explains(lap: Lap, share: float) -> bool:
    return lap.refuted <= share * (lap.matched + lap.refuted) + _BY_CHANCE


@dataclass
class _Search:
    """Offsets between a line and those of the target, by what they explain."""

    source: Line
    targets: Sequence[Line]

    @cached_property
    def slack_ns(self) -> int:
        """By how much the offsets of the target's runs may differ from that of a lap."""
        span_ns = int(self.source.time_ns[-1] - self.source.time_ns[0])
        return SEAM_NS + span_ns * _DRIFT_PPM // 1_000_000

    def laps(self, expected_ns: int, reach_ns: int) -> list[Lap]:
        """All laps within reach of the expected offset, which comes first, and those at which runs are just
        out of each other's sight.
        """
        found = [self._choices(target, expected_ns, reach_ns) for target in self.targets]
        near = {choice.offset_ns for each in found for choice in each}
        offsets = near.union(*(self._beyond(target) for target in self.targets))
        offsets |= {each + side for each in near for side in (-self.slack_ns, self.slack_ns)}
        laps = [self._lap(expected_ns, found)]
        known = {laps[0].facts}
        for offset_ns in sorted(offsets):
            if abs(offset_ns - expected_ns) <= reach_ns:
                lap = self._lap(offset_ns, found)
                if lap.facts not in known:
                    known.add(lap.facts)
                    laps.append(lap)
        return laps

    def _lap(self, offset_ns: int, found: Sequence[Sequence[Choice]]) -> Lap:
        choices = []
        for target, each in zip(self.targets, found, strict=True):
            first = bisect_left(each, offset_ns - self.slack_ns, key=_offset_ns)
            last = bisect_right(each, offset_ns + self.slack_ns, key=_offset_ns)
            near = list(each[first:last])
            if any(self._is_apart(target, offset_ns + side) for side in (0, -self.slack_ns, self.slack_ns)):
                near.append(Choice(offset_ns + self.slack_ns, np.zeros(0, np.int64), 0))
            elif not near:
                near.append(self._choice(target, offset_ns))
            near.sort(key=lambda choice: (choice.refuted, abs(choice.offset_ns - offset_ns)))
            good = [choice for choice in near if choice.refuted - near[0].refuted <= _BY_CHANCE]
            choices.append(tuple(good) if len(target) else ())
        return Lap(offset_ns, tuple(choices))

    def _is_apart(self, target: Line, offset_ns: int) -> bool:
        """Whether two lines have no instant in common at an offset."""
        ours, theirs = self.source.time_ns, target.time_ns
        return not len(theirs) or bool(ours[-1] + offset_ns < theirs[0] or theirs[-1] < ours[0] + offset_ns)

    def _beyond(self, target: Line) -> tuple[int, ...]:
        """Offsets at which the line ends right before another begins, and the other way round."""
        if not len(target):
            return ()
        ours, theirs = self.source.time_ns, target.time_ns
        step_ns = nominal_ns(self.source, target)
        return int(theirs[0] - ours[-1]) - step_ns, int(theirs[-1] - ours[0]) + step_ns

    def _choice(self, target: Line, offset_ns: int) -> Choice:
        tolerance_ns = tolerance_of(self.source, target)
        offset, _ = judge(self.source, target, offset_ns, tolerance_ns)
        moved = self.source.moved(offset_ns)
        there = np.flatnonzero(partners(moved, target, tolerance_ns) >= 0)
        return Choice(offset_ns, there, offset.refuted)

    def _choices(self, target: Line, expected_ns: int, reach_ns: int) -> list[Choice]:
        if not len(target):
            return []
        offsets = _offsets(self.source, target, expected_ns, reach_ns)
        found = [self._choice(target, offset_ns) for offset_ns in offsets]
        return sorted((choice for choice in found if len(choice.there)), key=_offset_ns)


def _offset_ns(choice: Choice) -> int:
    return choice.offset_ns


def _offsets(source: Line, target: Line, expected_ns: int, reach_ns: int) -> list[int]:
    """Offsets within reach at which frames are the same, the nearest to the expected one first: by those
    frames whose content comes least often.
    """
    target = target.between(
        int(source.time_ns[0]) + expected_ns - reach_ns, int(source.time_ns[-1]) + expected_ns + reach_ns
    )
    values, counts = np.unique(target.digest, return_counts=True)
    if not len(values):
        return []
    place = np.minimum(np.searchsorted(values, source.digest), len(values) - 1)
    often = np.where(values[place] == source.digest, counts[place], 0)
    known = np.flatnonzero(often)
    if not len(known):
        return []
    parts = min(len(known) // _PART + 1, _SAMPLES)
    if len(known) > _PART:
        edges = np.linspace(0, len(known), parts + 1).astype(np.int64)
        known = np.array([part[often[part].argmin()] for part in np.split(known, edges[1:-1])])
    votes = []
    for at in known.tolist():
        late = target.time_ns[target.digest == source.digest[at]] - source.time_ns[at]
        votes.append(late[np.abs(late - expected_ns) <= reach_ns])
    late = np.sort(np.concatenate(votes))
    if not len(late):
        return []
    cuts = np.flatnonzero(np.diff(late) > tolerance_of(source, target) // 2) + 1
    middles = [int(np.median(part)) for part in np.split(late, cuts)]
    return sorted(middles, key=lambda each: abs(each - expected_ns))[:_OFFSETS]


def _lines(source: Footage, targets: Sequence[Footage], track: int) -> tuple[Line, list[Line]]:
    """Lines of a track, on even clocks, where merges have put them; of other encodes nothing."""
    ours = line_of(source.recorded, track)
    theirs = []
    for each in targets:
        line = line_of(each.recorded, track).moved(each.put_off_ns - source.put_off_ns)
        theirs.append(line if np.isin(line.digest, ours.digest).any() else line.part(0, 0))
    return ours, theirs


def joined_lines(lines: Sequence[Line]) -> Line:
    times: Times = np.concatenate([each.time_ns for each in lines])
    order = np.argsort(times, kind="stable")
    digest = np.concatenate([each.digest for each in lines])[order]
    key = np.concatenate([each.key for each in lines])[order]
    interval_ns = min((each.interval_ns for each in lines if each.interval_ns), default=0)
    return Line(times[order], digest, order, key, interval_ns)
