"""Spares that stand in for the management server, with etcd and without: who is the one, in any trouble."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from sim_etcd import TTL, Etcd, SimLeases

from fovideo.failover import SPARES
from fovideo.lease import LocalLeases
from fovideo.peer import ManagementStatus
from fovideo.peer.management import MANAGEMENT, SPARE, foremost
from fovideo.service.events import Event, RoleReturned, RoleTaken
from fovideo.service.keeper import Keeper
from fovideo.service.office import Office
from fovideo.service.standin import StandIn
from fovideo.site import Site, site_from
from fovideo.times import NS_PER_MS

BEAT_NS = 500 * NS_PER_MS
NAMES = ("spare0", "spare1", "spare2")
WARY, SURE = 30, 60
"""Beats until somebody manages, at the latest, and until everything has been settled."""


class Deputised:
    """A spare: whether it manages, under which number."""

    def __init__(self, world: RoleWorld, place: int, folder: Path) -> None:
        self.world, self.name = world, NAMES[place]
        self.acting, self.lease = False, 0
        self.sure: Callable[[], bool] = bool
        self.events: list[Event] = []
        leases = SimLeases(world, self.name, place) if world.with_etcd else None
        own = LocalLeases(self.name, slot=place, step=SPARES)
        self._office = Office(leases, own, self.name, ttl_ns=TTL * BEAT_NS, monotonic_ns=lambda: world.now)
        self.standin = StandIn(
            world.site,
            self.name,
            self,
            self._office,
            Keeper(folder / self.name),
            self.events.append,
            monotonic_ns=lambda: world.now,
        )

    def act(self, lease: int, sure: Callable[[], bool]) -> None:
        assert lease > self.lease
        assert self.world.numbers.setdefault(lease, self.name) == self.name, f"two holders of {lease}"
        self.acting, self.lease, self.sure = True, lease, sure

    def rest(self) -> None:
        self.acting = False

    @property
    def firm(self) -> bool:
        return self.acting and self.sure()

    def status(self) -> ManagementStatus:
        return ManagementStatus(
            name=self.name, role=SPARE, acting=self.acting, lease=self.lease, firm=self.firm
        )


class RoleWorld:
    """A management server, three spares and perhaps a cluster, and what is cut between them."""

    def __init__(self, folder: Path, *, with_etcd: bool) -> None:
        self.etcd, self.beat, self.with_etcd = Etcd(), 100, with_etcd
        self.managed, self.cuts = True, set[tuple[str, str]]()
        self.numbers: dict[int, str] = {}
        self.site = _site(folder)
        self.spares = [Deputised(self, place, folder) for place in range(3)]

    @property
    def now(self) -> int:
        return self.beat * BEAT_NS

    def cut(self, one: str, other: str) -> bool:
        return (one, other) in self.cuts or (other, one) in self.cuts

    def run(self, beats: int) -> None:
        for _ in range(beats):
            self.beat += 1
            self.etcd.expire(self.beat)
            for spare in self.spares:
                spare.standin.round(self.answers(spare.name))
                assert sum(each.firm for each in self.spares) <= 1, "two are sure of the role"

    def answers(self, asking: str) -> dict[str, ManagementStatus]:
        found = {s.name: s.status() for s in self.spares if s.name != asking and not self.cut(asking, s.name)}
        if self.managed and not self.cut(asking, "mgmt"):
            found["mgmt"] = ManagementStatus(name="mgmt", role=MANAGEMENT, acting=True)
        return found

    def etcd_holders(self) -> list[str]:
        return [holder for _, holder in self.etcd.claims]

    @property
    def acting(self) -> list[str]:
        return [spare.name for spare in self.spares if spare.acting]


def _site(folder: Path) -> Site:
    text = [
        '[site]\nname = "plant"\n',
        '[[management]]\nname = "mgmt"\nlisten = "127.0.0.1:8700"\nfolder = "mgmt"\n',
        '[[server]]\nname = "rec"\nlisten = "127.0.0.1:8750"\nstore = "rec"\n',
    ]
    for number, name in enumerate(NAMES):
        text.append(f'[[spare]]\nname = "{name}"\nlisten = "127.0.0.1:{8760 + number}"\nstore = "{name}"\n')
    return site_from("".join(text), folder / "site.toml")


@pytest.mark.parametrize("with_etcd", [True, False])
def test_one_stands_in_and_rests(tmp_path: Path, with_etcd: bool) -> None:
    world = RoleWorld(tmp_path, with_etcd=with_etcd)
    world.run(10)
    assert not world.acting
    world.managed = False
    world.run(WARY)
    first = world.spares[0]
    assert world.acting == ["spare0"]
    assert first.firm == with_etcd
    assert world.etcd_holders() == (["spare0"] if with_etcd else [])
    world.managed = True
    world.run(WARY)
    assert not world.acting
    assert [type(event) for event in first.events] == [RoleTaken, RoleReturned]
    assert not world.etcd_holders()


def test_of_two_that_are_cut_off_from_each_other_one_has_the_lease(tmp_path: Path) -> None:
    world = RoleWorld(tmp_path, with_etcd=True)
    world.run(4)
    world.managed = False
    world.cuts = {("spare0", "spare1"), ("spare0", "spare2")}
    world.run(SURE)
    assert len(world.acting) == 1, "the others see in the cluster that somebody has the role"
    world.cuts |= {("spare0", "etcd")}
    world.run(SURE)
    assert world.acting == ["spare0", "spare1"], "who is cut off from everything goes on serving"
    assert foremost([each.status() for each in world.spares]) == 1, (
        "a client that sees both takes the firm one"
    )
    world.cuts.clear()
    world.run(SURE)
    assert world.acting == ["spare1"], "it has the lease, though another one comes first in the site"


def test_without_the_cluster_they_go_on_and_settle_it_later(tmp_path: Path) -> None:
    world = RoleWorld(tmp_path, with_etcd=True)
    world.run(4)
    world.etcd.away = True
    world.managed = False
    world.cuts = {("spare0", "spare1"), ("spare0", "spare2")}
    world.run(SURE)
    assert world.acting == ["spare0", "spare1"]
    leases = [world.spares[n].lease for n in (0, 1)]
    chosen = foremost([each.status() for each in world.spares])
    assert chosen == leases.index(max(leases)), "the highest number"
    world.etcd.away = False
    world.run(SURE)
    assert len(world.acting) == 1, "they still do not hear each other, but the cluster"
    world.cuts.clear()
    world.run(SURE)
    assert len(world.acting) == 1
    (one,) = [spare for spare in world.spares if spare.acting]
    assert one.firm
    assert one.lease > max(leases)


@pytest.mark.parametrize("with_etcd", [True, False])
def test_any_trouble(tmp_path: Path, with_etcd: bool) -> None:
    for seed in range(25):
        chance = random.Random(seed)
        world = RoleWorld(tmp_path / str(seed), with_etcd=with_etcd)
        machines = [*NAMES, "mgmt", "etcd"]
        for _ in range(12):
            world.managed, world.etcd.away = chance.random() < 0.6, chance.random() < 0.3
            pairs = [chance.sample(machines, 2) for _ in range(chance.randint(0, 5))]
            world.cuts = {(one, other) for one, other in pairs}
            world.run(chance.randint(1, 40))
        world.managed, world.etcd.away, world.cuts = False, False, set()
        world.run(SURE)
        assert len(world.acting) == 1, (seed, world.acting)
        assert any(spare.firm for spare in world.spares) == with_etcd
        world.managed = True
        world.run(WARY)
        assert not world.acting, (seed, world.acting)
