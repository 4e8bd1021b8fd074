"""When a spare stands in for the management server: pure, like the rest of this folder.

Nothing is lost if two do it at once: the directory is the same, and configurations have versions. But clients
shall see one. Where there is a lease service, whoever has the lease manages; without it, or while it is away,
the first spare of the site's order among those that answer each other.
"""

from __future__ import annotations

import msgspec
from msgspec.structs import replace


class Deputy(msgspec.Struct, frozen=True):
    """What a spare knows of the management server. told_ns: it answered last. well_ns: it has answered since.

    All times monotonic ns. lease: the highest number known. right: that under which this spare acts, 0 =
    none; firm: the lease service says so.
    """

    told_ns: int
    well_ns: int
    misses: int = 0
    acting: bool = False
    lease: int = 0
    right: int = 0
    firm: bool = False


class Seen(msgspec.Struct, frozen=True):
    """One round of questions. manager: whether it answered. earlier: whether a spare that comes before this
    one in the site answered. lease: the highest number that anybody told of.

    taken: another spare has the lease. held: the number under which this one has it, 0 = it has not.
    """

    now_ns: int
    manager: bool
    earlier: bool = False
    lease: int = 0
    taken: bool = False
    held: int = 0


MISSES_NEEDED = 2


def deputise(memory: Deputy, seen: Seen, *, takeover_after_ns: int, handback_after_ns: int) -> Deputy:
    """Take in a round of questions, and decide. A change of `acting` is a takeover, or a hand-back.

    Who begins to act has no right yet: it is to ask for one, and `entitled` takes in the answer.
    """
    memory = replace(
        memory,
        lease=max(memory.lease, seen.lease, seen.held),
        right=(seen.held or memory.right) if memory.acting else 0,
        firm=memory.acting and seen.held > 0,
    )
    if seen.manager:
        well_ns = memory.well_ns if not memory.misses else seen.now_ns
        memory = replace(memory, told_ns=seen.now_ns, well_ns=well_ns, misses=0)
        leaves = seen.now_ns - well_ns >= handback_after_ns or (seen.taken and not memory.firm)
        return rested(memory) if leaves else memory
    memory = replace(memory, misses=memory.misses + 1)
    if not memory.firm and (seen.taken or seen.earlier):
        return rested(memory)
    silent = memory.misses >= MISSES_NEEDED and seen.now_ns - memory.told_ns >= takeover_after_ns
    return replace(memory, acting=memory.acting or silent)


def wants_right(memory: Deputy, service: bool) -> bool:
    """Whether the spare is to ask for a number now. service: the lease service answers."""
    return memory.acting and memory.misses > 0 and (not memory.right or (service and not memory.firm))


def entitled(memory: Deputy, number: int, *, firm: bool) -> Deputy:
    """With the number that it was given; 0: another spare was quicker."""
    if not number:
        return rested(memory)
    return replace(memory, lease=max(memory.lease, number), right=number, firm=firm)


def rested(memory: Deputy) -> Deputy:
    """With the role left to somebody else."""
    return replace(memory, acting=False, right=0, firm=False)
