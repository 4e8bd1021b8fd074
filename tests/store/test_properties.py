"""Any session, in any batches and commits: rows say what the fragments say, and so does a rebuild."""

from __future__ import annotations

import shutil

import msgspec
import numpy as np
import pytest
from disks import abandon
from footage import AUDIO, FRAME_NS, VIDEO, joined, session, sound, video
from hypothesis import given, settings
from hypothesis import strategies as st

from fovideo.media.frames import FrameFlag, FrameTable
from fovideo.store import Store, StoreOptions, check_store
from fovideo.store.segmentfile import SegmentFile
from fovideo.timeline import Gop, GopFlag, gaps
from fovideo.times import NS_PER_S


class Batch(msgspec.Struct):
    frames: int
    gop: int
    skip: int  # frames lost before it
    step_back: bool
    audio: bool
    backdate: bool
    commit: bool
    reconnect: bool


batches = st.lists(
    st.builds(
        Batch,
        frames=st.integers(1, 60),
        gop=st.sampled_from([1, 7, 25, 10_000]),
        skip=st.sampled_from([0, 0, 0, 1, 30, 400, 2000]),
        step_back=st.sampled_from([False, False, False, True]),
        audio=st.booleans(),
        backdate=st.sampled_from([False, False, False, True]),
        commit=st.booleans(),
        reconnect=st.sampled_from([False, False, False, True]),
    ),
    min_size=1,
    max_size=12,
)
OPTIONS = StoreOptions(segment_duration_ns=3 * NS_PER_S)


def record(store: Store, script: list[Batch], of: str = "") -> list[FrameTable]:
    """Write what the script says; returns the video frames as written, in order. of: the store that its
    provenance names.
    """
    written = []
    number, epoch, sessions = 100_000, 0, 0
    writer = store.writer("gate", msgspec.structs.replace(session(sessions), store=of))
    writer.set_format([VIDEO, AUDIO])
    for batch in script:
        if batch.reconnect:
            writer.close()
            sessions, epoch = sessions + 1, 0
            writer = store.writer("gate", msgspec.structs.replace(session(sessions), store=of))
            writer.set_format([VIDEO, AUDIO])
        if batch.step_back:
            number -= 3000
            epoch += 1
        number += batch.skip
        frames, payloads = video(number, batch.frames, gop=batch.gop)
        if batch.skip:
            frames["flags"][0] |= FrameFlag.LOST_BEFORE
        if batch.backdate:
            writer.backdate(epoch, NS_PER_S // 3)
        written.append(frames)
        parts = [(frames, payloads)]
        if batch.audio:
            parts.append(sound(2 * number, 2 * batch.frames))
        writer.append(*joined(*parts), epoch=epoch)
        number += batch.frames
        if batch.commit:
            store.commit()
    writer.close()
    store.commit()
    return written


def comparable(store: Store) -> list[Gop]:
    return [msgspec.structs.replace(row, provenance=0) for row in store.gops("gate")]


@settings(max_examples=10)
@given(batches)
def test_written_together_or_piece_by_piece(tmp_path_factory, script: list[Batch]) -> None:
    """The compiled way gives the bytes and the rows of the plain one."""
    made = []
    for together in (True, False):
        path = tmp_path_factory.mktemp("s")
        with pytest.MonkeyPatch.context() as patch:
            if not together:
                patch.setattr(SegmentFile, "append_together", lambda *_: False)
            with Store.open(path, write=True, create=True, options=OPTIONS) as store:
                record(store, script, of="the-store")
                rows = store.gops("gate")
        files = sorted(file for file in path.rglob("*.mp4"))
        made.append((rows, [(file.name, file.read_bytes()) for file in files]))
        assert files
    assert made[0] == made[1]


@settings(max_examples=30)
@given(batches)
def test_rows_hold_what_was_written(tmp_path_factory, script: list[Batch]) -> None:
    path = tmp_path_factory.mktemp("s")
    with Store.open(path, write=True, create=True, options=OPTIONS) as store:
        written = np.concatenate(record(store, script))
        rows = sorted(store.gops("gate"), key=lambda row: row.serial)
        tables = [store.frames("gate", row) for row in rows]
        held = np.concatenate(tables)
        held = held[held["track"] == 1]
        assert np.array_equal(held["digest"], written["digest"])
        shifts = np.concatenate(
            [
                np.full((table["track"] == 1).sum(), row.shift_ns)
                for row, table in zip(rows, tables, strict=True)
            ]
        )
        assert np.array_equal(held["dts_ns"] - shifts, written["dts_ns"])
        for row, table in zip(rows, tables, strict=True):
            mine = table[table["track"] == 1]
            assert row.frames == len(mine)
            assert row.flags & GopFlag.COMPLETE
            if len(mine):
                assert row.start_ns == mine["dts_ns"].min()
                assert row.end_ns > mine["dts_ns"].max()
                assert bool(row.flags & GopFlag.KEY) == bool(mine["flags"][0] & FrameFlag.KEY)
                assert not (mine["flags"][1:] & FrameFlag.KEY).any()
        (info,) = store.streams()
        assert (info.frames, info.size_bytes) == (len(written), sum(row.size_bytes for row in rows))
        assert info.start_ns == min(row.start_ns for row in rows if row.frames)
        assert info.end_ns == max(row.end_ns for row in rows)
        for gap in gaps(rows, tables=lambda gop: store.frames("gate", gop)):
            times = held["time_ns"]
            assert not ((times > gap.start_ns - FRAME_NS // 2) & (times < gap.end_ns)).any()
        assert store.check().problems == []
        before = comparable(store)
    shutil.rmtree(path / "index")
    assert check_store(path, repair=True).sound
    with Store.open(path) as store:
        assert comparable(store) == before


@settings(max_examples=30)
@given(batches, st.integers(0, 100))
def test_a_crash_at_any_byte(tmp_path_factory, script: list[Batch], percent: int) -> None:
    """The last file is cut anywhere behind what was committed: the store is sound and lacks an end only."""
    path = tmp_path_factory.mktemp("s")
    store = Store.open(path, write=True, create=True, options=OPTIONS)
    writer = store.writer("gate", session())
    writer.set_format([VIDEO, AUDIO])
    number = 0
    safe = 0
    for batch in script:
        number += batch.skip
        parts = [video(number, batch.frames, gop=batch.gop)]
        if batch.audio:
            parts.append(sound(2 * number, 2 * batch.frames))
        writer.append(*joined(*parts), epoch=0)
        number += batch.frames
        if batch.commit:
            store.commit()
            safe = store.streams()[0].frames
    sizes = {row.path: row.size_bytes for row in list_segments(store)}
    abandon(store)
    last = max(path.rglob("*.mp4"), key=lambda file: int(file.stem.rpartition("-")[2], 16))
    known = sizes.get(last.relative_to(path).as_posix(), 0)
    size = last.stat().st_size
    with last.open("r+b") as file:
        file.truncate(known + (size - known) * percent // 100)
    with Store.open(path, write=True) as again:
        held = again.streams()[0].frames if again.streams() else 0
        assert held >= safe
        assert again.check().problems == []
        times = [again.frames("gate", row) for row in again.gops("gate")] if held else []
        digests = np.concatenate([table[table["track"] == 1]["digest"] for table in times]) if times else []
        assert len(digests) == len(np.unique(digests)) == held


def list_segments(store: Store):
    with store._index.view() as view:
        return list(view.segments())
