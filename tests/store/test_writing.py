"""Writing sessions: what is visible when, how it is cut into rows and segments."""

from __future__ import annotations

import subprocess
from pathlib import Path

import msgspec
import numpy as np
import pytest
from footage import AUDIO, FRAME_NS, METADATA, T0_NS, VIDEO, joined, session, sound, video

from fovideo.errors import NoSuchStream, NothingThere, UsageError
from fovideo.media.codec import Track
from fovideo.media.frames import FrameFlag
from fovideo.segment import read_header, samples, scan
from fovideo.store import Store, StoreOptions
from fovideo.timeline import GopFlag, Loss, Timeline, gaps
from fovideo.times import NS_PER_S

SHORT = StoreOptions(segment_duration_ns=4 * NS_PER_S)


def payloads_of(store: Store, stream: str) -> list[bytes]:
    """Every sample of the primary track, read back from the files in row order."""
    result = []
    for gop in store.gops(stream):
        place = store.read(stream, gop)
        data = Path(place.path).read_bytes()[place.offset : place.offset + place.size_bytes]
        fragments, end, reason = scan(data, 0)
        assert (end, reason) == (len(data), "")
        for fragment in fragments:
            first = fragment.frames["track"].min()
            for track, payload in zip(
                fragment.frames["track"], samples(fragment, data, fragment.offset), strict=True
            ):
                if track == first:
                    result.append(bytes(payload))
    return result


def test_a_store_is_a_timeline(store: Store) -> None:
    assert isinstance(store, Timeline)
    assert store.streams() == []
    with pytest.raises(NoSuchStream):
        store.gops("gate")


def test_nothing_is_visible_before_commit(store: Store) -> None:
    writer = store.writer("gate", session())
    writer.set_format([VIDEO])
    writer.append(*video(0, 30), epoch=0)
    assert store.streams() == []
    assert writer.durable_to_ns == 0
    store.commit()
    (info,) = store.streams()
    assert (info.name, info.frames, info.start_ns, info.end_ns) == ("gate", 30, T0_NS, T0_NS + 30 * FRAME_NS)
    assert info.live_edge_ns == writer.durable_to_ns == info.end_ns
    assert info.tracks == (VIDEO,)


def test_the_open_row_grows_with_each_commit(store: Store) -> None:
    writer = store.writer("gate", session())
    writer.set_format([VIDEO])
    for first in range(0, 60, 10):
        writer.append(*video(first, 10), epoch=0)
        store.commit()
        rows = store.gops("gate")
        assert sum(row.frames for row in rows) == first + 10
        assert [bool(row.flags & GopFlag.COMPLETE) for row in rows] == [True] * (len(rows) - 1) + [False]
    assert [row.frames for row in store.gops("gate")] == [25, 25, 10]
    assert len({row.serial for row in rows}) == 3
    writer.close()
    store.commit()
    assert store.gops("gate")[-1].flags & GopFlag.COMPLETE
    assert payloads_of(store, "gate") == video(0, 60)[1]


def test_frames_come_back_as_they_were(store: Store) -> None:
    footage = joined(video(0, 40), sound(0, 80), sound(0, 3, track=3))
    with store.writer("gate", session()) as writer:
        writer.set_format([METADATA, VIDEO, AUDIO])
        writer.append(*footage, epoch=7)
    rows = store.gops("gate")
    read = np.concatenate([store.frames("gate", row) for row in rows])
    for track in (1, 2, 3):
        assert np.array_equal(read[read["track"] == track], footage[0][footage[0]["track"] == track])
    assert [row.epoch for row in rows] == [7, 7]
    assert all(row.interval_ns == FRAME_NS for row in rows)
    assert store.tracks("gate", rows[0]) == (VIDEO, AUDIO, METADATA)
    assert store.provenances("gate") == {
        rows[0].provenance: msgspec.structs.replace(session(), store=store.identity)
    }


def test_segments_begin_at_keyframes_at_the_limit(short_store: Store) -> None:
    with short_store.writer("gate", session()) as writer:
        writer.set_format([VIDEO])
        for first in range(0, 300, 7):
            writer.append(*video(first, min(7, 300 - first)), epoch=0)
    rows = short_store.gops("gate")
    starts = {row.segment: row for row in reversed(rows)}
    assert [starts[number].start_ns - T0_NS for number in sorted(starts)] == [0, 4 * NS_PER_S, 8 * NS_PER_S]
    assert all(row.flags & GopFlag.KEY for row in rows)
    files = sorted(Path(short_store.location).glob("segments/gate/*/*.mp4"))
    assert [file.name.split("-")[0] for file in files] == ["141320.000", "141324.000", "141328.000"]


def test_a_stream_without_keyframes_is_cut_all_the_same(short_store: Store) -> None:
    with short_store.writer("gate", session()) as writer:
        writer.set_format([VIDEO])
        for first in range(1, 4000, 100):
            writer.append(*video(first, 100, gop=100_000), epoch=0)
    rows = short_store.gops("gate")
    assert max(row.end_ns - row.start_ns for row in rows) <= 61 * NS_PER_S
    assert len({row.segment for row in rows}) > 1
    assert not any(row.flags & GopFlag.KEY for row in rows)
    assert gaps(rows) == []


def test_other_tracks_begin_another_segment(store: Store) -> None:
    other = Track(**{field: getattr(VIDEO, field) for field in VIDEO.__struct_fields__} | {"width": 1280})
    with store.writer("gate", session()) as writer:
        writer.set_format([VIDEO])
        writer.append(*video(0, 25), epoch=0)
        writer.set_format([VIDEO])
        writer.append(*video(25, 25), epoch=0)
        writer.set_format([other])
        writer.append(*video(50, 25), epoch=0)
    first, second, third = store.gops("gate")
    assert first.segment == second.segment != third.segment
    assert store.tracks("gate", second) == (VIDEO,)
    assert store.tracks("gate", third) == (other,)
    assert store.streams()[0].tracks == (other,)


def test_each_session_has_its_own_provenance(store: Store) -> None:
    for number in (1, 2):
        with store.writer("gate", session(number)) as writer:
            writer.set_format([VIDEO])
            writer.append(*video(number * 100, 25), epoch=0)
    first, second = store.gops("gate")
    known = store.provenances("gate")
    assert known[first.provenance].session != known[second.provenance].session
    assert first.segment != second.segment


def test_a_clock_that_goes_back_begins_another_segment(store: Store) -> None:
    with store.writer("gate", session()) as writer:
        writer.set_format([VIDEO])
        writer.append(*video(0, 50), epoch=0)
        writer.append(*video(25, 50, start_ns=T0_NS - 3600 * NS_PER_S), epoch=1)
    rows = store.gops("gate")
    assert [row.epoch for row in rows] == [1, 1, 0, 0]
    assert len({row.segment for row in rows}) == 2
    assert store.streams()[0].frames == 100


def test_backdating_moves_what_was_written_before(store: Store) -> None:
    writer = store.writer("gate", session())
    writer.set_format([VIDEO])
    writer.append(*video(0, 30), epoch=0)
    store.commit()
    before = store.streams()[0].generation
    writer.append(*video(30, 10), epoch=0)
    writer.backdate(0, -2 * NS_PER_S)
    writer.append(*video(40, 20), epoch=0)
    store.commit()
    rows = sorted(store.gops("gate"), key=lambda row: row.serial)
    assert [row.shift_ns for row in rows] == [-2 * NS_PER_S] * 2 + [0, 0]
    assert [row.frames for row in rows] == [25, 15, 10, 10]
    assert rows[0].start_ns == T0_NS - 2 * NS_PER_S
    assert store.frames("gate", rows[0])["dts_ns"][0] == T0_NS - 2 * NS_PER_S
    assert store.streams()[0].generation > before
    assert store.gop("gate", rows[0].serial) == rows[0]
    writer.close()
    store.commit()
    assert store.check().sound


def test_backdating_reaches_earlier_segments_of_the_session_only(short_store: Store) -> None:
    store = short_store
    with store.writer("gate", session(1)) as writer:
        writer.set_format([VIDEO])
        writer.append(*video(0, 25), epoch=0)
    with store.writer("gate", session(2)) as writer:
        writer.set_format([VIDEO])
        writer.append(*video(1000, 250), epoch=0)
        writer.append(*video(1250, 25), epoch=1)
        writer.backdate(0, NS_PER_S)
    rows = sorted(store.gops("gate"), key=lambda row: row.serial)
    assert [row.shift_ns for row in rows] == [0] + [NS_PER_S] * 10 + [0]
    assert len({row.segment for row in rows if row.shift_ns}) == 3


def test_backdating_reaches_what_another_writer_of_the_session_wrote(store: Store) -> None:
    """A spare that stood in twice within one session: its clock is known only the second time."""
    with store.writer("gate", session(1)) as writer:
        writer.set_format([VIDEO])
        writer.append(*video(0, 25), epoch=0)
    with store.writer("gate", session(1)) as writer:
        writer.set_format([VIDEO])
        writer.append(*video(50, 25), epoch=1)
        writer.backdate(0, NS_PER_S)
        writer.backdate(1, NS_PER_S)
        writer.append(*video(75, 25), epoch=2)
    rows = sorted(store.gops("gate"), key=lambda row: row.serial)
    assert [row.shift_ns for row in rows] == [NS_PER_S, NS_PER_S, 0]
    assert store.check().sound


def test_losses_are_kept(store: Store) -> None:
    loss = Loss(T0_NS, T0_NS + NS_PER_S, 25, "disk-slow")
    late = Loss(T0_NS + 5 * NS_PER_S, T0_NS + 6 * NS_PER_S, 25, "transport")
    writer = store.writer("gate", session())
    writer.loss(loss)
    store.commit()
    assert store.losses("gate") == [loss]
    writer.set_format([VIDEO])
    writer.append(*video(25, 25), epoch=0)
    writer.loss(late)
    writer.close()
    store.commit()
    assert store.losses("gate") == [loss, late]
    assert store.losses("gate", T0_NS + 2 * NS_PER_S) == [late]
    assert store.losses("gate", None, T0_NS + 2 * NS_PER_S) == [loss]


def test_sound_alone_is_a_stream(store: Store) -> None:
    with store.writer("gate", session()) as writer:
        writer.set_format([AUDIO])
        for first in range(0, 500, 20):
            writer.append(*sound(first, 20), epoch=0)
    rows = store.gops("gate")
    assert sum(row.frames for row in rows) == 500
    assert all(row.flags & GopFlag.KEY for row in rows)
    assert 1 < len(rows) < 10
    assert gaps(rows) == []


def test_sound_before_the_first_picture_covers_nothing(store: Store) -> None:
    with store.writer("gate", session()) as writer:
        writer.set_format([VIDEO, AUDIO])
        writer.append(*sound(0, 10), epoch=0)
        writer.append(*joined(video(5, 20), sound(10, 10)), epoch=0)
        writer.append(*video(25, 5), epoch=0)
    rows = store.gops("gate")
    assert [row.frames for row in rows] == [20, 5]
    assert not rows[0].flags & GopFlag.KEY
    assert store.streams()[0].start_ns == T0_NS + 5 * FRAME_NS


def test_lost_frames_flag_the_row(store: Store) -> None:
    frames, payloads = video(0, 25)
    keep = np.ones(25, dtype=bool)
    keep[10:14] = False
    left = frames[keep]
    left["flags"][10] |= FrameFlag.LOST_BEFORE
    with store.writer("gate", session()) as writer:
        writer.set_format([VIDEO])
        writer.append(left, [payload for payload, kept in zip(payloads, keep, strict=True) if kept], epoch=0)
    (row,) = store.gops("gate")
    assert row.flags & GopFlag.GAPS
    (gap,) = gaps([row], tables=lambda gop: store.frames("gate", gop))
    assert (gap.start_ns, gap.end_ns) == (T0_NS + 10 * FRAME_NS, T0_NS + 14 * FRAME_NS)


def test_seeks_find_rows_that_reach_into_the_window(store: Store) -> None:
    with store.writer("gate", session()) as writer:
        writer.set_format([VIDEO])
        writer.append(*video(0, 500, gop=100), epoch=0)
    rows = store.gops("gate")
    assert len(rows) == 5
    for start in range(-1, 22):
        for length in (1, 3):
            left, right = T0_NS + start * NS_PER_S, T0_NS + (start + length) * NS_PER_S
            assert store.gops("gate", left, right) == [
                row for row in rows if row.start_ns < right and row.end_ns > left
            ]


def test_wrong_use_is_told_and_takes_nothing(store: Store) -> None:
    with pytest.raises(UsageError):
        store.writer("../evil", session())
    writer = store.writer("gate", session())
    frames, payloads = video(0, 10)
    with pytest.raises(UsageError):
        writer.append(frames, payloads, epoch=0)
    writer.set_format([VIDEO])
    with pytest.raises(UsageError):
        writer.append(frames, payloads[1:], epoch=0)
    with pytest.raises(UsageError):
        writer.append(frames, [payload + b"x" for payload in payloads], epoch=0)
    store.commit()
    assert store.streams() == []
    assert not list(Path(store.location).glob("incoming/*"))
    writer.append(frames, payloads, epoch=0)
    writer.close()
    with pytest.raises(UsageError):
        writer.append(frames, payloads, epoch=0)
    store.commit()
    assert payloads_of(store, "gate") == payloads
    with pytest.raises(NothingThere):
        store.gop("gate", 12345)


def test_reading_stores_cannot_write(store: Store) -> None:
    with Store.open(store.location) as reader:
        for attempt in (
            lambda: reader.writer("gate", session()),
            reader.commit,
            lambda: reader.settle("gate", []),
            lambda: reader.expire(0),
        ):
            with pytest.raises(UsageError):
                attempt()


def test_readers_see_commits_of_the_writer(store: Store) -> None:
    with Store.open(store.location) as reader:
        with store.writer("gate", session()) as writer:
            writer.set_format([VIDEO])
            writer.append(*video(0, 25), epoch=0)
        assert reader.gops("gate") == store.gops("gate")
        assert reader.identity == store.identity


def test_live_edge_ends_with_the_writer_and_with_silence(tmp_path: Path) -> None:
    now = [T0_NS]
    with Store.open(tmp_path / "s", write=True, create=True, wall_clock=lambda: now[0]) as store:
        writer = store.writer("gate", session())
        writer.set_format([VIDEO])
        writer.append(*video(0, 25), epoch=0)
        store.commit()
        assert store.streams()[0].live_edge_ns == T0_NS + NS_PER_S
        now[0] += 60 * NS_PER_S
        assert store.streams()[0].live_edge_ns == 0
        writer.append(*video(25, 25), epoch=0)
        store.commit()
        assert store.streams()[0].live_edge_ns == T0_NS + 2 * NS_PER_S
        writer.close()
        store.commit()
        assert store.streams()[0].live_edge_ns == 0


def test_other_programs_can_open_the_file_being_written(store: Store) -> None:
    writer = store.writer("gate", session())
    writer.set_format([VIDEO])
    writer.append(*video(0, 60), epoch=0)
    store.commit()
    (path,) = {store.read("gate", row).path for row in store.gops("gate")}
    header, _ = read_header(Path(path).read_bytes())
    assert header.stream == "gate"
    told = subprocess.run(
        [
            "ffprobe",
            "-v",
            "quiet",
            "-count_packets",
            "-show_entries",
            "stream=nb_read_packets",
            "-of",
            "csv=p=0",
            path,
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.strip() == "60"


def test_unsettled_rows(store: Store) -> None:
    with store.writer("gate", session(1)) as writer:
        writer.set_format([VIDEO])
        writer.append(*video(0, 50), epoch=0)
    assert store.unsettled() == []
    for stream in ("yard", "gate"):
        with store.writer(stream, session(2), pending=True) as writer:
            writer.set_format([VIDEO])
            writer.append(*video(100, 50), epoch=0)
    open_writer = store.writer("gate", session(3), pending=True)
    open_writer.set_format([VIDEO])
    open_writer.append(*video(200, 30), epoch=0)
    store.commit()
    waiting = store.unsettled("gate")
    assert waiting == [row for row in store.gops("gate") if row.flags & GopFlag.PENDING]
    assert len(waiting) == 4
    assert store.unsettled() == waiting + store.unsettled("yard")
    store.settle("gate", [row.serial for row in waiting])
    assert store.unsettled() == store.unsettled("yard") == store.gops("yard")
    assert store.unsettled("never seen") == []
