"""Align one run of the source with everything the target holds: which frames are there, on which clock.
Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from fovideo.media.codec import AUDIO_TRACK, VIDEO_TRACK
from fovideo.media.frames import FrameTable, joined, picked
from fovideo.merge.footage import Footage
from fovideo.merge.line import (
    Index,
    Line,
    Mask,
    Times,
    covered,
    line_of,
    nominal_ns,
    tolerance_of,
)
from fovideo.merge.placing.again import in_doubt
from fovideo.merge.placing.anchors import Anchor, Stretch, stretches_of
from fovideo.merge.placing.laps import FEW, SEAM_NS
from fovideo.merge.placing.machines import Machines
from fovideo.merge.placing.match import offsets_at, pair_up
from fovideo.merge.placing.offset import Offset, Prior, find_offset, repeats
from fovideo.merge.placing.pairs import Pair, pairs_of

_FOREIGN = 0.1  # matched share below which two recordings come from different encoders


@dataclass
class _Rest:
    """Footage of the target. free: frames without a partner. is_kin: from the same encoder as the run.
    expected_ns: offset that clocks tell. shares: others of its frames have a partner.
    """

    target: Footage
    free: Mask
    is_kin: bool
    expected_ns: int
    shares: bool


@dataclass
class Aligned:
    """What of a run the target holds, per frame.

    held: the identical frame is there. kept: it is there, but only among what is not shown. clash: other
    content of the same instant is there. dts_ns: decode time of the identical frame, where held. stretches:
    of frames that tell the clock. matched: how many there are. rest: what the target shows besides.
    apart: footage of the target, and the track of it that has nothing in common with the run.
    """

    held: Mask
    kept: Mask
    clash: Mask
    doubtful: Mask
    dts_ns: Times
    stretches: list[Stretch] = field(default_factory=list)
    matched: int = 0
    rest: list[_Rest] = field(default_factory=list)
    apart: list[tuple[Footage, int]] = field(default_factory=list)

    @property
    def anchors(self) -> list[Anchor]:
        """Both ends of each stretch."""
        return [anchor for each in self.stretches for anchor in each.anchors]

    @property
    def kin(self) -> list[Footage]:
        """Frames of the same encoder that the target has and the run has not."""
        return [each.target.only(each.free) for each in self.rest if each.is_kin and each.free.any()]

    @property
    def beside(self) -> list[Footage]:
        """The same, of sessions that share frames with the run: so it is known which is beside which."""
        return [each.target.only(each.free) for each in self.rest if each.shares and each.free.any()]

    @classmethod
    def none_of(cls, count: int) -> Aligned:
        held, kept, clash, doubtful = np.zeros((4, count), bool)
        return cls(held, kept, clash, doubtful, np.zeros(count, np.int64))


def align(
    source: Footage, targets: Sequence[Footage], primary: int, prior: Prior, machines: Machines
) -> Aligned:
    """Match a run against the target's footage: copies of the same session by their stored times, others by
    content.

    prior: what is known of the offset but for what the machines' clocks tell.
    """
    result = Aligned.none_of(len(source.frames))
    others: list[Footage] = []
    for target in targets:
        if target.session == source.session:
            if target.epoch == source.epoch:
                _take_copies(source, target, primary, result)
        elif len(source.frames) and len(target.frames) and not source.is_apart(target):
            others.append(target)
    copied = result.held | result.kept
    pairs, laps = pairs_of(source, others, primary, prior, machines)
    for target, pair in zip(others, pairs, strict=True):
        _take_content(source, target, primary, prior, pair, result)
    _take_stragglers(source, primary, result)
    if laps is not None:
        result.doubtful = laps.lacking(source, result.held, copied)
    elif len(prior.repeated):
        result.doubtful = in_doubt(source, others, pairs, prior, machines, result.anchors) & ~copied
    for target in targets:
        if target.session != source.session and source.is_apart(target):
            _add_rest(target, np.zeros(0, np.int64), True, 0, result)
    result.kept &= ~result.held
    result.clash &= ~(result.held | result.kept)
    return result


def overall_offset(
    source: Footage, targets: Sequence[Footage], primary: int, prior: Prior, machines: Machines
) -> Offset | None:
    """By how much the offset differs from what was expected, against all that the target shows, taken
    together. Where pictures repeat, sound may tell it.

    None where nothing matches, or where the machines' clocks tell the offset.
    """
    shown: list[FrameTable] = []
    trusted = True
    for target in targets:
        if target.conflict or target.session == source.session:
            continue
        mine, other = machines.contemporary(source, target)
        if not mine.any() or not other.any():
            continue
        if machines.apart_ns(source, target)[1]:
            continue
        frames = picked(target.recorded, other)
        found = machines.prior(source.only(mine), target.only(other), prior)
        trusted = trusted and found.trusted
        frames["time_ns"] -= found.expected_ns
        shown.append(frames)
    if not shown:
        return None
    guess_ns = prior.expected_ns
    prior = replace(prior, expected_ns=0, trusted=trusted)
    ours, theirs = _kindred(source, shown, primary)
    heard, sound = _kindred(source, shown, AUDIO_TRACK)
    audible = primary == VIDEO_TRACK and len(heard) and len(sound)
    if audible and repeats(ours, theirs, prior.repeated) and not repeats(heard, sound, prior.repeated):
        ours, theirs = heard, sound
    if not _doubled(theirs):
        found_offset = find_offset(ours, theirs, prior)
        return None if found_offset is None else _later(found_offset, guess_ns)
    # The target's own clock was set back: its footage overlaps itself, and tells something piece by piece.
    each = [find_offset(ours, line_of(frames, primary), prior) for frames in shown]
    good = [offset for offset in each if offset is not None and offset.quality > 0.5]
    nearest = min(good, key=lambda offset: abs(offset.offset_ns), default=None)
    return None if nearest is None else _later(nearest, guess_ns)


def _kindred(source: Footage, shown: Iterable[FrameTable], track: int) -> tuple[Line, Line]:
    """A track of a run, and of what has content in common with it: another encode says nothing."""
    ours = line_of(source.recorded, track)
    mine = [picked(each, each["track"] == track) for each in shown]
    return ours, line_of(joined(each for each in mine if np.isin(each["digest"], ours.digest).any()), track)


def _later(offset: Offset, by_ns: int) -> Offset:
    return replace(offset, offset_ns=offset.offset_ns + by_ns)


def _doubled(line: Line) -> bool:
    """Whether a line has two frames at the instant of one, for a good part of it."""
    return bool(np.count_nonzero(np.diff(line.time_ns) * 2 < line.interval_ns) * 50 > len(line))


def pinned_offset(source: Footage, targets: Sequence[Footage]) -> int | None:
    """The offset at which an earlier merge inserted footage of this very session; None if there is none, or
    if it is not the same everywhere: then clocks of the target's were off.
    """
    found: list[int] = []
    for target in targets:
        if target.session == source.session and target.epoch == source.epoch:
            places, others = _copies(source, target)
            if len(places):
                differences = target.frames["time_ns"][others] - source.frames["time_ns"][places]
                found.append(int(np.median(differences)))
    if not found or max(found) - min(found) > SEAM_NS:
        return None
    return int(np.median(found))


def _take_copies(source: Footage, target: Footage, primary: int, result: Aligned) -> None:
    places, others = _copies(source, target)
    if not len(places):
        return
    (result.kept if target.conflict else result.held)[places] = True
    result.dts_ns[places] = target.frames["dts_ns"][others]
    result.matched += len(places)
    offsets = target.frames["time_ns"][others] - source.frames["time_ns"][places]
    _add_rest(target, others, True, int(np.median(offsets)), result)
    result.stretches += stretches_of(source, target, places, others, primary)


def _add_rest(
    target: Footage, matched: Index, is_kin: bool, expected_ns: int, result: Aligned, near: Mask | None = None
) -> None:
    """near: which frames of the target arrived while the run did; what did not is no neighbour of it."""
    free = np.ones(len(target.frames), bool) if near is None else near.copy()
    free[matched] = False
    if free.any() and not target.conflict:
        result.rest.append(_Rest(target, free, is_kin, expected_ns, is_kin and len(matched) > 0))


def _copies(source: Footage, target: Footage) -> tuple[Index, Index]:
    """Footage of one session came from the same frames: stored time, digest and track identify each."""
    order = np.lexsort((target.frames["digest"], target.stored_ns))
    theirs = target.stored_ns[order]
    first = np.searchsorted(theirs, source.stored_ns, side="left")
    last = np.searchsorted(theirs, source.stored_ns, side="right")
    found = np.full(len(source.stored_ns), -1, np.int64)
    for step in range(int((last - first).max(initial=0))):
        other = order[np.minimum(first + step, len(order) - 1)]
        same = (
            (first + step < last)
            & (target.frames["digest"][other] == source.frames["digest"])
            & (target.frames["track"][other] == source.frames["track"])
        )
        found[same] = other[same]
    places = np.flatnonzero(found >= 0)
    return places, found[places]


def _take_content(
    source: Footage, target: Footage, primary: int, prior: Prior, pair: Pair, result: Aligned
) -> None:
    ours, others = pair.ours, pair.theirs
    mine, theirs = pair.compared
    held = np.zeros(len(source.frames), bool)
    held[ours] = True
    if target.conflict:
        result.kept |= held
        return
    result.held |= held
    result.dts_ns[ours] = target.frames["dts_ns"][others]
    result.matched += len(ours)
    comes_once = not prior.repeats and not np.isin(source.frames["digest"][ours], prior.repeated).all()
    if len(ours) >= FEW or comes_once:
        result.stretches += pair.stretches
    partnered = np.zeros(len(target.frames), bool)
    partnered[others] = True
    foreign = False
    for track in {primary, AUDIO_TRACK}:  # not metadata: several documents of one instant contradict nothing
        line, there = line_of(source.frames, track), line_of(target.frames[theirs], track)
        if not held[line.index].any():
            result.apart.append((target, track))
        if not len(line) or not len(there):
            continue
        shift_ns = offsets_at(pair.anchors, line.time_ns) if pair.anchors else pair.expected_ns
        line = line.moved(shift_ns)
        clashing, other_encoder = _clashes(line, held, mine, there, partnered[theirs])
        result.clash[line.index[clashing]] = True
        if other_encoder and held[line.index].any():
            result.apart.append((target, track))
        foreign = foreign or (other_encoder and track == primary)
    _add_rest(target, others, not foreign, pair.expected_ns, result, theirs)


def _take_stragglers(source: Footage, primary: int, result: Aligned) -> None:
    """Match what is left over by the anchors on either side of it: single frames at a seam of the target's,
    too few to tell their offset alone, are where the frames beside them are.
    """
    if not result.anchors or (result.held | result.kept).all():
        return
    anchors = np.array(sorted(result.anchors), np.int64)
    whole = line_of(source.frames, primary)
    for side in (-1, 0):
        lone = whole.at(np.flatnonzero(~(result.held | result.kept)[whole.index]))
        near = np.clip(np.searchsorted(anchors[:, 0], lone.time_ns) + side, 0, len(anchors) - 1)
        offset_ns = anchors[near, 1]
        order = np.argsort(lone.time_ns + offset_ns, kind="stable")
        lone, offset_ns = lone.at(order), offset_ns[order]
        for rest in result.rest:
            _take_lone(replace(lone, time_ns=lone.time_ns + offset_ns), offset_ns, rest, primary, result)


def _take_lone(line: Line, offset_ns: Times, rest: _Rest, primary: int, result: Aligned) -> None:
    """Match frames of a run, put on the target's clock by these offsets, with what is left there."""
    times = rest.target.frames["time_ns"]
    start, stop = np.searchsorted(line.time_ns, [times.min() - SEAM_NS, times.max() + SEAM_NS])
    if start == stop:
        return
    free = np.flatnonzero(~result.held[line.index[start:stop]]) + start
    line = line.at(free[np.abs(offset_ns[free] - rest.expected_ns) <= SEAM_NS])
    there = line_of(rest.target.frames, primary)
    others = there.at(np.flatnonzero(rest.free[there.index]))
    left, right = pair_up(line, others, tolerance_of(line, there))
    ours, theirs = line.index[left], others.index[right]
    result.held[ours] = True
    result.dts_ns[ours] = rest.target.frames["dts_ns"][theirs]
    rest.free[theirs] = False
    if len(left):
        rest.is_kin = rest.shares = True


def _clashes(ours: Line, held: Mask, mine: Mask, theirs: Line, partnered: Mask) -> tuple[Mask, bool]:
    """Which of our frames show an instant of which the target has other content; and whether its encoder is
    another. mine: which of our frames may be compared at all.

    Of one encoder: where an unmatched frame of the target lies at the same instant. Of different encoders:
    anywhere within the target's footage, since two encodes can't be interleaved.
    """
    tolerance_ns = tolerance_of(ours, theirs)
    within = covered(ours.time_ns, theirs, tolerance_ns, nominal_ns(ours, theirs)) & mine[ours.index]
    if int((within & held[ours.index]).sum()) < _FOREIGN * int(within.sum()):
        return within & ~held[ours.index], True
    lone = theirs.time_ns[~partnered[theirs.index]]
    if not len(lone):
        return np.zeros(len(ours), bool), False
    right = np.searchsorted(lone, ours.time_ns)
    after, before = lone[np.minimum(right, len(lone) - 1)], lone[np.maximum(right - 1, 0)]
    near = np.minimum(np.abs(after - ours.time_ns), np.abs(before - ours.time_ns)) <= tolerance_ns
    return np.asarray(near & ~held[ours.index] & mine[ours.index], bool), False
