"""Settles with the other spares of the site for which cameras this one stands in."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import NamedTuple

from msgspec.structs import replace

from fovideo.errors import FovideoError
from fovideo.failover import Fellow, Holding, Ruled, Share, covered, share
from fovideo.lease import Claim, Leases, LocalLeases
from fovideo.service.leasing import Availability
from fovideo.times import NS_PER_S

CYCLE_NS = NS_PER_S // 2


class Post(NamedTuple):
    """This spare's place in the site. servers: those that it watches.

    room: how many cameras it may record in all, None = any number.
    slot, step: of the numbers that it gives itself.
    """

    name: str
    place: int
    servers: tuple[str, ...]
    room: int | None
    priorities: Mapping[str, int]
    slot: int = 0
    step: int = 1


class Wish(NamedTuple):
    """What a watch asked for last: the number of the Claim, its cameras, and since when it asks for more."""

    claim: int = 0
    cameras: tuple[str, ...] = ()
    since_ns: int = 0
    known: int = 0


class Arbiter:
    """wish is for any thread; cycle for one. What it decides is in fovideo.failover.share.

    service: there is a lease service; without, no claim is firm, and the order of the site decides.
    availability: of that, as all of this process know it.
    """

    def __init__(
        self,
        post: Post,
        leases: Leases,
        *,
        service: bool,
        fellows: Callable[[], Mapping[str, Fellow]],
        heard: Callable[[], frozenset[str]],
        keep_every_ns: int = 2 * NS_PER_S,
        availability: Availability | None = None,
    ) -> None:
        self._post, self._leases, self._service = post, leases, service
        self._fellows, self._heard = fellows, heard
        self._own = LocalLeases(post.name, slot=post.slot, step=post.step)
        self._keep_every_ns = keep_every_ns
        self._availability = availability or Availability()
        self._lock = threading.Lock()
        self._wishes: dict[str, Wish] = {}
        self._mine: dict[str, Holding] = {}
        self._seen_ns: dict[tuple[str, str, int], int] = {}
        self._known: dict[str, int] = {}
        self._kept_ns = -(10**18)
        self._relied: dict[str, dict[str, frozenset[str]]] = {}
        self._left: dict[str, tuple[str, ...]] = {}

    def wish(self, server: str, claim: int, cameras: tuple[str, ...], now_ns: int, known: int) -> None:
        """A watch wants or has these cameras; known: the highest number that it knows."""
        with self._lock:
            before = self._wishes.get(server, Wish())
            grown = bool(set(cameras) - set(before.cameras))
            since_ns = now_ns if grown else before.since_ns
            self._wishes[server] = Wish(claim, cameras, since_ns, known)

    def holding(self, server: str) -> Holding:
        """What this spare stands in for at a server, as settled last."""
        return self._mine.get(server, Holding(number=0))

    def left(self, server: str) -> tuple[str, ...]:
        """Cameras of a server that no spare has room for."""
        return self._left.get(server, ())

    def cycle(self, now_ns: int) -> dict[str, Ruled]:
        """Settle once; what to tell each watch, by server."""
        with self._lock:
            wishes = dict(self._wishes)
        fellows, heard = self._fellows(), self._heard()
        table = self._look(now_ns)
        for claim in table or ():
            kind, _, server = claim.role.partition("/")
            if kind != "server" or claim.holder != self._post.name:
                continue
            if server not in self._mine and server not in wishes:
                self._drop(server, now_ns)  # of a former life
        rulings: dict[str, Ruled] = {}
        for server in self._post.servers:
            wish = wishes.get(server, Wish())
            claims = self._claims(server, table, fellows, heard, now_ns)
            mine = self._settle(server, wish, claims, fellows, now_ns, reachable=table is not None)
            others = frozenset().union(*(claim.cameras for claim in claims.values()))
            number = mine.number if mine.cameras else 0
            healed = self._healed(server, claims, fellows)
            rulings[server] = Ruled(now_ns, wish.claim, number, mine.cameras, others, healed)
        return rulings

    def move(self, post: Post) -> None:
        """The site has changed: other servers, priorities, room."""
        self._post = post

    def close(self) -> None:
        self._leases.close()

    def _look(self, now_ns: int) -> tuple[Claim, ...] | None:
        """All claims, or None while the service is away (or there is none)."""
        if not self._service or not self._availability.may_ask(now_ns):
            return None
        try:
            if now_ns - self._kept_ns >= self._keep_every_ns:
                if not self._leases.keep():
                    self._mine = {s: replace(h, firm=False) for s, h in self._mine.items()}
                self._kept_ns = now_ns
            table = self._leases.look()
        except FovideoError as error:
            self._availability.failed(error, now_ns)
            return None
        self._availability.answered()
        self._check_firm(table)
        return table

    def _check_firm(self, table: tuple[Claim, ...]) -> None:
        own = {c.role: c.number for c in table if c.holder == self._post.name}
        for server, holding in self._mine.items():
            if holding.firm and own.get(role_of(server)) != holding.number:
                self._mine[server] = replace(holding, firm=False)

    def _claims(
        self,
        server: str,
        table: tuple[Claim, ...] | None,
        fellows: Mapping[str, Fellow],
        heard: frozenset[str],
        now_ns: int,
    ) -> dict[str, Holding]:
        """What other spares have of a server, as far as they can be relied on."""
        found = {name: f.holdings[server] for name, f in fellows.items() if server in f.holdings}
        for claim in table or ():
            if claim.role == role_of(server):
                self._known[server] = max(self._known.get(server, 0), claim.number)
                if claim.holder != self._post.name:
                    found[claim.holder] = Holding(
                        number=claim.number, cameras=frozenset(claim.cameras), firm=True
                    )
        relied = {}
        for name, holding in found.items():
            fellow = fellows.get(name)
            self._known[server] = max(self._known.get(server, 0), holding.number)
            if fellow is None:
                continue  # nobody knows what it does: when in doubt, record
            seen_ns = self._seen_ns.setdefault((server, name, holding.number), now_ns)
            cameras = covered(holding, fellow, server, heard, now_ns - seen_ns)
            if cameras:
                relied[name] = replace(holding, cameras=cameras)
        return relied

    def _healed(
        self, server: str, claims: Mapping[str, Holding], fellows: Mapping[str, Fellow]
    ) -> frozenset[str]:
        """Cameras that others had until now, and have given up in good health."""
        before = self._relied.get(server, {})
        self._relied[server] = {name: claim.cameras for name, claim in claims.items()}
        none: frozenset[str] = frozenset()
        given = [
            cameras - self._relied[server].get(name, none)
            for name, cameras in before.items()
            if name in fellows and fellows[name].answers and server not in fellows[name].holdings
        ]
        return none.union(*given)

    def _settle(
        self,
        server: str,
        wish: Wish,
        claims: Mapping[str, Holding],
        fellows: Mapping[str, Fellow],
        now_ns: int,
        *,
        reachable: bool,
    ) -> Holding:
        mine = self._mine.get(server, Holding(number=0))
        held = sum(len(h.cameras) for s, h in self._mine.items())
        outcome: Share = share(
            sorted(wish.cameras, key=lambda name: -self._post.priorities.get(name, 0)),
            mine,
            claims,
            fellows,
            server=server,
            place=self._post.place,
            busy=any(h.cameras for s, h in self._mine.items() if s != server),
            room=len(wish.cameras) if self._post.room is None else self._post.room - held,
            waited_ns=now_ns - wish.since_ns,
        )
        self._left[server] = outcome.left
        cameras = outcome.keep | frozenset(outcome.take)
        if not cameras:
            if mine.cameras:
                self._drop(server, now_ns)
            return Holding(number=0)
        if cameras != mine.cameras or (reachable and not mine.firm):
            mine = self._take(server, wish, mine, cameras, now_ns, reachable=reachable)
            self._mine[server] = mine
        return mine

    def _take(
        self,
        server: str,
        wish: Wish,
        mine: Holding,
        cameras: frozenset[str],
        now_ns: int,
        *,
        reachable: bool,
    ) -> Holding:
        above = max(wish.known, self._known.get(server, 0), mine.number)
        number = mine.number if mine.firm or not reachable else 0
        if reachable and self._availability.may_ask(now_ns):
            try:
                claim = self._leases.take(role_of(server), tuple(sorted(cameras)), number=number, above=above)
            except FovideoError as error:
                self._availability.failed(error, now_ns)
            else:
                if claim is None:  # another claimed meanwhile: look again
                    return mine
                return Holding(number=claim.number, cameras=cameras, firm=True)
        if not mine.number:
            own = self._own.take(role_of(server), above=above)
            assert own is not None
            return Holding(number=own.number, cameras=cameras)
        return replace(mine, cameras=cameras)

    def _drop(self, server: str, now_ns: int) -> None:
        self._mine.pop(server, None)
        if self._service and self._availability.may_ask(now_ns):
            try:
                self._leases.drop(role_of(server))
            except FovideoError as error:
                self._availability.failed(error, now_ns)


def role_of(server: str) -> str:
    """The role under which a server is stood in for."""
    return f"server/{server}"
