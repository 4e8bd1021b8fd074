"""Who of several spares stands in for a camera: the same rule at each of them. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from fovideo.times import NS_PER_S

TURN_NS = 1500 * 10**6
"""What each spare leaves to the one before it; a pre-roll must last for a turn of each spare."""

STEADY_NS = 10 * NS_PER_S
"""What a spare holds in its ring: it could not make up for a break that is longer ago."""

YOUNG_NS = 3 * NS_PER_S
"""For so long a claim counts before its cameras are seen to be recorded."""


class Holding(msgspec.Struct, frozen=True, kw_only=True):
    """What a spare stands in for at one server, and under which number.

    firm: the leases say so; else it is the spare's own decision, to be settled later.
    """

    number: int
    cameras: frozenset[str] = frozenset()
    firm: bool = False


class Fellow(msgspec.Struct, frozen=True, kw_only=True):
    """Another spare, as this one sees it.

    place: in the order of the site. answers: its health was had just now. servers: those that it watches.
    busy: those for which it stands in. records: by server, the cameras that it records or hands back.
    steady: cameras that it has been receiving without a break for at least STEADY_NS.
    holdings: by server, what it says that it stands in for.
    """

    place: int
    answers: bool = False
    servers: frozenset[str] = frozenset()
    busy: frozenset[str] = frozenset()
    records: Mapping[str, frozenset[str]] = {}
    steady: frozenset[str] = frozenset()
    holdings: Mapping[str, Holding] = {}


class Share(msgspec.Struct, frozen=True):
    """keep: what of its own cameras a spare goes on with; take: what it begins with, first ones first.

    others: cameras that other spares have. left: cameras that no spare has room for.
    """

    keep: frozenset[str]
    take: tuple[str, ...]
    others: frozenset[str]
    left: tuple[str, ...]


def covered(
    holding: Holding, fellow: Fellow, server: str, heard: frozenset[str], age_ns: int
) -> frozenset[str]:
    """The cameras of a holding for which its holder can be relied on; nothing that this spare has of them
    is lacking there. What neither can be sure of, both record.

    heard: cameras of which this spare may have frames. age_ns: since the holding was first seen.
    """
    if not fellow.answers:
        return frozenset()
    records = holding.cameras if age_ns < YOUNG_NS else fellow.records.get(server, frozenset())
    return holding.cameras & ((records & fellow.steady) | (holding.cameras - heard))


def share(
    wanted: Sequence[str],
    mine: Holding,
    claims: Mapping[str, Holding],
    fellows: Mapping[str, Fellow],
    *,
    server: str,
    place: int,
    busy: bool,
    room: int,
    waited_ns: int,
) -> Share:
    """How one server's cameras are shared, as seen by one spare.

    wanted: cameras that need somebody, the most important first. mine: what this spare has of the server.
    claims: by name, what others have of it and can be relied on for. place, busy: of this spare; busy: it
    stands in for another server. room: how many more cameras it may take. waited_ns: since it asked.
    """
    yielded: set[str] = set()
    for name, claim in claims.items():
        before = fellows[name].place < place if name in fellows else True
        if claim.firm != mine.firm:
            yields = claim.firm
        elif claim.firm:
            yields = claim.number > mine.number
        else:
            yields = before
        if yields:
            yielded |= claim.cameras
    others = frozenset().union(*(claim.cameras for claim in claims.values()))
    keep = (mine.cameras - yielded) & frozenset(wanted)
    open_ = tuple(name for name in wanted if name not in others and name not in keep)
    ahead = all_of = 0
    for name, fellow in fellows.items():
        if not fellow.answers or server not in fellow.servers:
            continue
        all_of += 1
        fellow_busy = bool(fellow.busy - {server}) or name in claims
        if (fellow_busy, fellow.place) < (busy, place):
            ahead += 1
    take = open_[: max(room, 0)] if waited_ns >= ahead * TURN_NS or mine.cameras else ()
    left = tuple(n for n in open_ if n not in take) if waited_ns > all_of * TURN_NS + YOUNG_NS else ()
    return Share(keep, take, others, left)
