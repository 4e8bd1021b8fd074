"""Reading a stretch: each frame once, in decode order, from a keyframe on, across sessions and splices."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from memory_timeline import MemoryTimeline
from streams import FRAME_NS, T0_NS, Made, audio, metadata, video

from fovideo.errors import FovideoError, NoSuchStream, SegmentDamaged
from fovideo.media.codec import Codec
from fovideo.media.frames import FrameFlag
from fovideo.replay import Packet, read_packets
from fovideo.replay import rows as rows_module
from fovideo.timeline.values import GopFlag, Splice

S = 1_000_000_000


def at(frame: float) -> int:
    return T0_NS + int(frame * FRAME_NS)


def later(made: Made, by_ns: int) -> Made:
    frames = made.frames.copy()
    frames["time_ns"] += by_ns
    frames["dts_ns"] += by_ns
    return made._replace(frames=frames)


def part(made: Made, begin: int, end: int) -> Made:
    return made._replace(frames=made.frames[begin:end], payloads=made.payloads[begin:end])


def seen(packets: Iterator[Packet], track: int = 1) -> list[int]:
    """Numbers of the frames, in decode order, by their presentation time."""
    return [round((packet.time_ns - T0_NS) / FRAME_NS) for packet in packets if packet.track == track]


@pytest.fixture
def timeline() -> MemoryTimeline:
    return MemoryTimeline()


@pytest.mark.parametrize("codec", [Codec.H264, Codec.H265])
@pytest.mark.parametrize("b_frames", [0, 2])
def test_all_frames_of_all_tracks_come_unchanged(
    timeline: MemoryTimeline, codec: Codec, b_frames: int
) -> None:
    made, sound, notes = video(codec, 60, b_frames=b_frames), audio(Codec.AAC, 2.4), metadata()
    timeline.record(made, sound, notes, pieces=3)
    packets = list(read_packets(timeline, "gate"))
    for stream, track in ((made, 1), (sound, 2), (notes, 3)):
        mine = [packet for packet in packets if packet.track == track]
        assert [packet.payload for packet in mine] == stream.payloads
        assert [packet.time_ns for packet in mine] == stream.frames["time_ns"].tolist()
    assert [packet.dts_ns for packet in packets] == sorted(packet.dts_ns for packet in packets)
    assert packets[0].tracks == (made.track, sound.track, notes.track)
    assert packets[0].key


def test_effective_times_are_given(timeline: MemoryTimeline) -> None:
    timeline.record(video(), shift_ns=7 * S)
    assert next(read_packets(timeline, "gate")).time_ns == T0_NS + 7 * S


@given(st.integers(0, 59), st.integers(1, 60), st.sampled_from([0, 2]))
def test_a_stretch_starts_at_its_keyframe_and_covers_what_was_asked(
    begin: int, length: int, b_frames: int
) -> None:
    timeline = MemoryTimeline()
    timeline.record(video(Codec.H264, 60, b_frames=b_frames))
    end = min(begin + length, 60)
    got = seen(read_packets(timeline, "gate", at(begin), at(end)))
    assert got[0] == begin // 10 * 10
    assert set(range(begin, end)) <= set(got)
    assert max(got) <= end + b_frames


def test_an_instant_between_two_frames_belongs_to_the_earlier(timeline: MemoryTimeline) -> None:
    timeline.record(video(Codec.H264, 30))
    assert seen(read_packets(timeline, "gate", at(19.5), at(22)))[0] == 10
    assert seen(read_packets(timeline, "gate", at(29.5)))[-1] == 29


def test_tracks_can_be_chosen(timeline: MemoryTimeline) -> None:
    timeline.record(video(), audio(Codec.AAC))
    assert {packet.track for packet in read_packets(timeline, "gate", tracks=[2])} == {2}


def test_in_a_gap_the_next_keyframe_is_the_first(timeline: MemoryTimeline) -> None:
    timeline.record(video(Codec.H264, 20))
    timeline.record(later(video(Codec.H264, 20), 1000 * FRAME_NS))
    assert seen(read_packets(timeline, "gate", at(500)))[0] == 1000
    assert seen(read_packets(timeline, "gate", at(500), at(600))) == []


def test_before_and_behind_all_footage(timeline: MemoryTimeline) -> None:
    timeline.record(video(Codec.H264, 20))
    assert seen(read_packets(timeline, "gate", 0, T0_NS - S)) == []
    assert seen(read_packets(timeline, "gate", at(1000))) == []
    assert len(seen(read_packets(timeline, "gate", 0, 1 << 62))) == 20


def test_days_without_footage_cost_few_looks(
    timeline: MemoryTimeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    timeline.record(video(Codec.H264, 20))
    timeline.record(later(video(Codec.H264, 20), 400 * 86_400 * S))
    looks = 0
    gops = timeline.gops

    def counted(*arguments: object) -> object:
        nonlocal looks
        looks += 1
        return gops(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(timeline, "gops", counted)
    assert len(seen(read_packets(timeline, "gate"))) == 40
    assert looks < 30


@given(st.integers(1, 3000))
def test_windows_lose_and_double_nothing(window_ms: int) -> None:
    timeline = MemoryTimeline()
    timeline.record(video(Codec.H264, 30))
    timeline.record(later(video(Codec.H264, 30), 30 * FRAME_NS - 1_000_000))
    timeline.record(later(video(Codec.H264, 30), 90 * FRAME_NS))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rows_module, "_WINDOW_NS", window_ms * 1_000_000)
        got = seen(read_packets(timeline, "gate"))
    assert got == [*range(60), *range(90, 120)]


def test_reading_is_lazy(timeline: MemoryTimeline) -> None:
    timeline.record(video(Codec.H264, 60))
    packets = read_packets(timeline, "gate")
    next(packets)
    assert timeline.reads == 1


def test_a_session_that_starts_mid_gop_is_shown_from_its_first_keyframe(timeline: MemoryTimeline) -> None:
    timeline.record(part(video(Codec.H264, 40), 0, 15))
    timeline.record(part(video(Codec.H264, 40), 25, 40), session="aa" * 8)
    assert seen(read_packets(timeline, "gate")) == [*range(15), *range(30, 40)]
    assert seen(read_packets(timeline, "gate", decodable=False)) == [*range(15), *range(25, 40)]


def test_sessions_that_meet_without_a_gap_are_still_two_encodes(timeline: MemoryTimeline) -> None:
    timeline.record(part(video(Codec.H264, 40), 0, 15))
    timeline.record(part(video(Codec.H264, 40), 15, 40), session="aa" * 8)
    assert seen(read_packets(timeline, "gate")) == [*range(15), *range(20, 40)]


@pytest.mark.parametrize(("splice", "follows", "leads"), [(0, 0, 0), (1, 1, 0), (2, 0, 1), (3, 1, 1)])
def test_a_splice_says_what_decodes(timeline: MemoryTimeline, splice: int, follows: int, leads: int) -> None:
    assert (bool(splice & Splice.FOLLOWS), bool(splice & Splice.LEADS)) == (bool(follows), bool(leads))
    whole = video(Codec.H264, 40)
    timeline.record(part(whole, 0, 15))
    timeline.record(part(whole, 15, 25), inserted_from="22" * 16, splice=splice, session="bb" * 8)
    timeline.record(part(whole, 25, 40), session="aa" * 8)
    got = seen(read_packets(timeline, "gate"))
    wanted = list(range(15)) + (list(range(15, 20)) if follows else []) + list(range(20, 25))
    assert got == wanted + (list(range(25, 30)) if leads else []) + list(range(30, 40))


def test_single_frames_filled_in_stand_in_their_place(timeline: MemoryTimeline) -> None:
    whole = video(Codec.H264, 20)
    holed = whole._replace(
        frames=whole.frames[[*range(5), *range(6, 20)]], payloads=[*whole.payloads[:5], *whole.payloads[6:]]
    )
    holed.frames["flags"][5] |= FrameFlag.LOST_BEFORE
    first, *others = timeline.record(holed)
    timeline.rows = [msgspec.structs.replace(first, flags=first.flags | GopFlag.GAPS), *others]
    timeline.record(part(whole, 5, 6), inserted_from="22" * 16, splice=3, session="bb" * 8)
    packets = list(read_packets(timeline, "gate"))
    assert [packet.payload for packet in packets] == whole.payloads


def test_conflicting_footage_is_not_shown(timeline: MemoryTimeline) -> None:
    timeline.record(video(Codec.H264, 30))
    other = video(Codec.H264, 30, shift=50)
    timeline.record(other, inserted_from="22" * 16, splice=Splice.CONFLICT, session="bb" * 8)
    assert [packet.payload for packet in read_packets(timeline, "gate")] == video(Codec.H264, 30).payloads


def test_audio_alone_is_a_stream_too(timeline: MemoryTimeline) -> None:
    sound = audio(Codec.PCMU)
    timeline.record(sound)
    assert [packet.payload for packet in read_packets(timeline, "gate")] == sound.payloads


def test_unknown_streams_name_the_known_ones(timeline: MemoryTimeline) -> None:
    timeline.record(video())
    with pytest.raises(NoSuchStream, match="streams: gate"):
        read_packets(timeline, "door")


def test_damaged_rows_are_an_error_or_left_out(timeline: MemoryTimeline) -> None:
    rows = timeline.record(video(Codec.H264, 30))
    broken = bytearray(timeline.data[rows[1].serial])
    broken[-10] ^= 1
    timeline.data[rows[1].serial] = bytes(broken)
    with pytest.raises(SegmentDamaged, match="fovideo check"):
        list(read_packets(timeline, "gate"))
    told: list[FovideoError] = []
    assert seen(read_packets(timeline, "gate", on_damage=told.append)) == [*range(10), *range(20, 30)]
    assert len(told) == 1
