"""Receipt clocks: a frame arrives at two recorders at about the same instant. Pure.

So footage that looks alike but was received at another time is told apart: a static scene before and after a
camera restarted its clock, a target whose own clock was set back.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence
from typing import TypeAlias

import numpy as np

from fovideo.merge.footage import Footage
from fovideo.merge.line import Index, Mask, Times
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
    known = receipts.get((source.store, target.store))
    slack_ns = _RECEIPT_SLACK_NS
    if source.store == target.store and source.store:
        known = known or (0, 0)
    elif known is None:
        slack_ns += window_ns
    offset_ns = 0 if known is None else known[1]
    return (
        _meets(source.arrival_ns, offset_ns, target.arrival_ns, slack_ns),
        _meets(target.arrival_ns, -offset_ns, source.arrival_ns, slack_ns),
    )


def _meets(arrival_ns: Times, offset_ns: int, others_ns: Times, slack_ns: int) -> Mask:
    """Which frames arrived while the others did, or may have."""
    others_ns = others_ns[others_ns != 0]
    if not len(others_ns):
        return np.ones(len(arrival_ns), bool)
    at_ns = arrival_ns + offset_ns
    inside = (at_ns >= others_ns.min() - slack_ns) & (at_ns <= others_ns.max() + slack_ns)
    return np.asarray(inside | (arrival_ns == 0), bool)


def learn(
    source: Footage, found: Sequence[tuple[Footage, Matching]], prior: Prior, receipts: Receipts
) -> None:
    """Note how the receipt clocks differ, from the pair with the most matching frames on the expected
    clock.
    """
    for target, matching in found:
        key = (source.store, target.store)
        ours = source.arrival_ns[matching.source]
        theirs = target.arrival_ns[matching.target]
        both = (ours != 0) & (theirs != 0)
        if source.store == target.store or not both.any():
            continue
        expected = abs(matching.offset_ns - prior.expected_ns) <= prior.near_ns
        weight = len(matching) + (_EXPECTED if expected else 0)
        if weight > receipts.get(key, (0, 0))[0]:
            receipts[key] = (weight, int(np.median((theirs - ours)[both])))


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
    left, right = source.arrival_ns[ours], target.arrival_ns[theirs]
    if known is None:
        return np.ones(len(ours), bool)
    together = np.abs(right - left - known[1]) <= _RECEIPT_SLACK_NS
    return np.asarray(together | (left == 0) | (right == 0), bool)
