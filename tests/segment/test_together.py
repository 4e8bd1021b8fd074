"""Fragments written together in compiled code are those that the plain function writes, byte for byte."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from streams import T0_NS, Made, audio, header_of, metadata, pieces, video

from fovideo.media.codec import Codec
from fovideo.media.frames import FRAME, FrameTable, empty_frames
from fovideo.segment import Room, SegmentHeader, compose_fragment
from fovideo.segment import _fragments as compiled
from fovideo.segment.together import compose_together

NUMBERS = st.integers(-(2**63), 2**63 - 1)


def apart(
    header: SegmentHeader,
    offset: int,
    epoch: int,
    frames: FrameTable,
    payloads: list[bytes],
    starts: list[int],
) -> list[bytes]:
    """What the plain function makes of each piece."""
    ends = [*starts[1:], len(frames)]
    return [
        bytes(compose_fragment(Room(), b"", offset, header, 7 + number, epoch, frames[a:b], payloads[a:b]))
        for number, (a, b) in enumerate(zip(starts, ends, strict=True))
    ]


def total(frames: FrameTable) -> int:
    return int(frames["size"].sum())


@st.composite
def batches(draw: st.DrawFn) -> tuple[FrameTable, list[bytes], list[int]]:
    """Any frames of video and audio, cut anywhere; each piece has its tracks in order."""
    sizes = draw(st.lists(st.integers(1, 12), min_size=1, max_size=5))
    frames, payloads, starts = empty_frames(sum(sizes)), [], []
    for size in sizes:
        begin = len(payloads)
        starts.append(begin)
        for track in sorted(draw(st.lists(st.sampled_from((1, 2)), min_size=size, max_size=size))):
            payload = draw(st.binary(max_size=40))
            row = frames[len(payloads)]
            for name in ("time_ns", "dts_ns", "receipt_ns", "error_ns"):
                row[name] = draw(NUMBERS | st.integers(T0_NS, T0_NS + 10**10))
            row["digest"], row["size"] = draw(st.integers(0, 2**64 - 1)), len(payload)
            row["track"], row["flags"], row["clock"] = (
                track,
                draw(st.integers(0, 15)),
                draw(st.integers(0, 255)),
            )
            payloads.append(payload)
    return frames, payloads, starts


@given(batches(), st.integers(0, 9000), st.integers(0, 2**32 - 1), st.binary(max_size=30))
def test_together_is_as_one_by_one(
    batch: tuple[FrameTable, list[bytes], list[int]], offset: int, epoch: int, before: bytes
) -> None:
    frames, payloads, starts = batch
    header = header_of(video(), audio(Codec.AAC))
    made = compose_together(Room(), before, offset, header, 7, epoch, frames, payloads, starts, total(frames))
    assert made is not None
    whole, sizes = made
    expected = apart(header, offset, epoch, frames, payloads, starts)
    assert bytes(whole) == before + b"".join(expected)
    assert sizes == [len(each) for each in expected]


@pytest.mark.parametrize("made", [video(b_frames=2), video(codec=Codec.H265), audio(Codec.OPUS)])
def test_real_streams(made: Made) -> None:
    header = header_of(made)
    for frames, payloads in pieces(made):
        if len(frames) > compiled.PLAIN_ROWS:
            continue
        found = compose_together(Room(), b"", 5, header, 7, 2, frames, payloads, [0], total(frames))
        assert found is not None
        assert [bytes(found[0])] == apart(header, 5, 2, frames, payloads, [0])


def test_what_is_left_to_the_plain_function() -> None:
    """Documents, alternating tracks, wrong sizes, unknown tracks, long tables, cuts that are none."""
    film, sound, notes = video(), audio(Codec.AAC), metadata()
    frames, payloads = film.frames[:4], list(film.payloads[:4])

    def left(header: SegmentHeader, table: FrameTable, parts: list[bytes], starts: list[int]) -> bool:
        return compose_together(Room(), b"", 0, header, 1, 0, table, parts, starts, total(table)) is None

    assert not left(header_of(film), frames, payloads, [0])
    assert left(header_of(film, notes), notes.frames[:2], list(notes.payloads[:2]), [0])
    mixed = np.concatenate([sound.frames[:1], frames])
    assert left(header_of(film, sound), mixed, [sound.payloads[0], *payloads], [0])
    assert not left(header_of(film, sound), mixed, [sound.payloads[0], *payloads], [0, 1])
    assert left(header_of(film), frames, [*payloads[:3], payloads[3] + b"x"], [0])
    assert left(header_of(sound), frames, payloads, [0])
    assert left(header_of(film), frames, payloads[:3], [0])
    assert left(header_of(film), frames[:0], [], [0])
    for starts in ([1], [0, 0], [0, 4], [0, 3, 2]):
        assert left(header_of(film), frames, payloads, starts)
    many = np.repeat(frames[:1], compiled.PLAIN_ROWS + 1).astype(FRAME)
    assert left(header_of(film), many, [payloads[0]] * len(many), [0])
    assert not left(header_of(film), many[1:], [payloads[0]] * (len(many) - 1), [0])


def test_no_room_is_an_error() -> None:
    film = video()
    frames, payloads = np.ascontiguousarray(film.frames[:2]), list(film.payloads[:2])
    with pytest.raises(ValueError, match="do not fit"):
        compiled.compose(bytearray(100), 0, frames, payloads, [0], ((1, 90_000, 0, 0, 0, 0),), 1, 1, 0, 0)
