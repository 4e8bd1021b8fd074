"""The index alone: counters always agree with rows; the map grows under readers."""

from __future__ import annotations

import multiprocessing
import threading
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from index_rows import SECOND, VIDEO, add_segment, fill, gop, grow_elsewhere

from fovideo.errors import NoSuchStream, StoreDamaged, StoreError
from fovideo.index import SERIALS_PER_SEGMENT, Index, Update, segment_of
from fovideo.timeline.values import Gop, GopFlag, Loss, Provenance


@pytest.fixture
def index(tmp_path: Path):
    index = Index.open(tmp_path, create=True)
    yield index
    index.close()


operations = st.lists(
    st.one_of(
        st.tuples(
            st.just("put"),
            st.integers(1, 4),
            st.integers(0, 5),
            st.integers(0, 50),
            st.integers(1, 70),
            st.booleans(),
        ),
        st.tuples(st.just("drop"), st.integers(1, 4), st.integers(0, 5)),
        st.tuples(st.just("shift"), st.integers(1, 4), st.integers(0, 5), st.integers(-3, 3)),
        st.tuples(st.just("forget"), st.integers(1, 4)),
        st.tuples(st.just("commit")),
    ),
    max_size=40,
)


@settings(max_examples=60)
@given(operations)
def test_counters_agree_with_rows(
    tmp_path_factory: pytest.TempPathFactory, script: list[tuple[object, ...]]
) -> None:
    index = Index.open(tmp_path_factory.mktemp("index"), create=True)
    model: dict[int, Gop] = {}
    pending: list[tuple[object, ...]] = []

    def apply(update: Update) -> None:
        rows = dict(model)
        for kind, *args in pending:
            if kind == "put":
                number, place, start, length, waits = args
                add_segment(update, number)
                flags = GopFlag.PENDING if waits else 0
                row = gop(number * SERIALS_PER_SEGMENT + place, start, length=length, flags=flags)
                update.put_gop(row)
                rows[row.serial] = row
            elif kind == "drop":
                number, place = args
                serial = number * SERIALS_PER_SEGMENT + place
                assert update.drop_gop(serial) == rows.pop(serial, None)
            elif kind == "shift":
                number, place, seconds = args
                row = rows.get(number * SERIALS_PER_SEGMENT + place)
                if row is not None and row.start_ns + seconds * SECOND >= 0:
                    segment = update.segment(number)
                    assert segment is not None
                    update.backdate(segment, row.serial + 1, 0, seconds * SECOND)
                    for other in [each for each in rows.values() if each.segment == number]:
                        if other.serial <= row.serial:
                            rows[other.serial] = update.gop(other.serial)
            elif kind == "forget":
                for serial in [serial for serial in rows if segment_of(serial) == args[0]]:
                    update.drop_gop(serial)
                    del rows[serial]
                update.drop_segment(args[0])
        kept.clear()
        kept.update(rows)

    kept: dict[int, Gop] = {}
    try:
        for step in [*script, ("commit",)]:
            pending.append(step)
            if step[0] == "commit":
                index.update(apply)
                model = dict(kept)
                pending.clear()
                compare(index, model)
    finally:
        index.close()


def compare(index: Index, model: dict[int, Gop]) -> None:
    with index.view() as view:
        segments = list(view.segments())
        assert view.number("bytes") == sum(row.size_bytes for row in segments)
        for name in ("s0", "s1"):
            mine = sorted(
                (row for row in model.values() if row.stream == name),
                key=lambda row: (row.start_ns, row.serial),
            )
            stream = view.find_stream(name)
            if stream is None:
                assert not mine
                continue
            assert view.gops(stream) == mine
            assert stream.frames == sum(row.frames for row in mine)
            assert stream.size_bytes == sum(row.size_bytes for row in mine)
            assert stream.longest_ns >= max((row.end_ns - row.start_ns for row in mine), default=0)
            bounds = (mine[0].start_ns, max(row.end_ns for row in mine)) if mine else (0, 0)
            assert view.bounds(stream) == bounds
            for left in range(0, 60, 7):
                window = (left * SECOND, (left + 3) * SECOND)
                assert view.gops(stream, *window) == [
                    row for row in mine if row.start_ns < window[1] and row.end_ns > window[0]
                ]
        for row in segments:
            held = [gop for serial, gop in sorted(model.items()) if gop.segment == row.id]
            assert view.segment_gops(row.id) == held
            assert row.pending == sum(bool(gop.flags & GopFlag.PENDING) for gop in held)
        for waits in (False, True):
            aged = view.oldest(pending=waits, limit=100)
            assert {row.id for row in aged} == {row.id for row in segments if (row.pending > 0) == waits}
            assert aged == sorted(aged, key=lambda row: (row.end_ns, row.id))
        assert view.count("gops") == view.count("serials") == len(model)


def test_nothing_is_kept_of_a_failed_update(index: Index) -> None:
    def fail(update: Update) -> None:
        add_segment(update, 1)
        update.put_gop(gop(SERIALS_PER_SEGMENT, 5))
        raise KeyError("no")

    with pytest.raises(KeyError):
        index.update(fail)
    with index.view() as view:
        assert view.streams() == []
        with pytest.raises(NoSuchStream):
            view.stream("s1")


def test_provenances_and_tracks_are_numbered_once(index: Index) -> None:
    def apply(update: Update) -> tuple[list[int], list[int]]:
        stream = update.ensure_stream("s0")
        sessions = [Provenance(recorder="r", session=str(n)) for n in (1, 2, 1, 3)]
        tracks = [(VIDEO,), (msgspec.structs.replace(VIDEO, width=5),), (VIDEO,)]
        return (
            [update.number_of_provenance(stream, each, refer=1) for each in sessions],
            [update.number_of_tracks(stream, each) for each in tracks],
        )

    numbers, tracks = index.update(apply)
    assert numbers[0] == numbers[2]
    assert len(set(numbers)) == 3
    assert tracks[0] == tracks[2] != tracks[1]
    with index.view() as view:
        stream = view.stream("s0")
        assert {known.session for known in view.provenances(stream).values()} == {"1", "2", "3"}
        assert view.tracks(stream, tracks[1])[0].width == 5


def test_losses_in_a_window(index: Index) -> None:
    losses = [Loss(start, start + 10, 1, "transport") for start in (0, 10, 20, 30)]

    def apply(update: Update) -> None:
        stream = update.ensure_stream("s0")
        for loss in losses + losses:
            update.put_loss(stream, loss)

    index.update(apply)
    with index.view() as view:
        stream = view.stream("s0")
        assert view.losses(stream) == losses
        assert view.losses(stream, 10, 30) == losses[1:3]


def test_journal(index: Index) -> None:
    index.update(lambda update: update.set_journal("merge/b", b"2"))
    index.update(lambda update: update.set_journal("merge/a", b"1"))
    index.update(lambda update: update.set_journal("other", b"3"))
    with index.view() as view:
        assert view.journals("merge/") == {"merge/a": b"1", "merge/b": b"2"}
        assert view.journal("other") == b"3"
    index.update(lambda update: update.set_journal("other", None))
    with index.view() as view:
        assert view.journal("other") is None


def test_the_map_grows_under_readers(tmp_path: Path) -> None:
    index = Index.open(tmp_path, create=True, map_bytes=256 << 10)
    stop = threading.Event()
    errors: list[BaseException] = []

    def read() -> None:
        try:
            while not stop.is_set():
                with index.view() as view:
                    stream = view.find_stream("s1")
                    if stream is not None:
                        assert stream.frames == 25 * len(view.gops(stream))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    for first in range(0, 4000, 200):
        fill(index, 200, first)
    stop.set()
    for thread in threads:
        thread.join()
    assert not errors
    with index.view() as view:
        assert view.count("gops") == 4000
    index.close()


def test_another_process_grows_the_map(tmp_path: Path) -> None:
    index = Index.open(tmp_path, create=True, map_bytes=256 << 10)
    process = multiprocessing.get_context("spawn").Process(target=grow_elsewhere, args=(tmp_path,))
    process.start()
    process.join()
    assert process.exitcode == 0
    with index.view() as view:
        assert view.count("gops") == 4000
    fill(index, 10, 4000)
    with index.view() as view:
        assert view.count("gops") == 4010
    index.close()


def test_one_environment_a_process(tmp_path: Path) -> None:
    first = Index.open(tmp_path, create=True)
    second = Index.open(tmp_path / "." / "")
    assert first.users == 2
    first.close()
    first.close()
    fill(second, 1)
    second.close()
    with pytest.raises(StoreError):
        Index.open(tmp_path / "nowhere")


def test_garbage_is_damage(tmp_path: Path) -> None:
    (tmp_path / "data.mdb").write_bytes(b"x" * 100_000)
    with pytest.raises(StoreDamaged, match="--repair"):
        Index.open(tmp_path)
