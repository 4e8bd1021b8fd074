"""A manifest against the footage that it lists: whatever is changed is found, and where it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from custody_world import camera, inserted_rows, merged, outage, record
from hypothesis import given, settings
from hypothesis import strategies as st
from served import remote, served

from fovideo.custody import Change, ChangeKind, verify_manifest
from fovideo.media.codec import METADATA_TRACK
from fovideo.segment import parse_fragment
from fovideo.store import Store, StoreOptions, check_store
from fovideo.timeline.values import Gop, GopFlag


def check(made, **options) -> Change | None:
    report = verify_manifest(made.manifest, made.server, **options)
    return report.changes[0] if report.changes else None


@contextmanager
def rewritten(path: Path, change: Callable[[bytearray], object]) -> Iterator[bytes]:
    """The file changed; it is restored afterwards. Gives the bytes it has meanwhile."""
    before = path.read_bytes()
    data = bytearray(before)
    change(data)
    path.write_bytes(data)
    try:
        yield bytes(data)
    finally:
        path.write_bytes(before)


def samples_of(made, row: Gop) -> list[tuple[int, int, int, int]]:
    """Offset in the file, size, track and effective time of each sample of a row, read from the file."""
    data = made.file.read_bytes()
    found, at = [], row.offset
    while at < row.offset + row.size_bytes:
        fragment = parse_fragment(data, at)
        place = at + fragment.data_offset
        for frame in fragment.frames:
            if frame["track"] == METADATA_TRACK:
                size = at + fragment.size_bytes - place
            else:
                size = int(frame["size"])
            if size:
                found.append((place, size, int(frame["track"]), int(frame["time_ns"]) + row.shift_ns))
            place += size
        at += fragment.size_bytes
    return found


def test_what_was_merged_is_as_it_was(made) -> None:
    report = verify_manifest(made.manifest, made.server)
    assert report.sound
    assert (report.stretches, report.gops, report.frames) == (1, len(made.rows), 40)
    assert report.frames == made.report.streams[0].inserted_frames
    assert report.size_bytes == sum(row.size_bytes for row in made.rows)
    assert "all is as it was merged (1 stretches, 4 GOPs, 40 frames" in report.summary


@given(st.data())
@settings(max_examples=150)
def test_any_changed_byte_of_a_sample_is_found_and_named(made, data: st.DataObject) -> None:
    row = data.draw(st.sampled_from(made.rows))
    samples = samples_of(made, row)
    number = data.draw(st.integers(0, len(samples) - 1))
    start, size, track, time_ns = samples[number]
    at = data.draw(st.integers(start, start + size - 1))
    mask = data.draw(st.one_of(st.sampled_from([1, 2, 4, 8, 16, 32, 64, 128]), st.integers(1, 255)))
    before = made.file.read_bytes()[at]
    with rewritten(made.file, lambda b: b.__setitem__(at, b[at] ^ mask)):
        change = check(made)
    assert change == Change(
        kind=ChangeKind.SAMPLE,
        what=f"changed from {before:02x} to {before ^ mask:02x}",
        where=made.file.relative_to(made.server.location).as_posix(),
        stream="gate",
        gop_ns=row.start_ns,
        frame=number + 1,
        track=track,
        time_ns=time_ns,
        offset=at,
        size=1,
        was=f"{before:02x}",
        now=f"{before ^ mask:02x}",
    )


@given(st.data())
@settings(max_examples=100)
def test_any_changed_byte_of_the_file_is_found(made, data: st.DataObject) -> None:
    size = made.file.stat().st_size
    at, mask = data.draw(st.integers(0, size - 1)), data.draw(st.integers(1, 255))
    with rewritten(made.file, lambda b: b.__setitem__(at, b[at] ^ mask)):
        change = check(made)
    assert change is not None
    assert change.kind in (ChangeKind.SAMPLE, ChangeKind.HEAD, ChangeKind.HEADER)
    assert (change.kind is ChangeKind.HEADER) == (at < made.rows[0].offset)
    assert (change.offset, change.size) == (at, 1)


@given(st.data())
@settings(max_examples=100)
def test_whatever_is_written_over_begins_within_what_is_named(made, data: st.DataObject) -> None:
    before = made.file.read_bytes()
    new = data.draw(st.binary(min_size=1, max_size=3000))
    at = data.draw(st.integers(0, len(before) - len(new)))
    first = next((at + n for n, byte in enumerate(new) if before[at + n] != byte), None)
    with rewritten(made.file, lambda b: b.__setitem__(slice(at, at + len(new)), new)):
        change = check(made)
    assert (change is None) == (first is None)
    if change is not None:
        assert change.offset <= first < change.offset + change.size
        assert change.size <= 4096


@pytest.mark.parametrize("count", [2, 3])
def test_neighbouring_bytes_are_named_exactly(made, count: int) -> None:
    start, _, _, _ = samples_of(made, made.rows[1])[2]
    with rewritten(
        made.file, lambda b: b.__setitem__(slice(start + 9, start + 9 + count), b"\xa5\x5a\xa5"[:count])
    ):
        change = check(made)
    assert (change.offset, change.size, change.now) == (start + 9, count, "a55aa5"[: 2 * count])
    assert change.was == made.file.read_bytes()[start + 9 : start + 9 + count].hex()


def test_the_first_of_several_changes_is_named(made) -> None:
    places = [samples_of(made, row)[3][0] for row in made.rows]

    def change(data: bytearray) -> None:
        for place in places[1:]:
            data[place] ^= 1

    with rewritten(made.file, change):
        assert check(made).offset == places[1]
        report = verify_manifest(made.manifest, made.server, limit=10)
    assert [each.offset for each in report.changes] == places[1:]


def test_a_line_for_people(made) -> None:
    start = samples_of(made, made.rows[0])[1][0]
    with rewritten(made.file, lambda b: b.__setitem__(start + 5, b[start + 5] ^ 0x10)):
        text = str(check(made))
    name = made.file.relative_to(made.server.location).as_posix()
    assert text.startswith(f"{name}, GOP of 2026-09-21T14:13:21.323456789Z, sample 2 (video, 2026-")
    assert f", byte {start + 5}: changed from " in text


def test_a_file_that_is_cut(made) -> None:
    row = made.rows[2]
    with rewritten(made.file, lambda b: b.__delitem__(slice(row.offset + 100, None))):
        change = check(made)
        assert (change.kind, change.gop_ns, change.offset) == (
            ChangeKind.HEAD,
            row.start_ns,
            row.offset + 100,
        )
        assert "not there any more" in change.what
    with rewritten(made.file, lambda b: b.__delitem__(slice(row.offset, None))):
        change = check(made)
        assert (change.kind, change.gop_ns) == (ChangeKind.MISSING, row.start_ns)
    with rewritten(made.file, lambda b: b.clear()):
        assert check(made).kind is ChangeKind.HEADER


def test_bytes_that_are_added(made) -> None:
    size = made.file.stat().st_size
    with rewritten(made.file, lambda b: b.extend(b"more")):
        change = check(made)
    assert (change.kind, change.offset, change.size) == (ChangeKind.ADDED, size, 4)


def test_a_byte_taken_out_shifts_the_rest(made) -> None:
    start = samples_of(made, made.rows[1])[4][0]
    with rewritten(made.file, lambda b: b.__delitem__(start + 3)):
        change = check(made)
    assert change.offset <= start + 3 < change.offset + change.size


def test_a_file_that_is_gone(own) -> None:
    own.file.unlink()
    change = check(own)
    assert change.kind in (ChangeKind.MISSING, ChangeKind.HEADER)
    assert own.file.name in str(change)


def test_footage_that_retention_freed(own) -> None:
    own.server.close()
    with Store.open(own.server.location, write=True, options=StoreOptions(max_age_ns=1)) as server:
        assert server.expire(2**62).segments
        report = verify_manifest(own.manifest, server)
    assert report.changes[0].kind is ChangeKind.MISSING
    assert "expired" in str(report.changes[0])


def edit(server: Store, row: Gop) -> None:
    server._index.update(lambda update: update.put_gop(row))


@pytest.mark.parametrize(
    ("name", "value"), [("shift_ns", 5), ("epoch", 3), ("frames", 9), ("start_ns", 1_790_000_001_400_000_000)]
)
def test_an_index_that_says_something_else(own, name: str, value: int) -> None:
    edit(own.server, msgspec.structs.replace(own.rows[0], **{name: value}))
    change = check(own)
    assert (change.kind, change.gop_ns) == (ChangeKind.INDEX, own.rows[0].start_ns)
    assert "in the index" in change.what


def test_an_index_with_another_frame_table(own) -> None:
    edit(own.server, msgspec.structs.replace(own.rows[0], table=own.rows[1].table))
    assert "frame table in the index" in check(own).what


def test_what_does_not_concern_custody_may_change(own) -> None:
    row = own.rows[0]
    edit(own.server, msgspec.structs.replace(row, flags=row.flags | GopFlag.PENDING, end_ns=row.end_ns + 1))
    assert check(own) is None


def test_a_provenance_that_is_forged(own) -> None:
    number = own.rows[0].provenance

    class Forged:
        """The server's timeline, lying."""

        def __getattr__(self, name: str):
            return getattr(own.server, name)

        def provenances(self, stream: str):
            known = own.server.provenances(stream)
            return known | {number: msgspec.structs.replace(known[number], recorder="rec-9")}

    report = verify_manifest(own.manifest, Forged())
    assert "the index gives 'rec-9' as its recorder, the manifest 'spare-1'" in str(report.changes[0])


def test_an_index_that_was_rebuilt_changes_nothing(own) -> None:
    own.server.close()
    path = Path(own.server.location)
    for file in (path / "index").iterdir():
        file.unlink()
    assert check_store(path, repair=True).sound
    with Store.open(path) as server:
        report = verify_manifest(own.manifest, server)
    assert report.changes == []


def test_later_merges_and_recordings_change_nothing(own, tmp_path: Path) -> None:
    record(own.server, camera(), 100, 100, session=8, recorder="rec-1")
    record(own.spare, camera(150), 110, 140, session=9, recorder="spare-1")
    merged(own.spare, own.server, tmp_path / "second")
    assert len(inserted_rows(own.server)) > len(own.rows)
    assert check(own) is None
    assert verify_manifest(tmp_path / "second", own.server).changes == []


def test_over_a_url(made) -> None:
    with served(made.server) as http, remote(http.url) as client:
        assert verify_manifest(made.manifest, client).sound
        start = samples_of(made, made.rows[1])[0][0]
        with rewritten(made.file, lambda b: b.__setitem__(start + 7, b[start + 7] ^ 1)):
            (change,) = verify_manifest(made.manifest, client).changes
        assert (change.kind, change.offset, change.size) == (ChangeKind.SAMPLE, start + 7, 1)
        assert change.where == made.file.relative_to(made.server.location).as_posix()


def test_a_merge_into_a_url(tmp_path: Path) -> None:
    spare, server = outage(tmp_path)
    with spare, server:
        with served(server) as http, remote(http.url) as client:
            _, written = merged(spare, client, tmp_path / "m")
            assert verify_manifest(tmp_path / "m", client).sound
        assert written.frames == 40
        assert verify_manifest(tmp_path / "m", server).sound
        row = inserted_rows(server)[0]
        file = Path(server.read("gate", row).path)
        with rewritten(file, lambda b: b.__setitem__(60, b[60] ^ 1)):
            (change,) = verify_manifest(tmp_path / "m", server).changes
        assert change.kind is ChangeKind.HEADER
