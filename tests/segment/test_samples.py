"""Checking samples in compiled code finds what the plain way finds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from streams import audio, fragments_of, header_of, metadata, video

from fovideo.errors import SegmentDamaged
from fovideo.media.codec import METADATA_TRACK, Codec
from fovideo.media.nal import crc32c, digest_video, xxh64
from fovideo.segment import SegmentHeader, _samples, fragments, samples
from fovideo.segment.fragment import parse_head
from fovideo.store.parts import Placed, verify, what_tracks_carry


def made(codec: Codec) -> tuple[SegmentHeader, bytes]:
    streams = (video(codec), audio(Codec.AAC), metadata())
    header = header_of(*streams)
    return header, b"".join(fragments_of(header, *streams, step=5))


WORLDS = {codec: made(codec) for codec in (Codec.H264, Codec.H265)}


def plain(data: bytes, header: SegmentHeader) -> tuple[int, int] | None:
    """What _samples.check says, the slow and obvious way."""
    view = memoryview(data)
    codecs = {track.id: track.codec for track in header.tracks}
    for number, fragment in enumerate(fragments(data, verify=False)):
        head = parse_head(view, fragment.offset)
        start = fragment.offset + head.head_bytes
        if crc32c(view[start : start + head.data_bytes]) != head.data_crc:
            return number, _samples.CRC
        mine = fragment.frames["track"] != METADATA_TRACK
        found = samples(fragment, data, fragment.offset)
        for row, payload in zip(fragment.frames[mine].tolist(), found, strict=False):
            codec = codecs.get(row[6])
            if codec is None:
                return number, _samples.TRACK
            if row[4] != (digest_video(payload, codec) if codec.is_video else xxh64(payload)):
                return number, _samples.DIGEST
    return None


def compiled(data: bytes, header: SegmentHeader) -> tuple[int, int] | None:
    pieces = []
    for fragment in fragments(data, verify=False):
        head = parse_head(memoryview(data), fragment.offset)
        pieces.append((fragment.offset + head.head_bytes, head.data_bytes, head.data_crc, fragment.frames))
    return _samples.check(data, pieces, what_tracks_carry(header.tracks))


@pytest.mark.parametrize("codec", WORLDS)
def test_sound_fragments_pass(codec: Codec) -> None:
    header, data = WORLDS[codec]
    assert plain(data, header) is None
    assert compiled(data, header) is None


@given(codec=st.sampled_from(sorted(WORLDS)), place=st.integers(0), bit=st.integers(0, 7))
def test_a_changed_bit_is_found_alike(codec: Codec, place: int, bit: int) -> None:
    header, data = WORLDS[codec]
    spans = []
    for fragment in fragments(data, verify=False):
        head = parse_head(memoryview(data), fragment.offset)
        spans += range(fragment.offset + head.head_bytes, fragment.offset + fragment.size_bytes)
    changed = bytearray(data)
    changed[spans[place % len(spans)]] ^= 1 << bit
    found = compiled(bytes(changed), header)
    assert found is not None
    assert found[1] == _samples.CRC
    assert found[0] == next(
        number
        for number, fragment in enumerate(fragments(data, verify=False))
        if fragment.offset + fragment.size_bytes > spans[place % len(spans)]
    )


@given(
    codec=st.sampled_from(sorted(WORLDS)),
    row=st.integers(0),
    column=st.sampled_from(["digest", "size", "track"]),
)
def test_a_table_that_says_something_else_is_found(codec: Codec, row: int, column: str) -> None:
    """The table of one fragment is changed after it was read, as if it had been written so."""
    header, data = WORLDS[codec]
    placed = [Placed("", memoryview(data), each.offset, each) for each in fragments(data, verify=False)]
    rows = [(each.fragment.frames, at) for each in placed for at in range(len(each.fragment.frames))]
    frames, at = rows[row % len(rows)]
    frames[column][at] = {"digest": frames["digest"][at] ^ 1, "size": 1 << 30, "track": 77}[column]
    with pytest.raises(SegmentDamaged, match=r"digest|longer|track 77|length"):
        verify(placed, what_tracks_carry(header.tracks), header.tracks)


def test_arguments_are_checked() -> None:
    header, data = WORLDS[Codec.H264]
    first = next(fragments(data, verify=False))
    carries = what_tracks_carry(header.tracks)
    for start, size in ((-1, 1), (0, -1), (len(data), 1), (0, len(data) + 1)):
        with pytest.raises(ValueError, match="bytes"):
            _samples.check(data, [(start, size, 0, first.frames)], carries)
    with pytest.raises(ValueError, match="frame table"):
        _samples.check(data, [(0, 1, 0, b"x")], carries)
    with pytest.raises(ValueError, match="256"):
        _samples.check(data, [], b"")
    assert _samples.check(data, [], carries) is None
