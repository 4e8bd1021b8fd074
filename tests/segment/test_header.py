"""The head of a segment file: read back as written, damage told apart, foreign files refused."""

from __future__ import annotations

import msgspec
import pytest
from streams import T0_NS, audio, header_of, metadata, video

from fovideo.errors import SegmentDamaged, UsageError
from fovideo.media.codec import Codec, Track
from fovideo.segment import SegmentHeader, encode_header, read_header
from fovideo.timeline.values import Correction


def full_header() -> SegmentHeader:
    header = header_of(video(Codec.H265), audio(Codec.AAC), metadata())
    provenance = msgspec.structs.replace(
        header.provenance,
        inserted_from="ab" * 16,
        inserted_ns=T0_NS + 5,
        lease=7,
        correction=Correction(-3, 12, T0_NS),
    )
    return msgspec.structs.replace(header, provenance=provenance, shift_ns=-42, epoch=3, pending=True)


def test_a_header_comes_back() -> None:
    header = full_header()
    data = encode_header(header)
    assert read_header(data) == (header, len(data))
    assert read_header(data + b"fragments")[1] == len(data)


def test_the_same_header_gives_the_same_bytes() -> None:
    assert encode_header(full_header()) == encode_header(full_header())


def test_a_damaged_moov_leaves_the_header_readable_on_request() -> None:
    header = full_header()
    for position in (3, 30, 50, 400):
        data = bytearray(encode_header(header))
        data[position] ^= 0x10
        with pytest.raises(SegmentDamaged, match=r"for players|cut off"):
            read_header(data)
        again, size = read_header(data, verify=False)
        assert (again, size) == (header, len(data))
        assert read_header(encode_header(again)) == (header, size)


@pytest.mark.parametrize(
    "data", [b"", b"\0" * 64, b"RIFF....WAVEfmt ", bytes.fromhex("000000186674797069736f6d") * 9]
)
def test_foreign_files_are_refused(data: bytes) -> None:
    with pytest.raises(SegmentDamaged, match=r"not a segment file .*\(byte 0\)"):
        read_header(data)


def test_a_header_that_is_whole_but_nonsense_is_refused() -> None:
    from fovideo.media.nal import crc32c
    from fovideo.segment import header as module

    data = bytearray(encode_header(header_of(video())))
    at = data.index(module.HEADER_UUID) - 8
    text_at = data.index(b'{"stream"')
    data[text_at : text_at + 9] = b'{"stxeam"'
    data[-4:] = crc32c(data[at:-4]).to_bytes(4, "big")
    with pytest.raises(SegmentDamaged, match="does not say"):
        read_header(data)
    data[at + 24] = 99
    data[-4:] = crc32c(data[at:-4]).to_bytes(4, "big")
    with pytest.raises(SegmentDamaged, match="version 99"):
        read_header(data)


@pytest.mark.parametrize(
    "tracks",
    [
        (),
        (Track(id=2, codec=Codec.H264),),
        (Track(id=1, codec=Codec.AAC, timescale=8000),),
        (Track(id=2, codec=Codec.AAC, timescale=0),),
        (Track(id=1, codec=Codec.H264), Track(id=1, codec=Codec.H265)),
    ],
)
def test_tracks_that_no_file_can_hold_are_refused(tracks: tuple[Track, ...]) -> None:
    with pytest.raises(UsageError):
        encode_header(msgspec.structs.replace(header_of(video()), tracks=tracks))


def test_a_start_before_the_base_is_refused() -> None:
    with pytest.raises(UsageError, match="base"):
        encode_header(header_of(video(), base_ns=T0_NS, start_ns=T0_NS - 1))


@pytest.mark.parametrize(
    "sets", [(b"\x67",), (b"\x67\x64\x00\x28\xff" * 3, b"\x68"), (b"\x42\x01" + b"\xff" * 40,), (b"",)]
)
@pytest.mark.parametrize("codec", [Codec.H264, Codec.H265])
def test_parameter_sets_that_make_no_sense_do_not_stop_the_recording(
    codec: Codec, sets: tuple[bytes, ...]
) -> None:
    header = msgspec.structs.replace(
        header_of(video()), tracks=(Track(id=1, codec=codec, parameter_sets=sets),)
    )
    assert read_header(encode_header(header))[0] == header


@pytest.mark.parametrize("phase", [0, 1, 7, 100, 511])
def test_a_header_can_be_filled_up_to_a_place_in_a_block(phase: int) -> None:
    header = full_header()
    data = encode_header(header, block_bytes=512, phase=phase)
    assert len(data) % 512 == phase
    assert read_header(data + b"fragments") == (header, len(data))


def test_a_header_can_be_filled_up_to_a_size() -> None:
    header = full_header()
    plain = len(encode_header(header))
    assert encode_header(header, size_bytes=plain) == encode_header(header)
    for size in (plain + 8, 8192):
        data = encode_header(header, size_bytes=size)
        assert len(data) == size
        assert read_header(data) == (header, size)
    for size in (plain - 1, plain + 1, plain + 7):
        with pytest.raises(UsageError, match="free"):
            encode_header(header, size_bytes=size)
