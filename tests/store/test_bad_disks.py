"""Full and failing disks: an error, a sound store, and nothing durable harmed."""

from __future__ import annotations

import contextlib
import errno
import os
import random
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from disks import FullDisk, UnsafeDisk, abandon
from footage import FRAME_NS, T0_NS, VIDEO, session, video

from fovideo.errors import StoreError, StoreFull
from fovideo.store import Files, Store, StoreOptions
from fovideo.times import NS_PER_S


def numbers(store: Store, stream: str = "gate") -> list[int]:
    if stream not in {info.name for info in store.streams()}:
        return []
    tables = [store.frames(stream, row) for row in store.gops(stream)]
    return ((np.concatenate(tables)["dts_ns"] - T0_NS) // FRAME_NS).tolist() if tables else []


@pytest.mark.parametrize(
    ("number", "kind", "told"),
    [
        (errno.ENOSPC, StoreFull, "free some space"),
        (errno.EDQUOT, StoreFull, "free some space"),
        (errno.EROFS, StoreError, "mount it for writing"),
        (errno.EIO, StoreError, "fovideo check"),
    ],
)
def test_an_error_of_the_disk_says_where_and_what_to_do(
    tmp_path: Path, number: int, kind: type[StoreError], told: str
) -> None:
    class Bad(Files):
        bad = False

        def create(self, path: Path) -> int:
            if self.bad:
                raise OSError(number, os.strerror(number))
            return super().create(path)

    disk = Bad()
    with Store.open(tmp_path / "s", write=True, create=True, files=disk) as store:
        writer = store.writer("gate", session())
        writer.set_format([VIDEO])
        disk.bad = True
        with pytest.raises(kind, match=told) as caught:
            writer.append(*video(0, 50), epoch=0)
        assert str(tmp_path / "s") in str(caught.value)
        assert "\n" not in str(caught.value)
        disk.bad = False
        with writer:
            writer.append(*video(0, 50), epoch=0)
        assert numbers(store) == list(range(50))


def test_an_append_that_does_not_fit_takes_nothing(tmp_path: Path) -> None:
    disk = FullDisk(40_000)
    options = StoreOptions(segment_duration_ns=2 * NS_PER_S)
    with Store.open(tmp_path / "s", write=True, create=True, options=options, files=disk) as store:
        writer = store.writer("gate", session())
        writer.set_format([VIDEO])
        done = 0
        error = None
        while error is None:
            try:
                writer.append(*video(done, 60), epoch=0)  # spans two segments
                done += 60
            except StoreFull as full:
                error = full
        assert isinstance(error, OSError)
        assert error.hint
        store.commit()
        assert numbers(store) == list(range(done))
        assert len(list((tmp_path / "s").glob("incoming/*"))) == 0
        disk.room = 1 << 30
        writer.append(*video(done, 60), epoch=0)
        store.commit()
        assert numbers(store) == list(range(done + 60))
        writer.close()
        store.commit()
        assert store.check().sound


@pytest.mark.parametrize("room", [0, 1_500_000, 3_000_000, 5_600_000])
@pytest.mark.parametrize("before", [0, 30])
def test_large_fragments_that_are_written_behind_are_taken_all_or_none(
    tmp_path: Path, room: int, before: int
) -> None:
    """The disk has one fragment while the next one is made; it fills up at any of them."""
    disk = FullDisk(1 << 30)
    options = StoreOptions(segment_duration_ns=2 * NS_PER_S)
    with Store.open(tmp_path / "s", write=True, create=True, options=options, files=disk) as store:
        writer = store.writer("gate", session())
        writer.set_format([VIDEO])
        if before:
            writer.append(*video(0, before), epoch=0)
            store.commit()
        much = video(before, 120, size=50_000)
        disk.room = room
        with pytest.raises(StoreFull):
            writer.append(*much, epoch=0)
        store.commit()
        assert numbers(store) == list(range(before))
        disk.room = 1 << 30
        writer.append(*much, epoch=0)
        writer.close()
        store.commit()
        assert numbers(store) == list(range(before + 120))
        assert store.check().sound


@pytest.mark.parametrize("seed", range(5))
def test_a_disk_that_fills_and_empties(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    disk = FullDisk(0)
    options = StoreOptions(segment_duration_ns=2 * NS_PER_S)
    with Store.open(tmp_path / "s", write=True, create=True, options=options, files=FullDisk(1000)) as store:
        assert store._committer is not None
        store._committer.files = disk
        writer = store.writer("gate", session())
        writer.set_format([VIDEO])
        done = 0
        while done < 600:
            disk.room += chance.choice([0, 3_000, 30_000])
            count = chance.randint(1, 80)
            with contextlib.suppress(StoreFull):
                writer.append(*video(done, count), epoch=0)
                done += count
            if chance.random() < 0.4:
                store.commit()
                assert numbers(store) == list(range(done))
    with Store.open(tmp_path / "s", write=True) as store:
        assert store.recovery.clean
        assert numbers(store) == list(range(done))
        assert store.check().sound


def test_what_a_disk_failed_to_make_durable_is_written_elsewhere(tmp_path: Path) -> None:
    disk = UnsafeDisk()
    store = Store.open(tmp_path / "s", write=True, create=True, files=disk)
    writer = store.writer("gate", session())
    writer.set_format([VIDEO])
    writer.append(*video(0, 30), epoch=0)
    store.commit()
    disk.failures = 1
    writer.append(*video(30, 30), epoch=0)
    store.commit()
    assert numbers(store) == list(range(60))
    assert len({row.segment for row in store.gops("gate")}) == 2
    disk.failures = 1
    writer.append(*video(60, 30), epoch=0)
    writer.close()
    store.commit()
    assert numbers(store) == list(range(90))
    assert disk.retried == 0
    assert store.check().sound
    store.close()
    with Store.open(tmp_path / "s", write=True) as again:
        assert again.recovery.clean
        assert numbers(again) == list(range(90))


def test_a_file_of_which_nothing_became_durable_vanishes(tmp_path: Path) -> None:
    disk = UnsafeDisk()
    with Store.open(tmp_path / "s", write=True, create=True, files=disk) as store:
        writer = store.writer("gate", session())
        writer.set_format([VIDEO])
        disk.failures = 1
        writer.append(*video(0, 30), epoch=0)
        store.commit()
        assert numbers(store) == list(range(30))
        assert len(list((tmp_path / "s").glob("*/**/*.mp4"))) == 1


def test_a_disk_that_goes_on_failing_is_told_and_loses_nothing_that_was_kept(tmp_path: Path) -> None:
    disk = UnsafeDisk()
    with Store.open(tmp_path / "s", write=True, create=True, files=disk) as store:
        writers = [store.writer(name, session()) for name in ("gate", "yard")]
        for writer in writers:
            writer.set_format([VIDEO])
            writer.append(*video(0, 30), epoch=0)
        store.commit()
        for attempt in range(3):
            disk.failures = 4
            for writer in writers:
                writer.append(*video(30 + 10 * attempt, 10), epoch=0)
            with pytest.raises(StoreError):
                store.commit()
            disk.failures = 0
        for name in ("gate", "yard"):
            assert numbers(store, name) == list(range(30))
        store.commit()
        for name in ("gate", "yard"):
            assert numbers(store, name) == list(range(60))
        assert disk.retried == 0
        assert not list((tmp_path / "s").glob("incoming/*"))
        for writer in writers:
            writer.close()
        store.commit()
        assert store.check().sound


def test_one_failing_file_does_not_hold_the_others_up(tmp_path: Path) -> None:
    class Picky(Files):
        bad = -1

        def sync(self, fd: int) -> None:
            if fd == self.bad:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            super().sync(fd)

        def create(self, path: Path) -> int:
            if self.bad >= 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return super().create(path)

    disk = Picky()
    with Store.open(tmp_path / "s", write=True, create=True, files=disk) as store:
        writers = {name: store.writer(name, session()) for name in ("a", "b", "c", "d")}
        for writer in writers.values():
            writer.set_format([VIDEO])
            writer.append(*video(0, 10), epoch=0)
        store.commit()
        assert store._committer is not None
        disk.bad = next(file.fd for file, owner in store._committer._owners.items() if owner is writers["b"])
        for writer in writers.values():
            writer.append(*video(10, 10), epoch=0)
        with pytest.raises(StoreFull):
            store.commit()
        assert [len(numbers(store, name)) for name in "abcd"] == [20, 10, 20, 20]
        disk.bad = -1
        store.commit()
        assert [len(numbers(store, name)) for name in "abcd"] == [20, 20, 20, 20]


def test_an_index_without_room_keeps_what_was_appended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store.open(tmp_path / "s", write=True, create=True)
    writer = store.writer("gate", session())
    writer.set_format([VIDEO])
    writer.append(*video(0, 30), epoch=0)
    real = store._index.update

    def full(apply: Any) -> Any:
        raise StoreFull("no room for the index")

    monkeypatch.setattr(store._index, "update", full)
    with pytest.raises(StoreFull):
        store.commit()
    writer.append(*video(30, 30), epoch=0)
    with pytest.raises(StoreFull):
        store.commit()
    monkeypatch.setattr(store._index, "update", real)
    assert store.streams() == []
    store.commit()
    assert numbers(store) == list(range(60))
    writer.close()
    store.commit()
    assert store.check().sound
    store.close()


@contextlib.contextmanager
def small_disk(path: Path, size_bytes: int) -> Iterator[Sequence[str]]:
    """A real file system of that size, where this process may mount one."""
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size_bytes}", "tmpfs", str(path)]
    mounted = os.geteuid() == 0 and subprocess.run(mount, capture_output=True, check=False).returncode == 0
    try:
        yield mount if mounted else ()
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(path)], check=True)


def test_a_really_full_disk(tmp_path: Path) -> None:
    """Fills to the last byte, index included; what was acknowledged is there when there is room again."""
    with small_disk(tmp_path / "disk", 3 << 20) as mounted:
        files = Files() if mounted else FullDisk(2 << 20)
        path = tmp_path / "disk" / "s"
        store = Store.open(path, write=True, create=True, files=files)
        writer = store.writer("gate", session())
        writer.set_format([VIDEO])
        done = safe = 0
        full = 0
        while full < 20:
            try:
                writer.append(*video(done, 10, size=1000), epoch=0)
                done += 10
                store.commit()
                safe = done
            except StoreFull:
                full += 1
        assert numbers(store)[:safe] == list(range(safe))
        abandon(store)
        if mounted:
            subprocess.run(["mount", "-o", "remount,size=8M", str(tmp_path / "disk")], check=True)
        with Store.open(path, write=True) as again:
            held = numbers(again)
            assert held == list(range(len(held)))
            assert safe <= len(held) <= done
            with again.writer("gate", session(2)) as writer:
                writer.set_format([VIDEO])
                writer.append(*video(len(held), 10), epoch=0)
            assert numbers(again) == list(range(len(held) + 10))
            assert again.check().sound


def test_a_full_disk_is_freed_by_retention_after_a_restart(tmp_path: Path) -> None:
    """Not a byte is left, not even for the index: the reserve gives what opening and expiring need."""
    with small_disk(tmp_path / "disk", 4 << 20) as mounted:
        path = tmp_path / "disk" / "s"
        options = StoreOptions(segment_duration_ns=2 * NS_PER_S, quota_bytes=1 << 20)
        store = Store.open(
            path, write=True, create=True, options=options, files=Files() if mounted else FullDisk(2 << 20)
        )
        writer = store.writer("gate", session())
        writer.set_format([VIDEO])
        done = full = 0
        while full < 5:
            try:
                writer.append(*video(done, 10, size=1000), epoch=0)
                done += 10
                store.commit()
            except StoreFull:
                full += 1
        if mounted:
            with (
                contextlib.suppress(OSError),
                (path / "segments" / "filler").open("wb", buffering=0) as filler,
            ):
                while True:
                    filler.write(bytes(4096))
        abandon(store)
        with Store.open(path, write=True, options=options) as again:
            assert (path / "reserve").exists()
            assert again.expire(T0_NS).segments > 0
            with again.writer("gate", session(2)) as writer:
                writer.set_format([VIDEO])
                writer.append(*video(done, 10), epoch=0)
            assert numbers(again)[-1] == done + 9
            assert (path / "reserve").stat().st_size == 1 << 20


def test_the_reserve_may_be_lost(tmp_path: Path) -> None:
    Store.open(tmp_path / "s", write=True, create=True).close()
    (tmp_path / "s" / "reserve").unlink()
    with Store.open(tmp_path / "s", write=True):
        assert (tmp_path / "s" / "reserve").stat().st_size == 1 << 20
