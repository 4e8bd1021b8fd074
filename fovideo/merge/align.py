"""Align one run of the source with everything the target holds: which frames are there already, on which
clock. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fovideo.media.codec import AUDIO_TRACK
from fovideo.merge.footage import Footage
from fovideo.merge.line import Index, Line, Mask, covered, line_of, tolerance_of
from fovideo.merge.match import match, offsets_at
from fovideo.merge.offset import Offset, find_offset
from fovideo.times import NS_PER_S

_FOREIGN = 0.1  # matched share below which two recordings come from different encoders
_RECEIPT_SLACK_NS = 30 * NS_PER_S


@dataclass
class Aligned:
    """What of a run the target holds, per frame.

    held: the identical frame is there. kept: it is there, but only among what is not shown. clash: other
    content of the same instant is there. anchors: (source time_ns, offset_ns). matched: how many frames gave
    them.
    """

    held: Mask
    kept: Mask
    clash: Mask
    anchors: list[tuple[int, int]]
    matched: int = 0


def comparable(source: Footage, target: Footage, window_ns: int) -> bool:
    """Whether the two could have received the same frames at all.

    A session receives each frame once, and a frame reaches two recorders at about the same instant, by the
    receipt clocks of machines that are at most the window apart (not at all within one store).
    """
    if not len(source.frames) or not len(target.frames) or source.session == target.session:
        return False
    ours, theirs = source.frames["receipt_ns"], target.frames["receipt_ns"]
    if not ours.any() or not theirs.any():
        return True
    slack_ns = _RECEIPT_SLACK_NS + (0 if source.store == target.store and source.store else window_ns)
    return bool(ours.min() <= theirs.max() + slack_ns and theirs.min() <= ours.max() + slack_ns)


def overall_offset(
    source: Footage, targets: Sequence[Footage], track: int, expected_ns: int, window_ns: int
) -> Offset | None:
    """The offset against all that the target holds, taken together."""
    shown = [each for each in targets if not each.conflict]
    if not shown:
        return None
    ours = line_of(source.frames, track)
    theirs = line_of(np.concatenate([each.frames for each in shown]), track)
    trusted = source.trusted and all(each.trusted for each in shown)
    return find_offset(ours, theirs, expected_ns=expected_ns, window_ns=window_ns, trusted=trusted)


def align(
    source: Footage, targets: Sequence[Footage], primary: int, expected_ns: int, window_ns: int
) -> Aligned:
    """Match a run against the target's footage: copies of the same session by their stored times, others by
    content.

    expected_ns: offset of the clocks as far as known. window_ns: how far from it single runs may be.
    """
    count = len(source.frames)
    result = Aligned(np.zeros(count, bool), np.zeros(count, bool), np.zeros(count, bool), [])
    for target in targets:
        if target.session == source.session:
            if target.epoch == source.epoch:
                places, others = _copies(source, target)
                (result.kept if target.conflict else result.held)[places] = True
                result.matched += len(places)
                result.anchors.extend(_ends(source, target, places, others))
            continue
        if comparable(source, target, window_ns):
            _match_content(source, target, primary, expected_ns, window_ns, result)
    result.kept &= ~result.held
    result.clash &= ~(result.held | result.kept)
    return result


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


def _copies(source: Footage, target: Footage) -> tuple[Index, Index]:
    """Footage of one session came from the same frames: stored time, digest and track identify each."""
    order = np.lexsort((target.frames["digest"], target.stored_ns))
    theirs = target.stored_ns[order]
    first = np.searchsorted(theirs, source.stored_ns, side="left")
    last = np.searchsorted(theirs, source.stored_ns, side="right")
    found = np.full(len(source.stored_ns), -1, np.int64)
    for step in range(int((last - first).max(initial=0))):
        at = np.minimum(first + step, len(order) - 1)
        other = order[at]
        same = (
            (first + step < last)
            & (target.frames["digest"][other] == source.frames["digest"])
            & (target.frames["track"][other] == source.frames["track"])
        )
        found[same] = other[same]
    places = np.flatnonzero(found >= 0)
    return places, found[places]


def _ends(source: Footage, target: Footage, places: Index, others: Index) -> list[tuple[int, int]]:
    """Anchors from the first and the last of the pairs."""
    times = source.frames["time_ns"][places]
    offsets = target.frames["time_ns"][others] - times
    return [(int(times[at]), int(offsets[at])) for at in {0, len(places) - 1} if len(places)]


def _match_content(
    source: Footage, target: Footage, primary: int, expected_ns: int, window_ns: int, result: Aligned
) -> None:
    trusted = source.trusted and target.trusted
    found = match(source.frames, target.frames, window_ns=window_ns, expected_ns=expected_ns, trusted=trusted)
    held = np.zeros(len(source.frames), bool)
    held[found.source] = True
    if target.conflict:
        result.kept |= held
        return
    result.held |= held
    result.matched += len(found)
    result.anchors.extend(found.anchors)
    partnered = np.zeros(len(target.frames), bool)
    partnered[found.target] = True
    for track in {primary, AUDIO_TRACK}:  # not metadata: several documents of one instant contradict nothing
        ours, theirs = line_of(source.frames, track), line_of(target.frames, track)
        if not len(ours) or not len(theirs):
            continue
        shift_ns = offsets_at(found.anchors, ours.time_ns) if found.anchors else expected_ns
        clashing = _clashes(ours.moved(shift_ns), held, theirs, partnered)
        result.clash[ours.index[clashing]] = True


def _clashes(ours: Line, held: Mask, theirs: Line, partnered: Mask) -> Mask:
    """Which of our frames show an instant of which the target has other content.

    Of one encoder: where an unmatched frame of the target lies at the same instant. Of different encoders:
    anywhere within the target's footage, since two encodes can't be interleaved.
    """
    tolerance_ns = tolerance_of(ours, theirs)
    within = covered(ours.time_ns, theirs, tolerance_ns)
    if int((within & held[ours.index]).sum()) < _FOREIGN * int(within.sum()):
        return within & ~held[ours.index]
    lone = theirs.time_ns[~partnered[theirs.index]]
    if not len(lone):
        return np.zeros(len(ours), bool)
    right = np.searchsorted(lone, ours.time_ns)
    after, before = lone[np.minimum(right, len(lone) - 1)], lone[np.maximum(right - 1, 0)]
    near = np.minimum(np.abs(after - ours.time_ns), np.abs(before - ours.time_ns)) <= tolerance_ns
    return np.asarray(near & ~held[ours.index], bool)
