"""A merge that dies at each of its steps, and runs again: nothing is lost, doubled, or copied twice.

Steps are those of the file layer of both stores (creating, copying, syncing, naming, removing), and both
sides of each transaction of their indexes: insertions, what is settled, and what the spare frees then. Death
is the end of the process, or of power: what was not synced is forgotten then.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from disks import ForgetfulDisk, PowerCut, abandon
from served import record

from fovideo.merge import Order, Pace, StreamReport, carry_out, load_plans, make_plan, merge, save_plans
from fovideo.store import Store, StoreOptions
from fovideo.store.expire import Expired
from fovideo.timeline.endpoint import Inserted, Stretch
from fovideo.times import NS_PER_S

FRAMES = 100
OPTIONS = StoreOptions(segment_duration_ns=NS_PER_S, max_age_ns=NS_PER_S)
LATER_NS = 1_900_000_000_000_000_000


class Small(Pace, frozen=True):
    """One GOP at a time, without waiting."""

    def step_bytes(self, live: bool, largest: int = 0) -> int:
        return 1


class Mortal(Store):
    """Its transactions are steps, too."""

    disk: ForgetfulDisk

    def insert(self, stretch: Stretch) -> Inserted:
        self.disk.step()
        done = super().insert(stretch)
        self.disk.step()
        return done

    def settle(self, stream: str, gops: Iterable[int]) -> None:
        self.disk.step()
        super().settle(stream, gops)
        self.disk.step()

    def expire(self, now_ns: int) -> Expired:
        self.disk.step()
        done = super().expire(now_ns)
        self.disk.step()
        return done


@contextlib.contextmanager
def opened(folder: Path, disk: ForgetfulDisk) -> Iterator[tuple[Store, Store]]:
    """Spare and server, let go of as by a process that ends."""
    stores: list[Store] = []
    try:
        for name in ("spare", "server"):
            store = Mortal.open(folder / name, write=True, options=OPTIONS, files=disk)
            stores.append(store)
            store.disk = disk
        yield stores[0], stores[1]
    finally:
        for store in stores:
            abandon(store)


def work(folder: Path, how: str, disk: ForgetfulDisk) -> StreamReport:
    """Merge; then the spare frees what is settled, but for a plan, which wants its source as it was."""
    with opened(folder, disk) as (spare, server):
        if how == "plan":
            (plan,) = load_plans(folder / "plan").plans
            return carry_out(spare, server, plan, pace=Small(brake_ns=0))
        report = merge(spare, server, pace=Small(brake_ns=0), order=Order(how)).streams[0]
        spare.expire(LATER_NS)
        return report


def digests(store: Store) -> list[int]:
    return [
        int(digest)
        for info in store.streams()
        for row in store.gops(info.name)
        for digest in store.frames(info.name, row)["digest"]
    ]


@pytest.fixture(scope="module")
def sides(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The server lacks the middle of what the spare has."""
    folder = tmp_path_factory.mktemp("sides")
    with Store.open(folder / "server", write=True, create=True, options=OPTIONS) as server:
        record(server, 0, 45, gop=10)
        record(server, 65, 35, gop=10)
        with Store.open(folder / "spare", write=True, create=True, options=OPTIONS) as spare:
            record(spare, 10, 80, pending=True, gop=10)
            plan = make_plan(spare, server, "gate")
    save_plans(folder / "plan", (plan,), source="spare", target="server", now_ns=0)
    return folder


def copied(sides: Path, folder: Path) -> ForgetfulDisk:
    shutil.copytree(sides, folder)
    (folder / "graveyard").mkdir()
    return ForgetfulDisk(folder / "graveyard")


CASES = [("oldest", "process"), ("newest", "power"), ("plan", "process")]
if os.environ.get("HYPOTHESIS_PROFILE") == "expensive":
    CASES = [(how, death) for how in ("oldest", "newest", "plan") for death in ("process", "power")]


@pytest.mark.parametrize(("how", "death"), CASES)
def test_death_at_every_step(sides: Path, tmp_path: Path, how: str, death: str) -> None:
    whole = copied(sides, tmp_path / "whole")
    assert work(tmp_path / "whole", how, whole).inserted_frames == 20
    chance = random.Random(7)
    inserted = set()
    for step in range(whole.steps):
        folder = tmp_path / f"{step}"
        disk = copied(sides, folder)
        disk.die_at = step
        with pytest.raises(PowerCut):
            work(folder, how, disk)
        if death == "power":
            disk.forget(chance)
        inserted.add(judge(folder, how))
        shutil.rmtree(folder)
    assert inserted >= {0, 5, 20}, "it died before, between and after the insertions"


def judge(folder: Path, how: str) -> int:
    """What is on the disks, and what a second run makes of it. Returns how many frames that one inserted."""
    with (
        Store.open(folder / "server", write=True) as server,
        Store.open(folder / "spare", write=True, options=OPTIONS) as spare,
    ):
        found = digests(server)
        assert len(found) == len(set(found)) >= 80
        if how != "plan":
            spare.expire(LATER_NS)
        assert len({*found, *digests(spare)}) == FRAMES, "nothing is freed that the server does not hold"
        assert server.check().problems == []
        assert spare.check().problems == []
    (folder / "alive").mkdir()
    report = work(folder, how, ForgetfulDisk(folder / "alive"))
    assert report.inserted_frames == FRAMES - len(found), "what was durable is not copied again"
    with (
        Store.open(folder / "server", write=True) as server,
        Store.open(folder / "spare", write=True, options=OPTIONS) as spare,
    ):
        found = digests(server)
        assert len(found) == len(set(found)) == FRAMES
        assert server.check().problems == []
        assert not list((folder / "server" / "incoming").iterdir())
        assert not spare.unsettled()
        assert how == "plan" or not spare.streams() or not digests(spare)
    return report.inserted_frames
