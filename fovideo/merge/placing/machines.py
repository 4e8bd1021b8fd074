"""What the recorders' own clocks say of the offset between two runs: a frame arrives everywhere at about the
same instant. Pure.

Footage says when each frame arrived at the recorder's machine (footage.arrivals). So two runs of one camera
are related by three numbers: how far each run's times are behind the arrival, and how far the clocks of the
two machines are apart. The last one is the same for all footage of two stores; where both heard sender
reports, it follows without comparing a single frame.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TypeAlias

import numpy as np

from fovideo.media.frames import Clock
from fovideo.merge.footage import Footage
from fovideo.merge.line import Mask, Times, line_of, tolerance_of
from fovideo.merge.placing.offset import Offset, Prior, judge
from fovideo.times import NS_PER_MS, NS_PER_S

SLACK_NS = 2 * NS_PER_S
"""A frame arrives at two recorders at the same instant but for this: one of them may have been busy all the
time."""

_CLOSE_NS = 50 * NS_PER_MS  # what error bounds do not know of
_BENT_NS = 120 * NS_PER_MS  # how far merges put footage off to keep it in order
_STEP_NS = 200 * NS_PER_MS  # what a camera sets its clock right by is more
_STRONG, _EXPLAINS = 8, 0.8  # frames that are the same, and the share of what lies where both have footage
_LOST, _FEW = 0.05, 3  # frames that one side lost: their share, and how many may be so anywhere
_ENOUGH = 25  # frames from which on the least delay of a run says something

_Found: TypeAlias = tuple[int, Footage, Footage]
"""A difference of two machines, by what a run of each says."""


@dataclass(frozen=True)
class Machines:
    """How far the machines' clocks are apart.

    known: by (source store, target store) the target's clock minus the source's, told by sender reports.
    window_ns: others are at most this far from expected_ns. told: frames in common told expected_ns, to this
    merge or to an earlier one. stepped: where the camera's clock and arrival disagree, arrival is right.
    likely: as likely as what is believed, since no difference shows machines that are kept in step.
    """

    window_ns: int
    expected_ns: int = 0
    known: Mapping[tuple[str, str], int] = field(default_factory=dict)
    told: bool = False
    stepped: bool = False
    likely: bool = False

    @classmethod
    def possible(
        cls,
        sources: Sequence[Footage],
        targets: Sequence[Footage],
        primary: int,
        window_ns: int,
        expected_ns: int = 0,
    ) -> list[Machines]:
        """Learn from all runs with sender reports: where both know the camera's clock, it cancels out. The
        first is believed; the others are possible, too, where content repeats.

        A camera that restarted its clock makes several differences of one pair of machines. Believed are
        those at which frames are the same, then the one that holds before and after the restart, then one
        of none, as machines are kept in step, then the one with more frames in common.
        """
        found: dict[tuple[str, str], list[_Found]] = {}
        for source in filter(_tells, sources):
            for target in filter(_tells, targets):
                apart_ns = (target.lag_ns or 0) - (source.lag_ns or 0)
                if abs(apart_ns - expected_ns) <= window_ns + SLACK_NS:
                    found.setdefault((source.store, target.store), []).append((apart_ns, source, target))
        ranked = {stores: _ranked(each, primary, expected_ns) for stores, each in found.items()}
        before_ns = _written_down(sources, targets)
        known = {stores: each[0] for stores, each in ranked.items()}
        believed = cls(
            window_ns, expected_ns if before_ns is None else before_ns, known, before_ns is not None
        )
        others = [
            replace(believed, known={**known, stores: other}, likely=abs(each[0] - expected_ns) > SLACK_NS)
            for stores, each in ranked.items()
            for other in each[1:]
        ]
        if any(believed.disagree(source, target) for source in sources for target in targets):
            others.append(replace(believed, stepped=True))
        return [believed, *others]

    def disagree(self, source: Footage, target: Footage) -> bool:
        """Whether the camera's clock says otherwise than arrival, though not by more than frames may have
        waited: else that clock has stepped.
        """
        if not (source.trusted and target.trusted) or source.lag_ns is None or target.lag_ns is None:
            return False
        apart_ns, known = self.apart_ns(source, target)
        return known and _STEP_NS < abs(source.lag_ns - target.lag_ns + apart_ns) <= SLACK_NS

    def apart_ns(self, source: Footage, target: Footage) -> tuple[int, bool]:
        """By how much the target's clock is ahead of the source's, and whether that is known."""
        if source.store == target.store and source.store:
            return 0, True
        known = self.known.get((source.store, target.store))
        return (self.expected_ns, False) if known is None else (known, True)

    def told_ns(self, source: str, target: str) -> int | None:
        """By how much the clock of one store's machine is ahead of another's; None if that is not known."""
        return self.known.get((source, target), self.expected_ns if self.told else None)

    def contemporary(self, source: Footage, target: Footage) -> tuple[Mask, Mask]:
        """Which frames of each may have arrived while the other's did: only these can be the same."""
        apart_ns, known = self.apart_ns(source, target)
        slack_ns = SLACK_NS if known else SLACK_NS + self.window_ns
        return (
            _meets(source.arrival_ns, apart_ns, target.arrival_ns, slack_ns),
            _meets(target.arrival_ns, -apart_ns, source.arrival_ns, slack_ns),
        )

    def prior(self, source: Footage, target: Footage, base: Prior) -> Prior:
        """What is known of the offset between the recorded times of two runs.

        base: what is, if their arrivals are not known; its expected_ns is added where the machines' clocks
        are not.
        """
        both = source.trusted and target.trusted
        error_ns = source.error_ns + target.error_ns + _CLOSE_NS
        claimed = replace(base, near_ns=min(base.near_ns, error_ns), trusted=both)
        ours_ns, theirs_ns = source.lag_ns, target.lag_ns
        if ours_ns is None or theirs_ns is None:
            moved_ns = target.put_off_ns - source.put_off_ns  # what has no arrival is where a merge put it
            return replace(claimed, expected_ns=claimed.expected_ns + self.expected_ns - moved_ns)
        apart_ns, known = self.apart_ns(source, target)
        expected_ns = ours_ns - theirs_ns + apart_ns
        if both and abs(expected_ns) <= (_STEP_NS if self.stepped else SLACK_NS):
            return replace(claimed, expected_ns=0, window_ns=SLACK_NS)
        if known:
            return replace(base.around(expected_ns, SLACK_NS), trusted=True)
        near_ns = base.near_ns
        if source.adopted or target.adopted:
            near_ns = max(near_ns, _BENT_NS)
        return replace(base, expected_ns=base.expected_ns + expected_ns, near_ns=near_ns)

    def otherwise(self, source: Footage, target: Footage, base: Prior) -> list[Prior]:
        """What else content may prove: that one of the machines' own clocks was wrong for a while, or that an
        earlier merge found the target's footage elsewhere than its times claim.
        """
        if not (source.trusted and target.trusted):
            return []
        ours, theirs = source.recorded["time_ns"], target.recorded["time_ns"]
        found = []
        for offset_ns in dict.fromkeys((0, source.put_off_ns - target.put_off_ns)):
            start_ns = max(ours.min() + offset_ns, theirs.min())
            if start_ns <= min(ours.max() + offset_ns, theirs.max()) + _CLOSE_NS:
                found.append(replace(base.around(offset_ns, _CLOSE_NS), trusted=True))
        return found


def _tells(footage: Footage) -> bool:
    """Whether footage relates the camera's clock to its machine's."""
    return footage.clock == Clock.SENDER_REPORT and not footage.adopted and footage.lag_ns is not None


def _written_down(sources: Sequence[Footage], targets: Sequence[Footage]) -> int | None:
    """What earlier merges took for the difference of the machines: of footage that both sides have had since,
    they wrote down when it arrived. None if there is none.
    """
    sessions = {(each.session, each.epoch): each for each in sources if each.dated or not each.adopted}
    found = [
        target.lag_ns - source.lag_ns
        for target in targets
        if (source := sessions.get((target.session, target.epoch))) is not None
        and (source.dated or target.dated)
        and (target.dated or not target.adopted)
        and target.lag_ns is not None
        and source.lag_ns is not None
    ]
    return int(np.median(found)) if found else None


def _ranked(found: Sequence[_Found], primary: int, expected_ns: int) -> list[int]:
    """Differences of two machines that are possible, the best first."""
    differences = [apart_ns for apart_ns, _, _ in found]
    good = [(each, 0) for each in found]
    if max(differences) - min(differences) > _STEP_NS:
        good = _uncontradicted(found, primary) or good
    order = []
    for (apart_ns, source, target), _ in good:
        alike = [each for each in good if abs(each[0][0] - apart_ns) <= SLACK_NS]
        order.append(
            (
                -clocks_of(each.lag_ns or 0 for (_, each, _), _ in alike),
                min(len(source.frames), len(target.frames)) < _ENOUGH,
                abs(apart_ns - expected_ns) > SLACK_NS,
                -sum(same for _, same in alike),
                abs(apart_ns - expected_ns),
                apart_ns,
            )
        )
    order.sort()
    result: list[int] = []
    for clocks, *_, apart_ns in order:
        if clocks == order[0][0] and all(abs(apart_ns - other) > SLACK_NS for other in result):
            result.append(apart_ns)
    return result


def clocks_of(lags_ns: Iterable[int]) -> int:
    """How many clocks of one camera, that it restarted, runs on one machine have heard. lags_ns: of each run,
    by how much it arrived after its times.
    """
    lags = sorted(lags_ns)
    return len(lags) and 1 + sum(after - before > SLACK_NS for before, after in pairwise(lags))


def _uncontradicted(found: Sequence[_Found], primary: int) -> list[tuple[_Found, int]]:
    """Those that have frames in common at one time of the camera's clock, but for differences at which more
    frames are not the same than get lost, or than at others. With the number of these frames.
    """
    judged = [(each, _common(each[1], each[2], primary)) for each in found]
    same = [
        (each, common) for each, common in judged if common.matched >= _STRONG and common.quality >= _EXPLAINS
    ]
    counts = np.array(
        [
            np.sum(
                [
                    (other.matched, other.refuted)
                    for (at_ns, *_), other in same
                    if abs(at_ns - apart_ns) <= SLACK_NS
                ],
                axis=0,
            )
            for (apart_ns, *_), _ in same
        ]
    ).reshape(-1, 2)
    total = counts.sum(axis=1)
    lost = max(_LOST, float((counts[:, 1] / total).min(initial=1)) * 1.25)
    good = counts[:, 1] <= _FEW + lost * total
    return [(each, common.matched) for (each, common), fits in zip(same, good, strict=True) if fits]


def _common(source: Footage, target: Footage, primary: int) -> Offset:
    """What two runs have in common at one time of the camera's clock."""
    ours, theirs = line_of(source.recorded, primary), line_of(target.recorded, primary)
    if not len(ours) or not len(theirs) or not _overlap(source, target):
        return Offset(0, 0, 0)
    return judge(ours, theirs, 0, tolerance_of(ours, theirs))[0]


def _overlap(source: Footage, target: Footage) -> bool:
    """Whether two runs have an instant in common, by their recorded times."""
    ours, theirs = source.recorded["time_ns"], target.recorded["time_ns"]
    if not len(ours) or not len(theirs):
        return False
    return bool(max(ours.min(), theirs.min()) <= min(ours.max(), theirs.max()) + _CLOSE_NS)


def _meets(arrival_ns: Times, apart_ns: int, others_ns: Times, slack_ns: int) -> Mask:
    others_ns = others_ns[others_ns != 0]
    if not len(others_ns):
        return np.ones(len(arrival_ns), bool)
    at_ns = arrival_ns + apart_ns
    inside = (at_ns >= others_ns.min() - slack_ns) & (at_ns <= others_ns.max() + slack_ns)
    return np.asarray(inside | (arrival_ns == 0), bool)
