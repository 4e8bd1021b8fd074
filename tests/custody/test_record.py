"""The record of a merge, from its beginning to its manifest, and what an end in between leaves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from custody_world import camera, inserted_rows, merged, outage, record

from fovideo.custody import CustodyRecord, verify_manifest
from fovideo.custody.reader import ManifestReader
from fovideo.errors import NoSuchStream, NothingThere, SegmentDamaged, UsageError
from fovideo.merge import merge
from fovideo.store import Store
from fovideo.timeline.endpoint import FileRange
from fovideo.timeline.values import Gop


class Wrapped:
    """A timeline of which a test changes something."""

    def __init__(self, inner: Store, **changed: Callable[..., object]) -> None:
        self._inner, self._changed = inner, changed

    def __getattr__(self, name: str) -> object:
        return self._changed.get(name) or getattr(self._inner, name)


@pytest.fixture
def stores(tmp_path: Path):
    spare, server = outage(tmp_path)
    with spare, server:
        yield spare, server


def kinds(path: Path) -> list[str]:
    return [type(entry).__name__ for _, entry in ManifestReader(path)]


def test_a_merge_that_inserts_nothing_has_a_manifest_that_says_so(stores, tmp_path: Path) -> None:
    spare, server = stores
    merge(spare, server)
    _, written = merged(spare, server, tmp_path / "m")
    assert (written.stretches, written.frames) == (0, 0)
    assert kinds(tmp_path / "m") == ["Header", "End"]
    assert verify_manifest(tmp_path / "m", server).sound


def test_only_what_this_merge_inserted_is_listed(stores, tmp_path: Path) -> None:
    spare, server = stores
    merged(spare, server, tmp_path / "first")
    made = camera(150)
    record(spare, made, 100, 150, session=5, recorder="spare-1")
    _, written = merged(spare, server, tmp_path / "second")
    assert written.frames == 50
    assert not [path.name for path in tmp_path.iterdir() if path.suffix]


def test_several_streams_and_sessions(stores, tmp_path: Path) -> None:
    spare, server = stores
    record(spare, camera(160), 110, 130, session=6, recorder="spare-1")
    record(spare, camera(160, sound=False), 140, 160, session=7, recorder="spare-2")
    _, written = merged(spare, server, tmp_path / "m")
    assert written.frames == 80
    assert written.stretches == len({row.segment for row in inserted_rows(server)}) >= 3
    assert verify_manifest(tmp_path / "m", server).sound


def test_a_manifest_is_never_replaced(stores, tmp_path: Path) -> None:
    spare, server = stores
    merged(spare, server, tmp_path / "m")
    before = (tmp_path / "m").read_bytes()
    with pytest.raises(UsageError, match="never replaced"):
        CustodyRecord.begin(tmp_path / "m", spare, server)
    assert (tmp_path / "m").read_bytes() == before


def test_what_a_killed_merge_inserted_is_listed_by_the_next(stores, tmp_path: Path) -> None:
    spare, server = stores
    record(spare, camera(160), 110, 130, session=6, recorder="spare-1")
    inserts = 0

    def insert(stretch):
        nonlocal inserts
        inserts += 1
        if inserts == 2:
            raise KeyboardInterrupt
        return server.insert(stretch)

    with pytest.raises(KeyboardInterrupt):
        merged(spare, Wrapped(server, insert=insert), tmp_path / "m")
    assert sum(row.frames for row in inserted_rows(server)) in (20, 40)
    assert not (tmp_path / "m").exists()
    report, written = merged(spare, server, tmp_path / "m")
    assert sum(stream.inserted_frames for stream in report.streams) < 60
    assert written.frames == 60
    assert verify_manifest(tmp_path / "m", server).sound
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["m"]


def test_a_note_of_other_stores_is_not_taken_over(stores, tmp_path: Path) -> None:
    spare, server = stores
    (row, *_) = spare.gops("gate")
    taken = CustodyRecord.begin(tmp_path / "m", spare, server)
    taken.inserted("gate", spare.provenances("gate")[row.provenance], row.start_ns, row.end_ns)
    CustodyRecord.begin(tmp_path / "m", spare, server)
    with pytest.raises(UsageError, match="a merge of other stores"):
        CustodyRecord.begin(tmp_path / "m", server, spare)
    (tmp_path / "m.begun").write_bytes(b"garbage")
    with pytest.raises(UsageError, match="not the note of a merge"):
        CustodyRecord.begin(tmp_path / "m", spare, server)


def test_a_merge_that_fails_at_once_leaves_nothing(stores, tmp_path: Path) -> None:
    taken = CustodyRecord.begin(tmp_path / "m", *stores)
    with pytest.raises(NoSuchStream):
        merge(*stores, streams=["yard"], on_insert=taken.inserted)
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == []


@pytest.mark.parametrize("name", ["none/m", "file/m", "x" * 300])
def test_where_nothing_can_be_written(stores, tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UsageError) as caught:
        CustodyRecord.begin(tmp_path / name, *stores)
    assert "\n" not in str(caught.value)


def test_damage_between_insertion_and_manifest_is_no_manifest(stores, tmp_path: Path) -> None:
    spare, server = stores
    taken = CustodyRecord.begin(tmp_path / "m", spare, server)
    merge(spare, server, on_insert=taken.inserted)
    place = server.read("gate", inserted_rows(server)[1])
    with Path(place.path).open("r+b") as file:
        file.seek(place.offset + place.size_bytes - 1)
        file.write(b"\0")
    with pytest.raises(SegmentDamaged) as caught:
        taken.finish()
    assert place.path in str(caught.value)
    assert not (tmp_path / "m").exists()
    assert not (tmp_path / "m.new").exists()


@pytest.mark.parametrize("kind", ["row", "file"])
def test_what_expires_before_it_is_hashed_is_left_out(
    stores, tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    spare, server = stores
    record(spare, camera(160), 110, 130, session=6, recorder="spare-1")
    gone: set[int] = set()

    def read(stream: str, row: Gop) -> FileRange:
        gone.add(min([row.segment, *gone]))
        if row.segment in gone and kind == "row":
            raise NothingThere("the row has expired", where=stream)
        found = server.read(stream, row)
        return FileRange("/nonexistent", 0, 1) if row.segment in gone else found

    _, written = merged(spare, Wrapped(server, read=read), tmp_path / "m")
    assert 0 < written.frames < 60
    assert "has expired already" in caplog.text
    assert verify_manifest(tmp_path / "m", server).sound
