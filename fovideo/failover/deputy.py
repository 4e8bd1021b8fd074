"""When a spare stands in for the management server: pure, like the rest of this folder.

Nothing is lost if two do it at once: the directory is the same, and configurations have versions. So there is
no lease to win: among the spares that answer each other, the first one of the site acts.
"""

from __future__ import annotations

import msgspec
from msgspec.structs import replace


class Deputy(msgspec.Struct, frozen=True):
    """What a spare knows of the management server. told_ns: it answered last. well_ns: it has answered since.

    All times monotonic ns. lease: number of this spare's last time in the role, or the highest one heard of.
    """

    told_ns: int
    well_ns: int
    misses: int = 0
    acting: bool = False
    lease: int = 0


class Seen(msgspec.Struct, frozen=True):
    """One round of questions. manager: whether it answered. earlier: whether a spare that comes before this
    one in the site answered. lease: the highest number that anybody told of.
    """

    now_ns: int
    manager: bool
    earlier: bool = False
    lease: int = 0


MISSES_NEEDED = 2


def deputise(memory: Deputy, seen: Seen, *, takeover_after_ns: int, handback_after_ns: int) -> Deputy:
    """Take in a round of questions, and decide. A change of `acting` is a takeover, or a hand-back."""
    lease = max(memory.lease, seen.lease)
    if seen.manager:
        well_ns = memory.well_ns if not memory.misses else seen.now_ns
        acting = memory.acting and seen.now_ns - well_ns < handback_after_ns
        return replace(memory, told_ns=seen.now_ns, well_ns=well_ns, misses=0, acting=acting, lease=lease)
    memory = replace(memory, misses=memory.misses + 1, lease=lease)
    if seen.earlier:
        return replace(memory, acting=False)
    silent = memory.misses >= MISSES_NEEDED and seen.now_ns - memory.told_ns >= takeover_after_ns
    if silent and not memory.acting:
        return replace(memory, acting=True, lease=lease + 1)
    return memory
