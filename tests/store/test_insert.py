"""Insertion: all or nothing, verified, beside a recorder that writes."""

from __future__ import annotations

import threading
from pathlib import Path

import msgspec
import numpy as np
import pytest
from disks import FullDisk
from footage import AUDIO, FRAME_NS, T0_NS, VIDEO, joined, session, sound, video

from fovideo.errors import PlanStale, SegmentDamaged, StoreFull, UsageError
from fovideo.segment import samples, scan
from fovideo.store import Store, StoreOptions
from fovideo.timeline import Correction, FileRange, GopFlag, Stretch, gaps, spans
from fovideo.timeline.endpoint import SPOOL_ROOM_BYTES
from fovideo.times import NS_PER_S


@pytest.fixture
def spare(tmp_path: Path):
    with Store.open(tmp_path / "spare", write=True, create=True) as store:
        with store.writer("gate", session(9, "spare-1"), pending=True) as writer:
            writer.set_format([VIDEO, AUDIO])
            for first in range(0, 250, 10):
                writer.append(*joined(video(first, 10), sound(2 * first, 20)), epoch=4)
        yield store


def stretch(
    spare: Store, first: int, last: int, *, generation: int = -1, as_bytes: bool = False, **more
) -> Stretch:
    rows = spare.gops("gate")[first:last]
    parts = tuple(spare.read("gate", row) for row in rows)
    if as_bytes:
        parts = tuple(Path(p.path).read_bytes()[p.offset : p.offset + p.size_bytes] for p in parts)
    provenance = msgspec.structs.replace(
        spare.provenances("gate")[rows[0].provenance],
        inserted_from=spare.identity,
        inserted_ns=T0_NS,
        correction=more.pop("correction", Correction()),
    )
    given = {
        "stream": "gate",
        "tracks": spare.tracks("gate", rows[0]),
        "provenance": provenance,
        "generation": generation,
        "shift_ns": 0,
        "epoch": 0,
        "parts": parts,
    }
    return Stretch(**(given | more))


@pytest.mark.parametrize("as_bytes", [False, True])
def test_rows_arrive_unchanged(store: Store, spare: Store, as_bytes: bool) -> None:
    inserted = store.insert(stretch(spare, 2, 5, as_bytes=as_bytes, epoch=6))
    assert (inserted.frames, inserted.generation) == (75, 1)
    rows, there = store.gops("gate"), spare.gops("gate")[2:5]
    assert sum(row.size_bytes for row in rows) == inserted.size_bytes
    for row, origin in zip(rows, there, strict=True):
        assert np.array_equal(store.frames("gate", row), spare.frames("gate", origin))
        assert (row.start_ns, row.end_ns, row.interval_ns) == (
            origin.start_ns,
            origin.end_ns,
            origin.interval_ns,
        )
        assert row.flags == GopFlag.KEY | GopFlag.COMPLETE
        assert row.epoch == 6
        assert payloads(store.read("gate", row)) == payloads(spare.read("gate", origin))
    assert store.tracks("gate", rows[0]) == (VIDEO, AUDIO)
    assert [span.provenance for span in spans(rows, store.provenances("gate"))] == ["spare-1 (merged)"]
    assert not list(Path(store.location).glob("incoming/*"))
    assert store.check().sound


def payloads(place: FileRange) -> list[bytes]:
    data = content(place)
    found, end, _ = scan(data, 0)
    assert end == len(data)
    return [bytes(sample) for part in found for sample in samples(part, data, part.offset)]


def content(place: FileRange) -> bytes:
    return Path(place.path).read_bytes()[place.offset : place.offset + place.size_bytes]


def test_times_are_corrected_beside_the_stored_ones(store: Store, spare: Store) -> None:
    correction = Correction(offset_ns=5_000_000, drift_ppb=100_000, reference_ns=T0_NS)
    store.insert(stretch(spare, 0, 10, correction=correction, shift_ns=-NS_PER_S))
    rows, there = store.gops("gate"), spare.gops("gate")
    for row, origin in zip(rows, there, strict=True):
        at = origin.start_ns - NS_PER_S
        assert row.shift_ns == -NS_PER_S + correction.shift_ns(at)
        assert row.start_ns == at + correction.shift_ns(at)
        assert store.frames("gate", row)["time_ns"][0] == row.start_ns
    assert store.check().sound


def test_a_stale_plan_inserts_nothing(store: Store, spare: Store) -> None:
    assert store.insert(stretch(spare, 0, 1, generation=0)).generation == 1
    with pytest.raises(PlanStale):
        store.insert(stretch(spare, 1, 2, generation=0))
    assert len(store.gops("gate")) == 1
    assert store.insert(stretch(spare, 1, 2, generation=1)).generation == 2


def test_changed_bytes_are_refused(store: Store, spare: Store) -> None:
    good = stretch(spare, 0, 2, as_bytes=True)
    for place in (50, 2000, 9000, len(good.parts[1]) - 1):
        broken = bytearray(good.parts[1])
        broken[place] ^= 1
        with pytest.raises(SegmentDamaged):
            store.insert(msgspec.structs.replace(good, parts=(good.parts[0], bytes(broken))))
    with pytest.raises(SegmentDamaged):
        store.insert(msgspec.structs.replace(good, parts=(good.parts[0], good.parts[1][:-1])))
    assert store.streams() == []
    assert not list(Path(store.location).glob("incoming/*"))


def test_frames_of_unknown_tracks_are_refused(store: Store, spare: Store) -> None:
    with pytest.raises(SegmentDamaged):
        store.insert(stretch(spare, 0, 2, tracks=(VIDEO,)))
    assert store.streams() == []


def test_wrong_stretches_are_told(store: Store, spare: Store) -> None:
    with pytest.raises(UsageError):
        store.insert(stretch(spare, 0, 2, parts=()))
    with pytest.raises(UsageError):
        store.insert(stretch(spare, 0, 2, provenance=session()))
    with pytest.raises(UsageError):
        store.insert(stretch(spare, 0, 2, stream="no/slash"))
    place = spare.read("gate", spare.gops("gate")[-1])
    beyond = FileRange(place.path, place.offset, place.size_bytes + 1000)
    with pytest.raises(SegmentDamaged):
        store.insert(stretch(spare, 0, 2, parts=(beyond,)))


def spooled(path: Path, given: Stretch, room: int = SPOOL_ROOM_BYTES) -> Stretch:
    """The same stretch, its parts one behind the other in a file that is given away."""
    data = [content(part) for part in given.parts]
    path.write_bytes(b"".join((bytes(room), *data)))
    at, parts = room, []
    for each in data:
        parts.append(FileRange(str(path), at, len(each), given=True))
        at += len(each)
    return msgspec.structs.replace(given, parts=tuple(parts))


@pytest.mark.parametrize("small_bytes", [0, 1 << 30])
def test_a_file_that_is_given_becomes_the_segment(
    store: Store, spare: Store, small_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fovideo.store.insert.SMALL_BYTES", small_bytes)
    path = Path(store.location) / "incoming" / "incoming-1"
    inserted = store.insert(spooled(path, stretch(spare, 2, 5, epoch=6)))
    assert inserted.frames == 75
    assert not path.exists()
    for row, origin in zip(store.gops("gate"), spare.gops("gate")[2:5], strict=True):
        assert np.array_equal(store.frames("gate", row), spare.frames("gate", origin))
        assert payloads(store.read("gate", row)) == payloads(spare.read("gate", origin))
    assert store.gops("gate")[0].offset == SPOOL_ROOM_BYTES
    assert store.check().sound


def test_a_given_file_that_cannot_become_a_segment_is_copied(
    tmp_path: Path, spare: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "spool"
    for number, room in enumerate((SPOOL_ROOM_BYTES, 64, SPOOL_ROOM_BYTES)):
        monkeypatch.setattr("fovideo.store.insert.SPOOL_ROOM_BYTES", room)
        options = StoreOptions(segment_bytes=40_000 if number == 2 else 1 << 20)
        with Store.open(tmp_path / f"t{number}", write=True, create=True, options=options) as store:
            store.insert(spooled(path, stretch(spare, 0, 10), room))
            assert path.exists() == bool(number)
            assert sum(row.frames for row in store.gops("gate")) == 250
            assert store.check().sound


def test_a_given_file_that_is_damaged_is_refused(store: Store, spare: Store) -> None:
    path = Path(store.location) / "incoming" / "incoming-1"
    given = spooled(path, stretch(spare, 2, 5))
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(SegmentDamaged, match="checksum"):
        store.insert(given)
    assert store.streams() == []


@pytest.mark.parametrize("piece_bytes", [1, 30_000])
def test_pieces_and_threads_change_nothing(
    store: Store, spare: Store, piece_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is small is done without threads: here they are made to share the work."""
    monkeypatch.setattr("fovideo.store.insert.SMALL_BYTES", 0)
    monkeypatch.setattr("fovideo.store.carry.PIECE_BYTES", piece_bytes)
    store.insert(stretch(spare, 0, 10))
    for row, origin in zip(store.gops("gate"), spare.gops("gate"), strict=True):
        assert payloads(store.read("gate", row)) == payloads(spare.read("gate", origin))
    assert store.check().sound
    broken = [bytearray(content(part)) for part in stretch(spare, 0, 4).parts]
    broken[2][-1] ^= 1
    with pytest.raises(SegmentDamaged):
        store.insert(stretch(spare, 0, 4, parts=tuple(bytes(part) for part in broken)))
    store._committer.files = FullDisk(40_000)
    with pytest.raises(StoreFull):
        store.insert(stretch(spare, 0, 10))
    assert not list(Path(store.location).glob("incoming/*"))


def test_a_full_disk_leaves_no_trace(tmp_path: Path, spare: Store) -> None:
    with Store.open(tmp_path / "t", write=True, create=True) as store:
        store._committer.files = FullDisk(10_000)
        for as_bytes in (False, True):
            with pytest.raises(StoreFull):
                store.insert(stretch(spare, 0, 5, as_bytes=as_bytes))
        assert store.streams() == []
        assert not list((tmp_path / "t").glob("incoming/*"))


def test_a_long_stretch_becomes_several_segments(tmp_path: Path, spare: Store) -> None:
    with Store.open(
        tmp_path / "t", write=True, create=True, options=StoreOptions(segment_bytes=40_000)
    ) as store:
        store.insert(stretch(spare, 0, 10))
        rows = store.gops("gate")
        assert len({row.segment for row in rows}) > 2
        assert sum(row.frames for row in rows) == 250
        assert store.check().sound


def test_single_frames_between_others(store: Store, spare: Store) -> None:
    """A piece of a GOP that lies inside another row."""
    frames, payloads = video(0, 50)
    keep = [number for number in range(50) if not 10 <= number < 20]
    with store.writer("gate", session()) as writer:
        writer.set_format([VIDEO])
        writer.append(frames[keep], [payloads[number] for number in keep], epoch=0)
    tables = lambda gop: store.frames("gate", gop)  # noqa: E731
    assert len(gaps(store.gops("gate"), tables=tables)) == 1
    piece = spare.gops("gate")[0]
    data = content(spare.read("gate", piece))
    (second,) = [part for part in scan(data, 0)[0] if part.frames["dts_ns"][0] == T0_NS + 10 * FRAME_NS]
    part = data[second.offset : second.offset + second.size_bytes]
    store.insert(stretch(spare, 0, 1, parts=(part,)))
    assert gaps(store.gops("gate"), tables=tables) == []
    assert store.streams()[0].frames == 50


def test_insertion_beside_a_recorder(store: Store, spare: Store) -> None:
    """Two threads; a PlanStale never comes from live appends."""
    stop = threading.Event()
    errors: list[BaseException] = []

    def record() -> None:
        try:
            writer = store.writer("gate", session())
            writer.set_format([VIDEO, AUDIO])
            first = 10_000
            while not stop.is_set():
                writer.append(*video(first, 10), epoch=0)
                store.commit()
                first += 10
            writer.close()
            store.commit()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=record)
    thread.start()
    try:
        generation = 0
        for number in range(10):
            generation = store.insert(stretch(spare, number, number + 1, generation=generation)).generation
    finally:
        stop.set()
        thread.join()
    assert not errors
    rows = store.gops("gate")
    merged = [row for row in rows if store.provenances("gate")[row.provenance].inserted_from]
    assert sum(row.frames for row in merged) == 250
    assert store.check().sound


def test_settling(store: Store, spare: Store) -> None:
    rows = spare.gops("gate")
    assert all(row.flags & GopFlag.PENDING for row in rows)
    before = spare.streams()[0].generation
    spare.settle("gate", [row.serial for row in rows[:4]] + [987654321])
    flags = [bool(row.flags & GopFlag.PENDING) for row in spare.gops("gate")]
    assert flags == [False] * 4 + [True] * 6
    assert spare.streams()[0].generation == before + 1
    spare.settle("gate", [row.serial for row in rows[:4]])
    assert spare.streams()[0].generation == before + 1
    assert spare.check().sound
