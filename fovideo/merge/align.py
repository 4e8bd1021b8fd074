"""Align one run of the source with everything the target holds: which frames are there, on which clock.
Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from fovideo.media.codec import AUDIO_TRACK, VIDEO_TRACK
from fovideo.merge.footage import Footage
from fovideo.merge.line import (
    Index,
    Line,
    Mask,
    Times,
    covered,
    line_of,
    nearest_to,
    nominal_ns,
    tolerance_of,
)
from fovideo.merge.match import Matching, match, offsets_at
from fovideo.merge.offset import Offset, Prior, find_offset, repeats
from fovideo.merge.receipts import Known, Receipts, contemporary, learn, received_together
from fovideo.times import NS_PER_MS

_FEW = 8  # where content repeats, fewer matching frames than this say nothing of the clock
_CLOSE_NS = 50 * NS_PER_MS  # what error bounds do not know of
_FOREIGN = 0.1  # matched share below which two recordings come from different encoders


@dataclass
class Aligned:
    """What of a run the target holds, per frame.

    held: the identical frame is there. kept: it is there, but only among what is not shown. clash: other
    content of the same instant is there. dts_ns: decode time of the identical frame, where held. anchors:
    (source time_ns, offset_ns). matched: how many frames gave them. kin: frames of the same encoder that the
    target has and the run has not.
    """

    held: Mask
    kept: Mask
    clash: Mask
    dts_ns: Times
    anchors: list[tuple[int, int]] = field(default_factory=list)
    matched: int = 0
    kin: list[Footage] = field(default_factory=list)

    @classmethod
    def none_of(cls, count: int) -> Aligned:
        held, kept, clash = np.zeros((3, count), bool)
        return cls(held, kept, clash, np.zeros(count, np.int64))


def align(
    source: Footage,
    targets: Sequence[Footage],
    primary: int,
    prior: Prior,
    receipts: Receipts,
) -> Aligned:
    """Match a run against the target's footage: copies of the same session by their stored times, others by
    content.

    prior: what is known of the offset. receipts: what is known of the recorders' receipt clocks; what this
    run tells is added.
    """
    result = Aligned.none_of(len(source.frames))
    found: list[tuple[Footage, Matching]] = []
    for target in targets:
        if target.session == source.session:
            if target.epoch == source.epoch:
                _take_copies(source, target, result)
        elif len(source.frames) and len(target.frames):
            found.append((target, _match(source, target, prior, receipts)))
    learn(source, found, prior, receipts)
    for target, matching in found:
        _take_content(source, target, matching, primary, prior, receipts, result)
    result.kept &= ~result.held
    result.clash &= ~(result.held | result.kept)
    return result


def overall_offset(source: Footage, targets: Sequence[Footage], primary: int, prior: Prior) -> Offset | None:
    """The offset against all that the target shows, taken together. Where pictures repeat, sound may tell
    it.
    """
    shown = []
    for target in targets:
        if target.conflict or target.session == source.session:
            continue
        mine, other = contemporary(source, target, prior.window_ns, {})
        if mine.any() and other.any():
            shown.append((target, other))
    if not shown:
        return None
    frames = np.concatenate([target.frames[mask] for target, mask in shown])
    prior = _as_claimed(prior, source, *(target for target, _ in shown))
    ours, theirs = line_of(source.frames, primary), line_of(frames, primary)
    if primary == VIDEO_TRACK and repeats(ours, theirs, prior.repeated):
        heard, there = line_of(source.frames, AUDIO_TRACK), line_of(frames, AUDIO_TRACK)
        if len(heard) and len(there) and not repeats(heard, there, prior.repeated):
            ours, theirs = heard, there
    if not _doubled(theirs):
        return find_offset(ours, theirs, prior)
    # The target's own clock was set back: its footage overlaps itself, and tells something piece by piece.
    each = [find_offset(ours, line_of(target.frames[mask], primary), prior) for target, mask in shown]
    found = [offset for offset in each if offset is not None and offset.quality > 0.5]
    return min(found, key=lambda offset: abs(offset.offset_ns - prior.expected_ns), default=None)


def _doubled(line: Line) -> bool:
    """Whether a line has two frames at the instant of one, for a good part of it."""
    return bool(np.count_nonzero(np.diff(line.time_ns) * 2 < line.interval_ns) * 50 > len(line))


def _as_claimed(prior: Prior, *footage: Footage) -> Prior:
    """The prior, if the error bounds of the frames are true: clocks of cameras agree to ms, of recorders to
    s.
    """
    error_ns = sum(max((each.error_ns for each in side), default=0) for side in (footage[:1], footage[1:]))
    return replace(
        prior,
        near_ns=min(prior.near_ns, error_ns + _CLOSE_NS),
        trusted=all(each.trusted for each in footage),
    )


def pinned_offset(source: Footage, targets: Sequence[Footage]) -> int | None:
    """The offset at which an earlier merge inserted footage of this very session; None if there is none."""
    found: list[int] = []
    for target in targets:
        if target.session == source.session and target.epoch == source.epoch:
            places, others = _copies(source, target)
            if len(places):
                differences = target.frames["time_ns"][others] - source.frames["time_ns"][places]
                found.append(int(np.median(differences)))
    return int(np.median(found)) if found else None


def _match(
    source: Footage,
    target: Footage,
    prior: Prior,
    receipts: Known,
) -> Matching:
    """Match what may have been received at the same instant; indices are of the whole footage."""
    mine, theirs = (np.flatnonzero(mask) for mask in contemporary(source, target, prior.window_ns, receipts))
    found = match(source.frames[mine], target.frames[theirs], _as_claimed(prior, source, target))
    return Matching(mine[found.source], theirs[found.target], found.anchors, found.offset_ns, found.drift_ppb)


def _take_copies(source: Footage, target: Footage, result: Aligned) -> None:
    places, others = _copies(source, target)
    if not len(places):
        return
    (result.kept if target.conflict else result.held)[places] = True
    _add_kin(target, others, result)
    result.dts_ns[places] = target.frames["dts_ns"][others]
    result.matched += len(places)
    times = source.frames["time_ns"][places]
    offsets = target.frames["time_ns"][others] - times
    result.anchors.extend((int(times[at]), int(offsets[at])) for at in {0, len(places) - 1})


def _add_kin(target: Footage, matched: Index, result: Aligned) -> None:
    lone = np.ones(len(target.frames), bool)
    lone[matched] = False
    if lone.any() and not target.conflict:
        result.kin.append(target.only(lone))


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
    source: Footage,
    target: Footage,
    found: Matching,
    primary: int,
    prior: Prior,
    receipts: Receipts,
    result: Aligned,
) -> None:
    mine, theirs = contemporary(source, target, prior.window_ns, receipts)
    good = received_together(source, target, found.source, found.target, receipts)
    if len(found) and good.mean() < 0.5:  # alike, but of another time
        found, good = Matching(found.source[:0], found.target[:0]), good[:0]
    ours, others = found.source[good], found.target[good]
    held = np.zeros(len(source.frames), bool)
    held[ours] = True
    if target.conflict:
        result.kept |= held
        return
    result.held |= held
    result.dts_ns[ours] = target.frames["dts_ns"][others]
    result.matched += len(ours)
    if len(ours) >= _FEW or not len(prior.repeated):
        result.anchors.extend(found.anchors)
    partnered = np.zeros(len(target.frames), bool)
    partnered[others] = True
    foreign = False
    for track in {primary, AUDIO_TRACK}:  # not metadata: several documents of one instant contradict nothing
        line, there = line_of(source.frames, track), line_of(target.frames[theirs], track)
        if not len(line) or not len(there):
            continue
        shift_ns = offsets_at(found.anchors, line.time_ns) if found.anchors else prior.expected_ns
        line = line.moved(shift_ns)
        nearest = np.flatnonzero(theirs)[there.index[nearest_to(line.time_ns, there)]]
        mine[line.index] &= received_together(source, target, line.index, nearest, receipts)
        clashing, other_encoder = _clashes(line, held, mine, there, partnered[theirs])
        result.clash[line.index[clashing]] = True
        foreign = foreign or (other_encoder and track == primary)
    if not foreign:
        _add_kin(target, others, result)


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
