"""After any crash the store opens by itself: nothing that was durable is lost, nothing is there twice."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import msgspec
import numpy as np
import pytest
from disks import ForgetfulDisk, PowerCut, abandon
from footage import AUDIO, FRAME_NS, T0_NS, VIDEO, joined, session, sound, video

from fovideo.store import Store, StoreOptions
from fovideo.timeline import Loss, Stretch
from fovideo.times import NS_PER_S

OPTIONS = StoreOptions(segment_duration_ns=2 * NS_PER_S)


def numbers(store: Store, stream: str) -> list[int]:
    """Numbers of the video frames that a stream holds, in order of the rows."""
    tables = [store.frames(stream, row) for row in store.gops(stream)]
    if not tables:
        return []
    frames = np.concatenate(tables)
    return sorted(((frames["dts_ns"][frames["track"] == 1] - T0_NS) // FRAME_NS).tolist())


class Work:
    """Two cameras, sessions that end, an insertion, retention; knows what has been acknowledged."""

    def __init__(self) -> None:
        self.safe: dict[str, int] = {"gate": 0, "yard": 0}
        self.inserted = 0

    def run(self, store: Store, donor: Store) -> None:
        for part in range(3):
            writers = {name: store.writer(name, session(part)) for name in self.safe}
            for writer in writers.values():
                writer.set_format([VIDEO, AUDIO])
            for batch in range(6):
                first = part * 120 + batch * 20
                for writer in writers.values():
                    writer.append(*joined(video(first, 20), sound(2 * first, 40)), epoch=0)
                    if batch == 3:
                        writer.loss(Loss(T0_NS - part - 1, T0_NS - part, 1, "transport"))
                store.commit()
                self.safe = dict.fromkeys(self.safe, first + 20)
            for writer in writers.values():
                writer.close()
            store.commit()
            self._insert(store, donor, part)
        assert store.expire(T0_NS).segments == 0

    def _insert(self, store: Store, donor: Store, part: int) -> None:
        row = donor.gops("gate")[part]
        provenance = msgspec.structs.replace(session(99), inserted_from=donor.identity)
        place = donor.read("gate", row)
        store.insert(
            Stretch(
                stream="merged",
                tracks=donor.tracks("gate", row),
                provenance=provenance,
                generation=-1,
                shift_ns=0,
                epoch=0,
                parts=(place,),
            )
        )
        self.inserted += row.frames


@pytest.fixture(scope="module")
def donor(tmp_path_factory: pytest.TempPathFactory):
    with Store.open(tmp_path_factory.mktemp("donor") / "s", write=True, create=True) as store:
        with store.writer("gate", session(99, "spare-1")) as writer:
            writer.set_format([VIDEO])
            writer.append(*video(0, 75), epoch=0)
        yield store


def attempt(folder: Path, donor: Store, die_at: int) -> tuple[Work, ForgetfulDisk, bool]:
    graveyard = folder / "graveyard"
    graveyard.mkdir(parents=True)
    disk = ForgetfulDisk(graveyard, die_at)
    work, store = Work(), None
    try:
        store = Store.open(folder / "s", write=True, create=True, options=OPTIONS, files=disk)
        work.run(store, donor)
    except PowerCut:
        died = True
    else:
        died = False
    if store is not None:
        abandon(store)
    return work, disk, died


def judge(folder: Path, work: Work) -> None:
    with Store.open(folder / "s", write=True, create=True, options=OPTIONS) as store:
        for name, safe in work.safe.items():
            held = numbers(store, name) if safe or name in {info.name for info in store.streams()} else []
            assert held == list(range(len(held))), "a frame is missing or double"
            assert safe <= len(held) <= safe + 20
        merged = numbers(store, "merged") if work.inserted or len(store.streams()) > 2 else []
        assert merged == list(range(len(merged)))
        assert work.inserted <= len(merged) <= work.inserted + 25
        report = store.check()
        assert report.problems == []
        assert not list((folder / "s" / "incoming").iterdir())
    with Store.open(folder / "s", write=True, options=OPTIONS) as again:
        assert again.recovery.clean


def test_power_cut_at_every_step(tmp_path: Path, donor: Store) -> None:
    _, disk, died = attempt(tmp_path / "whole", donor, -1)
    assert not died
    chance = random.Random(1)
    for die_at in range(0, disk.steps, 1 if os.environ.get("HYPOTHESIS_PROFILE") == "expensive" else 5):
        folder = tmp_path / str(die_at)
        work, dead, died = attempt(folder, donor, die_at)
        assert died
        dead.forget(chance)
        judge(folder, work)


def test_power_cut_during_recovery(tmp_path: Path, donor: Store) -> None:
    chance = random.Random(2)
    for die_at in range(40, 160, 17):
        folder = tmp_path / str(die_at)
        work, dead, _ = attempt(folder, donor, die_at)
        dead.forget(chance)
        for step in range(100):
            disk = ForgetfulDisk(folder / "graveyard", step)
            try:
                store = Store.open(folder / "s", write=True, create=True, files=disk)
            except PowerCut:
                disk.forget(chance)
                continue
            store.close()
            break
        else:
            pytest.fail("recovery never ends")
        judge(folder, work)


def test_a_torn_end_is_cut_and_told(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "s", write=True, create=True)
    writer = store.writer("gate", session())
    writer.set_format([VIDEO])
    writer.append(*video(0, 30), epoch=0)
    store.commit()
    writer.append(*video(30, 10), epoch=0)
    abandon(store)
    (path,) = (tmp_path / "s").glob("segments/gate/*/*.mp4")
    size = path.stat().st_size
    os.truncate(path, size - 100)
    with Store.open(tmp_path / "s", write=True) as again:
        (cut,) = again.recovery.cuts
        assert (cut.stream, cut.frames) == ("gate", 10)
        assert cut.path == path.relative_to(tmp_path / "s").as_posix()
        assert path.stat().st_size == size - 100 - cut.size_bytes
        assert numbers(again, "gate") == list(range(30))
        assert again.losses("gate") == [Loss(T0_NS + 30 * FRAME_NS, T0_NS + 40 * FRAME_NS, 10, "cut")]
        assert again.check().sound


def test_a_file_shorter_than_its_index_says(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "s", write=True, create=True)
    writer = store.writer("gate", session())
    writer.set_format([VIDEO])
    for first in range(0, 100, 10):
        writer.append(*video(first, 10), epoch=0)
        store.commit()
    generation = store.streams()[0].generation
    abandon(store)
    (path,) = (tmp_path / "s").glob("segments/gate/*/*.mp4")
    os.truncate(path, path.stat().st_size * 6 // 10)
    with Store.open(tmp_path / "s", write=True) as again:
        held = numbers(again, "gate")
        assert held == list(range(len(held)))
        assert 50 <= len(held) < 60
        assert again.check().problems == []
        assert again.streams()[0].generation > generation


def test_a_segment_that_is_gone(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "s", write=True, create=True)
    writer = store.writer("gate", session())
    writer.set_format([VIDEO])
    writer.append(*video(0, 25), epoch=0)
    store.commit()
    abandon(store)
    (path,) = (tmp_path / "s").glob("segments/gate/*/*.mp4")
    path.unlink()
    with Store.open(tmp_path / "s", write=True) as again:
        assert again.recovery.missing == [path.relative_to(tmp_path / "s").as_posix()]
        assert again.gops("gate") == []
        assert again.losses("gate") == [Loss(T0_NS, T0_NS + NS_PER_S, 25, "cut")]
        assert again.check().sound


def test_readers_recover_a_store_that_nobody_writes(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "s", write=True, create=True)
    writer = store.writer("gate", session())
    writer.set_format([VIDEO])
    writer.append(*video(0, 25), epoch=0)
    store.commit()
    writer.append(*video(25, 25), epoch=0)
    with Store.open(tmp_path / "s") as reader:
        assert reader.recovery.clean
        assert numbers(reader, "gate") == list(range(25))
    abandon(store)
    with Store.open(tmp_path / "s") as reader:
        assert reader.recovery.recovered_frames == 25
        assert numbers(reader, "gate") == list(range(50))
        assert reader.streams()[0].live_edge_ns == 0
    with Store.open(tmp_path / "s", write=True) as again:
        assert again.recovery.clean


def test_backdates_behind_the_index_are_applied(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "s", write=True, create=True)
    writer = store.writer("gate", session())
    writer.set_format([VIDEO])
    writer.append(*video(0, 25), epoch=0)
    store.commit()
    writer.backdate(0, NS_PER_S)
    writer.loss(Loss(1, 2, 3, "transport"))
    writer.append(*video(25, 25), epoch=0)
    abandon(store)
    with Store.open(tmp_path / "s", write=True) as again:
        assert sorted(row.shift_ns for row in again.gops("gate")) == [0, NS_PER_S]
        assert again.losses("gate") == [Loss(1, 2, 3, "transport")]
        assert again.check().sound


WRITER = textwrap.dedent(
    """
    import sys
    from footage import VIDEO, AUDIO, joined, session, sound, video
    from fovideo.store import Store, StoreOptions
    store = Store.open(sys.argv[1], write=True, create=True, options=StoreOptions(segment_duration_ns=10**9))
    first = int(sys.argv[2])
    writers = [store.writer(f"cam{n}", session(first)) for n in range(3)]
    for writer in writers:
        writer.set_format([VIDEO, AUDIO])
    while True:
        for writer in writers:
            writer.append(*joined(video(first, 10, size=2000), sound(2 * first, 20)), epoch=0)
        store.commit()
        first += 10
        print(first, flush=True)
    """
)


def test_kill_nine_at_random_instants(tmp_path: Path) -> None:
    """Each writer goes on where the recovered timeline ends, so a lost or doubled frame shows at the end."""
    chance = random.Random(3)
    rounds = 40 if os.environ.get("HYPOTHESIS_PROFILE") == "expensive" else 8
    first = 0
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    for _ in range(rounds):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path / "s"), str(first)],
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        ) as child:
            assert child.stdout is not None
            lines = chance.randint(1, 25)
            acknowledged = 0
            for line in child.stdout:
                acknowledged = int(line)
                lines -= 1
                if lines == 0:
                    break
            child.send_signal(signal.SIGKILL)
            for line in child.stdout:
                acknowledged = int(line)
        with Store.open(tmp_path / "s", write=True) as store:
            held = [numbers(store, f"cam{n}") for n in range(3)]
            for each in held:
                assert each[:acknowledged] == list(range(acknowledged))
                assert each == list(range(len(each)))
            assert store.check().problems == []
            first = max(map(len, held))
            for n, each in enumerate(held):
                if len(each) < first:
                    with store.writer(f"cam{n}", session(10_000 + first)) as writer:
                        writer.set_format([VIDEO])
                        writer.append(*video(len(each), first - len(each)), epoch=0)
