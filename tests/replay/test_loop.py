"""The looped camera, on clocks that the test turns: what it sends is a function of time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import depacketise
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fovideo.errors import UsageError
from fovideo.media.codec import Codec
from fovideo.media.marker import read_marker
from fovideo.media.nal import digest_video
from fovideo.replay import Clip, LoopSource, metadata_document
from fovideo.replay.encoder import ClipEncoder
from fovideo.replay.loop import LoopFeed
from fovideo.replay.source import Start, Unit

T0_NS = 1_790_000_000_123_456_789
FRAME_NS = 40_000_000
S = 1_000_000_000

Clips = Callable[..., Clip]


class Clock:
    """A monotonic clock that the test sets."""

    def __init__(self) -> None:
        self.now = 5 * S

    def __call__(self) -> int:
        return self.now


def source(clip: Clip, clock: Clock, **more: object) -> LoopSource:
    return LoopSource(clip, wall_clock=lambda: T0_NS, monotonic=clock, **more)  # type: ignore[arg-type]


def feed(camera: LoopSource, *tracks: int) -> LoopFeed:
    return asyncio.run(camera.open(frozenset(tracks or (1,)), Start(), 1400))


def take(player: LoopFeed, clock: Clock, count: int) -> list[Unit]:
    """The next units; the clock stands where they are all due."""
    clock.now += count * FRAME_NS

    async def collect() -> list[Unit]:
        units = [await player.next() for _ in range(count)]
        return [unit for unit in units if unit is not None]

    return asyncio.run(collect())


def sample(unit: Unit, codec: Codec = Codec.H264) -> bytes:
    unpack = depacketise.h264 if codec is Codec.H264 else depacketise.h265
    return b"".join(len(nal).to_bytes(4, "big") + nal for nal in unpack(data for data, _, _ in unit.payloads))


@pytest.mark.parametrize("codec", [Codec.H264, Codec.H265])
@pytest.mark.parametrize("b_frames", [0, 2])
def test_frames_carry_their_number_and_time_over_many_rounds(
    clip: Clips, codec: Codec, b_frames: int
) -> None:
    clock = Clock()
    camera = source(clip(codec.value, b_frames=b_frames), clock, marker=7)
    player = feed(camera)
    clock.now += 2 * FRAME_NS  # with B-frames the first ones are due later
    units = take(player, clock, 100)
    sent = camera.sent()
    assert [read_marker(sample(unit, codec), codec) for unit in units] == [
        (7, number) for number in range(100)
    ]
    assert [digest_video(sample(unit, codec), codec) for unit in units] == [
        each.digest for each in sent[:100]
    ]
    assert [unit.time_ns for unit in units] == [each.time_ns for each in sent[:100]]
    whole = sorted(unit.time_ns for unit in units[:90])
    assert whole == [T0_NS + number * FRAME_NS for number in range(90)]
    assert all(unit.due_ns >= unit.media_ns for unit in units)
    assert [unit.key for unit in units[:11]] == [True, *[False] * 9, True]


def test_the_marker_stands_before_the_first_slice_and_behind_parameter_sets(clip: Clips) -> None:
    clock = Clock()
    (first,) = take(feed(source(clip(), clock, marker=1)), clock, 1)
    kinds = [nal[0] & 0x1F for nal in depacketise.h264(data for data, _, _ in first.payloads)]
    assert kinds[-2:] == [6, 5]
    assert kinds.index(7) < kinds.index(8) < len(kinds) - 2


def test_players_that_join_later_get_the_same_units_from_the_present_on(clip: Clips) -> None:
    clock = Clock()
    camera = source(clip(), clock, marker=3)
    early = feed(camera)
    clock.now += 10 * FRAME_NS + 1
    late = feed(camera)
    assert late.start_ns == T0_NS + 10 * FRAME_NS
    got = take(late, clock, 20)
    assert take(early, clock, 30)[10:] == got


def test_tracks_come_in_the_order_in_which_they_are_due(clip: Clips) -> None:
    clock = Clock()
    camera = source(clip(audio="aac"), clock, metadata=metadata_document, metadata_fps=5)
    assert [track.id for track in asyncio.run(camera.tracks())] == [1, 2, 3]
    units = take(feed(camera, 1, 2, 3), clock, 60)
    assert {unit.track for unit in units} == {1, 2, 3}
    assert [unit.due_ns for unit in units] == sorted(unit.due_ns for unit in units)


def test_nothing_is_due_before_its_time(clip: Clips) -> None:
    clock = Clock()
    player = feed(source(clip(), clock))
    take(player, clock, 0)

    async def wait() -> None:
        assert (await player.next()) is not None
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(player.next(), 0.05)

    asyncio.run(wait())


def test_a_frozen_camera_captures_nothing_and_goes_on_with_the_present(clip: Clips) -> None:
    clock = Clock()
    camera = source(clip(), clock, marker=1)
    player = feed(camera)
    before = take(player, clock, 10)
    camera.freeze()
    clock.now += 20 * FRAME_NS
    camera.thaw()
    after = take(player, clock, 10)
    numbers = [read_marker(sample(unit), Codec.H264) for unit in before + after]
    sent = [(1, each.sequence) for each in camera.sent()]
    assert numbers == sent[: len(numbers)]
    assert 15 <= after[0].media_ns // FRAME_NS - before[-1].media_ns // FRAME_NS <= 25


def test_a_stepped_clock_changes_wall_time_and_not_media_time(clip: Clips) -> None:
    clock = Clock()
    camera = source(clip(), clock, clock_offset_ns=-3600 * S)
    player = feed(camera)
    before = take(player, clock, 10)
    camera.step_clock(60 * S)
    after = take(player, clock, 10)
    assert {unit.time_ns - unit.media_ns for unit in before} == {T0_NS - 3600 * S}
    assert {unit.time_ns - unit.media_ns for unit in after[2:]} == {T0_NS - 3540 * S}
    assert [unit.media_ns for unit in before + after] == [number * FRAME_NS for number in range(20)]
    assert player.clock() == (camera.media_now(), camera.wall_ns(camera.media_now()))


def test_without_loop_the_stream_ends(clip: Clips) -> None:
    clock = Clock()
    camera = source(clip(), clock, loop=False)
    assert len(take(feed(camera), clock, 50)) == 30
    assert len(camera.sent()) == 30


def test_sent_is_cut_by_capture_time(clip: Clips) -> None:
    clock = Clock()
    camera = source(clip(), clock)
    clock.now += 50 * FRAME_NS
    got = camera.sent(T0_NS + 10 * FRAME_NS, T0_NS + 20 * FRAME_NS)
    assert [each.sequence for each in got] == list(range(10, 20))


def test_speed_and_fps(clip: Clips) -> None:
    clock = Clock()
    camera = source(clip(audio="aac"), clock, fps=10, speed=2)
    assert [track.id for track in asyncio.run(camera.tracks())] == [1]
    clock.now += S
    assert [each.time_ns - T0_NS for each in camera.sent()[:3]] == [0, 50_000_000, 100_000_000]


@pytest.mark.parametrize("wrong", [{"speed": 0}, {"speed": float("nan")}, {"fps": -1}, {"metadata_fps": 1e9}])
def test_rates_that_make_no_sense(clip: Clips, wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        LoopSource(clip(), **wrong)  # type: ignore[arg-type]


@given(st.integers(0, 10**13), st.fractions(min_value="1/10", max_value=120, max_denominator=1001))
def test_due_by_counts_the_frames_that_are_due(media_ns: int, rate: object) -> None:
    from fovideo.media.codec import Track
    from fovideo.replay.clip import ClipTrack, Sample

    samples = tuple(Sample((b"\x65",), rank, rank == 0) for rank in (0, 3, 1, 2))
    encoder = ClipEncoder(ClipTrack(Track(id=1, codec=Codec.H264), samples, rate), rate, None, True)  # type: ignore[arg-type]
    count = encoder.due_by(media_ns)
    assert encoder.due_ns(count) > media_ns
    assert count == 0 or encoder.due_ns(count - 1) <= media_ns
    assert encoder.due_ns(count) >= encoder.media_ns(count)
