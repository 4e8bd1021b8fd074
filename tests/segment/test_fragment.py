"""Fragments: what goes in comes out, samples are passed through, and the boxes say when and what."""

from __future__ import annotations

import struct

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from streams import FRAME_NS, T0_NS, Made, audio, fragments_of, header_of, metadata, pieces, video

from fovideo.errors import SegmentDamaged, UsageError
from fovideo.media.codec import Codec, Track
from fovideo.media.frames import FRAME, FrameFlag, empty_frames
from fovideo.segment import Notes, encode_fragment, parse_fragment, relocate, samples
from fovideo.segment.fragment import head_crc
from fovideo.timeline.values import Loss

CONTAINERS = (b"moof", b"traf")


def boxes(data: bytes) -> dict[bytes, list[bytes]]:
    """Bodies of all boxes of a file by type, those inside moof and traf too."""
    found: dict[bytes, list[bytes]] = {}
    at = 0
    while at < len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        body = data[at + 8 : at + size]
        found.setdefault(kind, []).append(body)
        if kind in CONTAINERS:
            for inner, bodies in boxes(body).items():
                found.setdefault(inner, []).extend(bodies)
        at += size
    return found


def joined(parts: list) -> bytes:
    return b"".join(bytes(part) for part in parts)


def everything() -> tuple[Made, Made, Made]:
    return video(b_frames=2), audio(Codec.AAC), metadata()


def test_what_goes_in_comes_out() -> None:
    streams = everything()
    header = header_of(*streams)
    notes = Notes(backdates=((3, -1_500_000),), losses=(Loss(T0_NS, T0_NS + 9, 4, "transport"),))
    for number, (frames, payloads) in enumerate(pieces(*streams), 1):
        data = joined(encode_fragment(header, number, 3, frames, payloads, notes))
        fragment = parse_fragment(b"before" + data + b"after", 6)
        assert (fragment.frames == frames).all()
        assert (fragment.offset, fragment.size_bytes) == (6, len(data))
        assert (fragment.base_ns, fragment.epoch, fragment.notes) == (header.base_ns, 3, notes)
        assert fragment.key_start == bool(frames["flags"][0] & FrameFlag.KEY)
        assert [bytes(s) for s in samples(fragment, b"before" + data, 6)] == payloads


def test_payloads_are_passed_through_uncopied() -> None:
    made = video()
    views = [memoryview(payload) for payload in made.payloads[:5]]
    parts = encode_fragment(header_of(made), 1, 0, made.frames[:5], views)
    assert all(part is view for part, view in zip(parts[1:], views, strict=True))


def test_tracks_that_alternate_are_sorted_video_audio_metadata() -> None:
    streams = everything()
    frames = np.concatenate([stream.frames[:4] for stream in reversed(streams)])
    payloads = [payload for stream in reversed(streams) for payload in stream.payloads[:4]]
    data = joined(encode_fragment(header_of(*streams), 1, 0, frames, payloads))
    fragment = parse_fragment(data)
    assert (fragment.frames == np.concatenate([stream.frames[:4] for stream in streams])).all()
    expected = [payload for stream in streams for payload in stream.payloads[:4]]
    assert [bytes(s) for s in samples(fragment, data, 0)] == expected
    assert data[fragment.data_offset :].startswith(expected[0])


def test_metadata_of_a_fragment_is_one_compressed_sample() -> None:
    made = metadata(40)
    data = joined(encode_fragment(header_of(made), 1, 0, made.frames, made.payloads))
    assert sum(map(len, made.payloads)) > 5 * (len(data) - parse_fragment(data).data_offset)
    (trun,) = boxes(data)[b"trun"]
    assert struct.unpack_from(">I", trun, 4) == (1,)


def test_notes_alone_make_a_fragment_that_players_pass_over() -> None:
    notes = Notes(losses=(Loss(T0_NS, T0_NS + 9, 4, "disk-slow"),))
    data = joined(encode_fragment(header_of(video()), 1, 0, empty_frames(), [], notes))
    fragment = parse_fragment(data)
    assert (len(fragment.frames), fragment.notes, fragment.size_bytes) == (0, notes, len(data))
    assert samples(fragment, data, 0) == []
    assert list(boxes(data)) == [b"uuid"]


def test_boxes_carry_decode_time_and_wall_clock() -> None:
    made = video()
    header = header_of(made, base_ns=T0_NS - 2_500_000_000)
    found = boxes(joined(encode_fragment(header, 7, 0, made.frames[3:8], made.payloads[3:8])))
    assert struct.unpack(">II", found[b"mfhd"][0]) == (0, 7)
    tick = 225_000 + 3 * 3600
    assert struct.unpack(">IQ", found[b"tfdt"][0]) == (1 << 24, tick)
    version_flags, track, ntp, media = struct.unpack(">IIQQ", found[b"prft"][0])
    assert (version_flags >> 24, track, media) == (1, 1, tick)
    wall_ns = (ntp >> 32) * 10**9 + ((ntp & 0xFFFF_FFFF) * 10**9 >> 32) - 2_208_988_800 * 10**9
    assert abs(wall_ns - (T0_NS + 3 * FRAME_NS)) <= 1


def test_samples_that_are_not_keys_are_marked_so() -> None:
    made = video()
    (trun,) = boxes(joined(encode_fragment(header_of(made), 1, 0, made.frames[:3], made.payloads[:3])))[
        b"trun"
    ]
    rows = np.frombuffer(trun, ">u4", 12, 12).reshape(3, 4)
    assert (rows[:, 2] >> 16 & 1).tolist() == [0, 1, 1]
    assert rows[:, 0].tolist() == [3600] * 3
    assert rows[:, 1].tolist() == made.frames["size"][:3].tolist()


@pytest.mark.parametrize(
    ("frames", "payloads", "reason"),
    [
        (video().frames[:2], video().payloads[:1], "2 frames with 1 payloads"),
        (video().frames[:1], video().payloads[1:2], "size differs"),
        (audio(Codec.PCMU).frames[:1], audio(Codec.PCMU).payloads[:1], "track 2"),
        (metadata().frames[:1], [b"short"], "size differs"),
        (empty_frames(), [], "0 frames"),
    ],
)
def test_what_does_not_fit_is_refused(frames, payloads, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        encode_fragment(header_of(video()), 1, 0, frames, payloads)


@given(
    st.lists(
        st.tuples(*[st.integers(0, 2**62)] * 3, st.integers(0, 7), st.sampled_from([1, 2, 3])), min_size=1
    )
)
def test_no_times_however_wild_stop_the_recording(rows: list[tuple[int, ...]]) -> None:
    frames = np.zeros(len(rows), FRAME)
    for row, (time, dts, receipt, flags, track) in zip(frames, rows, strict=True):
        row["time_ns"], row["dts_ns"], row["receipt_ns"], row["flags"], row["track"] = (
            time,
            dts,
            receipt,
            flags,
            track,
        )
    frames["size"] = 3
    header = header_of(video(), audio(Codec.PCMU), metadata())
    data = joined(encode_fragment(header, 1, 0, frames, [b"abc"] * len(rows)))
    fragment = parse_fragment(data)
    assert fragment.frames.tobytes() == frames[frames["track"].argsort(kind="stable")].tobytes()
    assert b"".join(map(bytes, samples(fragment, data, 0))) == b"abc" * len(rows)


@pytest.mark.parametrize("step", [1, 4, 60])
def test_a_moved_fragment_is_the_one_that_file_would_have_got(step: int) -> None:
    streams = everything()
    here = header_of(*streams, base_ns=T0_NS - 3_600_000_000_123)
    there = header_of(*streams)
    expected = fragments_of(there, *streams, step=step)
    for number, data in enumerate(fragments_of(here, *streams, step=step), 1):
        fragment = parse_fragment(data)
        moved = relocate(fragment, data, 0, there, number, 0) + data[fragment.data_offset :]
        assert moved == expected[number - 1]


def test_a_moved_fragment_keeps_its_notes_and_takes_the_epoch() -> None:
    made, notes = video(), Notes(backdates=((0, 5),))
    data = joined(encode_fragment(header_of(made), 1, 0, made.frames[:3], made.payloads[:3], notes))
    head = relocate(parse_fragment(data), data, 0, header_of(made, base_ns=T0_NS - 10**9), 4, 2)
    moved = parse_fragment(head + data[len(head) :])
    assert (moved.notes, moved.epoch, moved.base_ns) == (notes, 2, T0_NS - 10**9)


def test_a_damaged_fragment_is_not_moved() -> None:
    made = video()
    data = bytearray(joined(encode_fragment(header_of(made), 1, 0, made.frames[:3], made.payloads[:3])))
    fragment = parse_fragment(data)
    data[100] ^= 4
    with pytest.raises(SegmentDamaged, match="byte 0"):
        relocate(fragment, data, 0, header_of(made), 1, 0)


def test_a_fragment_of_a_newer_version_says_so() -> None:
    made = video()
    data = bytearray(joined(encode_fragment(header_of(made), 1, 0, made.frames[:1], made.payloads[:1])))
    data[28] = 9
    data[24:28] = head_crc(data[: len(data) - made.frames["size"][0]]).to_bytes(4, "big")
    with pytest.raises(SegmentDamaged, match="version 9"):
        parse_fragment(data)


@given(st.lists(st.tuples(st.integers(28, 600), st.integers(0, 255)), min_size=1, max_size=4))
def test_a_fragment_whose_checksums_hold_but_which_lies_is_refused_or_read(
    changes: list[tuple[int, int]],
) -> None:
    streams = video(), metadata(3)
    notes = Notes(losses=(Loss(T0_NS, T0_NS + 9, 4, "transport"),))
    frames = np.concatenate([stream.frames[:3] for stream in streams])
    payloads = [payload for stream in streams for payload in stream.payloads[:3]]
    data = bytearray(joined(encode_fragment(header_of(*streams), 1, 0, frames, payloads, notes)))
    head_bytes = parse_fragment(data).data_offset
    for at, value in changes:
        data[at % (head_bytes - 28) + 28] = value
    data[24:28] = head_crc(data[:head_bytes]).to_bytes(4, "big")
    try:
        samples(parse_fragment(data, verify=False), data, 0)
    except SegmentDamaged:
        pass


def test_samples_outside_their_fragment_are_refused() -> None:
    made = video()
    data = joined(encode_fragment(header_of(made), 1, 0, made.frames[:3], made.payloads[:3]))
    fragment = parse_fragment(data)
    fragment.frames["size"][0] += 1
    with pytest.raises(SegmentDamaged, match="longer"):
        samples(fragment, data, 0)
    with pytest.raises(SegmentDamaged):
        samples(parse_fragment(data), data[:-1], 0)


def test_metadata_that_does_not_unpack_is_refused() -> None:
    made = metadata(3)
    data = bytearray(joined(encode_fragment(header_of(made), 1, 0, made.frames, made.payloads)))
    fragment = parse_fragment(data)
    with pytest.raises(SegmentDamaged, match="another length"):
        samples(msgspec.structs.replace(fragment, frames=fragment.frames[:2]), data, 0)
    data[fragment.data_offset :] = bytes(len(data) - fragment.data_offset)
    with pytest.raises(SegmentDamaged, match=r"unpack|another length"):
        samples(fragment, data, 0)


def test_a_track_without_parameter_sets_is_recorded_all_the_same() -> None:
    bare = Made(Track(id=1, codec=Codec.H265), video().frames, video().payloads)
    assert parse_fragment(fragments_of(header_of(bare), bare)[0]).key_start
