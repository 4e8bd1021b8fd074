"""Checking finds every kind of damage; repair rebuilds the index from the segment files alone."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
from disks import abandon
from footage import AUDIO, FRAME_NS, T0_NS, VIDEO, joined, session, sound, video

from fovideo.errors import NotAStore, StoreBusy, StoreDamaged
from fovideo.segment import scan
from fovideo.store import Store, StoreOptions, check_store
from fovideo.timeline import Correction, Gop, GopFlag, Loss, Stretch
from fovideo.times import NS_PER_S

OPTIONS = StoreOptions(segment_duration_ns=4 * NS_PER_S)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Two streams, three sessions, a backdate, a loss, an insertion, rows settled and pending."""
    path = tmp_path / "s"
    with Store.open(path, write=True, create=True, options=OPTIONS) as store:
        with store.writer("gate", session(1)) as writer:
            writer.set_format([VIDEO, AUDIO])
            for first in range(0, 250, 10):
                writer.append(*joined(video(first, 10), sound(2 * first, 20)), epoch=0)
                if first == 120:
                    writer.backdate(0, 7)
            writer.loss(Loss(T0_NS, T0_NS + 1, 1, "transport"))
        with store.writer("yard", session(2), pending=True) as writer:
            writer.set_format([VIDEO])
            writer.append(*video(0, 100), epoch=2)
        rows = store.gops("yard")
        store.settle("yard", [row.serial for row in rows[:2]])
        provenance = msgspec.structs.replace(
            session(3, "spare-1"), inserted_from="ab", correction=Correction(offset_ns=-3)
        )
        store.insert(
            Stretch(
                stream="gate",
                tracks=(VIDEO,),
                provenance=provenance,
                generation=-1,
                shift_ns=20 * NS_PER_S,
                epoch=1,
                parts=tuple(store.read("yard", row) for row in rows),
            )
        )
        store.note("merge/1", b"done")
    return path


def everything(path: Path) -> dict[str, object]:
    """What a store says of itself, apart from generations."""
    with Store.open(path, write=True) as store:
        return {
            info.name: (
                msgspec.structs.replace(info, generation=0),
                [
                    (
                        msgspec.structs.replace(row, table=b"", provenance=0),
                        store.frames(info.name, row).tobytes(),
                    )
                    for row in store.gops(info.name)
                ],
                [store.provenances(info.name)[row.provenance] for row in store.gops(info.name)],
                [store.tracks(info.name, row) for row in store.gops(info.name)],
                store.losses(info.name),
            )
            for info in store.streams()
        }


def test_a_sound_store(path: Path) -> None:
    calls: list[tuple[int, int]] = []
    report = check_store(path, progress=lambda done, total: calls.append((done, total)))
    assert report.sound
    assert report.problems == []
    assert (report.gops, report.frames) == (11 + 4 + 4, 250 + 100 + 100)
    assert calls[-1][0] == calls[-1][1]
    assert "sound" in report.summary
    assert msgspec.json.decode(msgspec.json.encode(report))["sound"] is True
    assert check_store(path, repair=True).repaired is False


@pytest.mark.parametrize("keep_store_json", [True, False])
def test_a_lost_index_is_rebuilt_to_the_same(path: Path, keep_store_json: bool) -> None:
    before = everything(path)
    shutil.rmtree(path / "index")
    if not keep_store_json:
        identity = msgspec.json.decode((path / "store.json").read_bytes())["id"]
        (path / "store.json").unlink()
        with pytest.raises(StoreDamaged):
            Store.open(path, write=True, create=True)
    else:
        with pytest.raises(StoreDamaged, match="--repair"):
            Store.open(path)
    report = check_store(path)
    assert not report.sound
    report = check_store(path, repair=True)
    assert report.repaired
    assert report.sound
    after = everything(path)
    # Only the index knew which rows had been settled: they come back as pending, the safe side.
    loose = GopFlag.PENDING

    def settled(told: dict[str, object]) -> object:
        return [
            [(msgspec.structs.replace(row, flags=row.flags & ~loose), table) for row, table in rows]
            for _, rows, *_ in told.values()  # type: ignore[misc]
        ]

    assert settled(after) == settled(before)
    assert {name: told[2:] for name, told in after.items()} == {
        name: told[2:] for name, told in before.items()
    }
    assert {name: told[0] for name, told in after.items()} == {name: told[0] for name, told in before.items()}
    if not keep_store_json:
        assert msgspec.json.decode((path / "store.json").read_bytes())["id"] == identity
    assert check_store(path).sound


def test_a_corrupt_index_is_rebuilt_and_kept_aside(path: Path) -> None:
    before = everything(path)
    (path / "index" / "data.mdb").write_bytes(b"not an index" * 10_000)
    with pytest.raises(StoreDamaged):
        Store.open(path)
    report = check_store(path, repair=True)
    assert report.repaired
    assert report.sound
    assert (path / report.kept_index / "data.mdb").read_bytes().startswith(b"not an index")
    assert everything(path).keys() == before.keys()


def test_a_cut_off_index_is_noticed(path: Path) -> None:
    data = path / "index" / "data.mdb"
    os.truncate(data, 3 * 4096)
    with pytest.raises(StoreDamaged, match="cut off"):
        Store.open(path)
    assert check_store(path, repair=True).sound


def test_what_the_index_alone_knew_survives_a_repair(path: Path) -> None:
    (orphan,) = list(path.glob("segments/yard/*/*.mp4"))
    shutil.copy(orphan, orphan.with_name("000000.000-fff.mp4"))
    report = check_store(path, repair=True)
    assert report.repaired
    with Store.open(path) as store:
        assert store.journal("merge/1") == b"done"
        pending = [bool(row.flags & GopFlag.PENDING) for row in store.gops("yard") if row.segment != 0xFFF]
        assert pending == [False, False, True, True]
        assert len(store.gops("yard")) == 8
        with Store.open(path, write=True) as writer, writer.writer("new", session(5)) as session_writer:
            session_writer.set_format([VIDEO])
            session_writer.append(*video(0, 5), epoch=0)
        assert store.gops("new")[0].segment > 0xFFF


def segment(path: Path) -> Path:
    return min(path.glob("segments/gate/*/*.mp4"))


def flip(at: float) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        file = segment(path)
        data = bytearray(file.read_bytes())
        data[int(len(data) * at)] ^= 0xFF
        file.write_bytes(data)

    return damage


def truncate(path: Path) -> None:
    file = segment(path)
    os.truncate(file, file.stat().st_size // 2)


def grow(path: Path) -> None:
    with segment(path).open("ab") as file:
        file.write(b"rubbish")


def remove(path: Path) -> None:
    segment(path).unlink()


def wreck_header(path: Path) -> None:
    file = segment(path)
    data = bytearray(file.read_bytes())
    data[1200:1300] = bytes(100)
    file.write_bytes(data)


def in_index(change: Callable[[Gop], Gop]) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        with Store.open(path, write=True) as store:
            row = store.gops("gate")[3]
            store._index.update(lambda update: update.put_gop(change(row)))

    return damage


def drop_row(path: Path) -> None:
    with Store.open(path, write=True) as store:
        row = store.gops("gate")[3]
        store._index.update(lambda update: update.drop_gop(row.serial))


DAMAGE = {
    "a flipped bit in a sample": (flip(0.5), "damage"),
    "a flipped bit at the end": (flip(0.9999), "damage"),
    "a flipped bit in the boxes for players": (flip(0.0005), "header"),
    "a file cut in half": (truncate, "short"),
    "bytes behind the end": (grow, "long"),
    "a file that is gone": (remove, "missing"),
    "a header that is gone": (wreck_header, "header"),
    "a row that says another length": (
        in_index(lambda row: msgspec.structs.replace(row, size_bytes=row.size_bytes + 1)),
        "row",
    ),
    "a row that starts elsewhere": (
        in_index(lambda row: msgspec.structs.replace(row, offset=row.offset + 8)),
        "row",
    ),
    "a row that is gone": (drop_row, "row"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_found_and_repaired(path: Path, name: str) -> None:
    damage, kind = DAMAGE[name]
    with Store.open(path) as store:
        held = sum(info.frames for info in store.streams())
    damage(path)
    report = check_store(path)
    assert not report.sound
    assert kind in {problem.kind for problem in report.problems}
    assert all(problem.what and problem.where and problem.hint for problem in report.problems)
    repaired = check_store(path, repair=True)
    assert repaired.repaired
    again = check_store(path)
    assert again.problems == []
    assert held - 100 <= again.frames <= held
    if kind in ("row", "long"):
        assert again.frames == held
    if name == "a flipped bit in a sample":
        assert again.frames == held - 10
        (aside,) = (path / "damaged").iterdir()
        assert len(scan(aside.read_bytes(), 0)[0]) == 0  # it begins with boxes for players
        with Store.open(path) as store:
            assert [loss.reason for loss in store.losses("gate")] == ["transport", "damaged"]


def test_a_store_is_checked_while_it_is_written(tmp_path: Path) -> None:
    with Store.open(tmp_path / "s", write=True, create=True) as store:
        writer = store.writer("gate", session())
        writer.set_format([VIDEO])
        writer.append(*video(0, 60), epoch=0)
        store.commit()
        writer.append(*video(60, 60), epoch=0)
        assert check_store(tmp_path / "s").sound
        with pytest.raises(StoreBusy):
            check_store(tmp_path / "s", repair=True)


def test_a_crashed_store_is_recovered_then_checked(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "s", write=True, create=True)
    writer = store.writer("gate", session())
    writer.set_format([VIDEO])
    writer.append(*video(0, 60), epoch=0)
    store.commit()
    abandon(store)
    shutil.rmtree(tmp_path / "s" / "index")
    report = check_store(tmp_path / "s", repair=True)
    assert report.sound
    assert report.frames == 60
    with Store.open(tmp_path / "s") as reader:
        frames = np.concatenate([reader.frames("gate", row) for row in reader.gops("gate")])
        assert np.array_equal((frames["dts_ns"] - T0_NS) // FRAME_NS, np.arange(60))


def test_what_is_no_store_is_told(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("hello")
    for where in (tmp_path, tmp_path / "letter.txt", tmp_path / "nowhere"):
        for repair in (False, True):
            with pytest.raises(NotAStore):
                check_store(where, repair=repair)
    assert [entry.name for entry in tmp_path.iterdir()] == ["letter.txt"]
