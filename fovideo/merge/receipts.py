"""Receipt clocks: a frame reaches two recorders at about the same instant. Pure.

So footage that looks alike but was received at another time is told apart: a static scene before and after a
camera restarted its clock, a target whose own clock was set back.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence
from typing import TypeAlias

import numpy as np

from fovideo.merge.footage import Footage
from fovideo.merge.line import Index, Mask
from fovideo.merge.match import Matching
from fovideo.merge.offset import Prior
from fovideo.times import NS_PER_S

Receipts: TypeAlias = MutableMapping[tuple[str, str], tuple[int, int]]
"""(source store, target store) to (weight of what told it, second receipt clock minus first)."""

Known: TypeAlias = Mapping[tuple[str, str], tuple[int, int]]

_EXPECTED = 1 << 32  # outweighs any number of frames on another clock
_RECEIPT_SLACK_NS = 2 * NS_PER_S  # a frame reaches two recorders at the same instant but for this


def contemporary(source: Footage, target: Footage, window_ns: int, receipts: Known) -> tuple[Mask, Mask]:
    """Which frames of each could have been received at the same instant: only these can be the same.

    Where the receipt clocks' difference is unknown, it is at most the window.
    """
    ours, theirs = source.frames["receipt_ns"], target.frames["receipt_ns"]
    if not ours.any() or not theirs.any():
        return np.ones(len(ours), bool), np.ones(len(theirs), bool)
    known = receipts.get((source.store, target.store))
    slack_ns = _RECEIPT_SLACK_NS
    if source.store == target.store and source.store:
        known = known or (0, 0)
    elif known is None:
        slack_ns += window_ns
    offset_ns = 0 if known is None else known[1]
    mine = (ours + offset_ns >= theirs.min() - slack_ns) & (ours + offset_ns <= theirs.max() + slack_ns)
    other = (theirs >= ours.min() + offset_ns - slack_ns) & (theirs <= ours.max() + offset_ns + slack_ns)
    return np.asarray(mine, bool), np.asarray(other, bool)


def learn(
    source: Footage, found: Sequence[tuple[Footage, Matching]], prior: Prior, receipts: Receipts
) -> None:
    """Note how the receipt clocks differ, from the pair with the most matching frames on the expected
    clock.
    """
    for target, matching in found:
        key = (source.store, target.store)
        ours = source.frames["receipt_ns"][matching.source]
        theirs = target.frames["receipt_ns"][matching.target]
        if source.store == target.store or not ours.any() or not theirs.any():
            continue
        expected = abs(matching.offset_ns - prior.expected_ns) <= prior.near_ns
        weight = len(matching) + (_EXPECTED if expected else 0)
        if weight > receipts.get(key, (0, 0))[0]:
            receipts[key] = (weight, int(np.median(theirs - ours)))


def received_together(
    source: Footage,
    target: Footage,
    ours: Index,
    theirs: Index,
    receipts: Known,
) -> Mask:
    """Which of these pairs of frames reached both recorders at about the same instant, as far as is known."""
    known = receipts.get((source.store, target.store))
    if source.store == target.store and source.store:
        known = known or (0, 0)
    left, right = source.frames["receipt_ns"][ours], target.frames["receipt_ns"][theirs]
    if known is None or not left.any() or not right.any():
        return np.ones(len(ours), bool)
    return np.asarray(np.abs(right - left - known[1]) <= _RECEIPT_SLACK_NS, bool)
