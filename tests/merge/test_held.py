"""Footage that is kept, but not shown, is told as readers find it, until what it continues is brought."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import pairwise

import pytest
from merge_film import Recorder, film
from merge_world import World, Wrong
from merge_world import camera as frames_of

from fovideo.media.frames import FrameTable
from fovideo.merge import StreamReport, merge
from fovideo.replay import read_packets
from fovideo.segment import decode_table
from fovideo.store import Store
from fovideo.store.describe import describe
from fovideo.timeline.held import hidden_rows
from fovideo.timeline.order import effective
from fovideo.timeline.values import Gop


def table_of_row(row: Gop) -> FrameTable:
    return effective(decode_table(row.table), row.shift_ns)


def hidden(store: Store) -> list[int]:
    """Times of the frames that a reader leaves out, but for those before the first keyframe."""
    shown = [packet.time_ns for packet in read_packets(store, "gate")]
    every = [packet.time_ns for packet in read_packets(store, "gate", decodable=False)]
    return [time_ns for time_ns in (Counter(every) - Counter(shown)).elements() if time_ns > min(shown)]


@pytest.mark.parametrize("b_frames", [0, 2])
def test_what_is_held_is_told(b_frames: int, recorder: Callable[[str], Recorder]) -> None:
    camera = film(300, b_frames=b_frames)
    server, spare = recorder("server"), recorder("spare")
    server.record(camera.part(0, 83))
    server.record(camera.part(205, 300), lost=[240, 251])
    spare.record(camera.part(127, 190))
    merge(spare.store, server.store)
    (stream,) = describe(server.store)
    found = hidden(server.store)
    assert found
    assert all(any(start <= time_ns < end for start, end in stream.held) for time_ns in found)
    spare.record(camera.part(60, 270))
    merge(spare.store, server.store)
    (stream,) = describe(server.store)
    assert (hidden(server.store), stream.held, stream.gaps) == ([], (), ())


def again(spare: Store, server: Store) -> StreamReport:
    """The report of another merge, which is the one of a dry run but for what only a real one knows."""
    (dry,) = merge(spare, server, dry_run=True).streams
    (done,) = merge(spare, server).streams
    for name in ("missing", "held", "earlier_conflicts", "inserted_frames"):
        assert getattr(dry, name) == getattr(done, name), name
    return done


@pytest.mark.parametrize("b_frames", [0, 2])
def test_a_second_report_tells_what_the_first_one_left(
    b_frames: int, recorder: Callable[[str], Recorder]
) -> None:
    camera = film(300, b_frames=b_frames)
    server, spare = recorder("server"), recorder("spare")
    server.record(camera.part(0, 83))
    server.record(camera.part(205, 300))
    spare.record(camera.part(127, 190))  # begins in the middle of a GOP
    (first,) = merge(spare.store, server.store).streams
    report = again(spare.store, server.store)
    assert (first.held_frames > 0, report.held_frames, report.inserted_frames) == (True, 0, 0)
    found = hidden(server.store)
    assert found
    assert all(any(span.from_ns <= time_ns < span.to_ns for span in report.held) for time_ns in found)
    assert report.held == first.held
    assert report.missing == first.missing
    reasons = {gap.reason for gap in report.still_missing}
    assert reasons == {gap.reason for gap in first.still_missing} == {"never recorded", "refused"}
    spare.record(camera.part(60, 270))
    third = merge(spare.store, server.store)
    assert third.is_whole
    assert (third.streams[0].held, third.streams[0].missing) == ((), ())


def test_what_a_merge_has_healed_is_not_called_held(recorder: Callable[[str], Recorder]) -> None:
    camera = film(300)
    server, spare = recorder("server"), recorder("spare")
    server.record(camera.part(0, 83))
    server.record(camera.part(205, 300))  # begins in the middle of a GOP
    spare.record(camera.part(40, 270))
    merge(spare.store, server.store)
    report = again(spare.store, server.store)
    assert (report.held, report.missing, hidden(server.store)) == ((), (), [])


@pytest.mark.parametrize(("b_frames", "died", "back"), [(0, 83, 205), (2, 83, 205), (0, 0, 127)])
def test_a_spare_that_recorded_again_continues_itself(
    b_frames: int, died: int, back: int, recorder: Callable[[str], Recorder]
) -> None:
    """Between two failures its session went on: what it recorded next follows at once, in a new epoch."""
    camera = film(300, b_frames=b_frames)
    server, spare = recorder("server"), recorder("spare")
    if died:
        server.record(camera.part(0, died))
    server.record(camera.part(back, 300))
    spare.record(camera.part(40, 270), epoch_at=127)
    assert hidden(spare.store) == []
    (first,) = merge(spare.store, server.store).streams
    assert (first.held_frames, first.held, first.missing) == (0, (), ())
    report = again(spare.store, server.store)
    assert (report.held, report.missing, hidden(server.store)) == ((), (), [])


def test_a_spare_that_lost_a_frame_between_two_failures_does_not(recorder: Callable[[str], Recorder]) -> None:
    camera = film(300)
    server, spare = recorder("server"), recorder("spare")
    server.record(camera.part(0, 83))
    server.record(camera.part(205, 300))
    spare.record(camera.part(40, 270), lost=[126], epoch_at=127)
    merge(spare.store, server.store)
    report = again(spare.store, server.store)
    assert (len(report.held), len(hidden(server.store))) == (1, 3)


def test_a_report_tells_the_conflicts_of_earlier_merges(recorder: Callable[[str], Recorder]) -> None:
    camera = film(300)
    server, spare, other = recorder("server"), recorder("spare"), recorder("other")
    server.record(camera.part(0, 300))
    spare.record(camera.part(0, 300))
    other.record(film(300, quality=40).part(100, 200))
    (first,) = merge(other.store, server.store).streams
    assert first.conflicts
    assert not first.earlier_conflicts
    for source in (other, spare):
        report = again(source.store, server.store)
        assert (report.inserted_frames, report.conflicts) == (0, ())
        assert report.earlier_conflicts == first.conflicts
        assert not merge(source.store, server.store).is_whole
    outside = merge(spare.store, server.store, to_ns=first.conflicts[0].from_ns - 1)
    assert outside.is_whole


def test_what_a_clock_that_was_set_back_shows_twice_continues_nothing() -> None:
    """The keyframe after the step was lost: what follows it lies among frames of before the step."""
    shots, world = frames_of(100), World()
    session = world.record("server", shots[0:50], goes_on=True)
    back = Wrong(-800_000_000)
    world.record("server", shots[50:100], wrong=back, lost=[50], session=session, epoch=1)
    server = world.timeline("server")
    shown = [int.from_bytes(packet.payload[:8], "big") for packet in read_packets(server, "gate")]
    assert all(after == before + 1 or after % 10 == 0 for before, after in pairwise(shown))
    assert set(range(51, 60)).isdisjoint(shown)
    rows, provenances = server.gops("gate"), server.provenances("gate")
    hidden_there = hidden_rows(rows, provenances, table_of_row)
    assert [server.ids_of(row) for row in hidden_there] == [list(range(51, 60))]
