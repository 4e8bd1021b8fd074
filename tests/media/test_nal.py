"""NAL units: forms of an access unit, kinds and digests, for well-formed and for any bytes."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from fovideo.media import nal
from fovideo.media.codec import Codec
from fovideo.media.frames import FrameFlag
from fovideo.media.nal import Packing

EMULATION = st.sampled_from([b"\0\0\3", b"\0\0\3\1", b"\0\3", b"\0", b"\1", b"\xff\0\0\3\0\0\3\2"])
H264_TYPES = st.sampled_from([1, 2, 5, 6, 7, 8, 9, 12, 14, 20, 24])
H265_TYPES = st.sampled_from([0, 1, 9, 16, 19, 20, 21, 31, 32, 33, 34, 35, 39, 40, 48, 63])


@st.composite
def nal_units(draw: st.DrawFn, codec: Codec) -> bytes:
    """A NAL unit as an encoder may write it: no start code inside, no zero at its end."""
    if codec is Codec.H265:
        head = bytes([draw(H265_TYPES) << 1, draw(st.sampled_from([1, 2, 9]))])
    else:
        head = bytes([draw(st.integers(0, 3)) << 5 | draw(H264_TYPES)])
    body = b"".join(draw(st.lists(st.one_of(st.binary(max_size=40), EMULATION), max_size=8)))
    if draw(st.booleans()):
        body += draw(st.binary(min_size=1, max_size=3)) * draw(st.integers(1, 400))
    unit = head + body + b"\x80"
    while b"\0\0\0" in unit or b"\0\0\1" in unit:
        unit = unit.replace(b"\0\0\0", b"\0\0\3\0").replace(b"\0\0\1", b"\0\0\3\1")
    return unit


@st.composite
def access_units(draw: st.DrawFn) -> tuple[Codec, list[bytes]]:
    codec = draw(st.sampled_from([Codec.H264, Codec.H265]))
    return codec, draw(st.lists(nal_units(codec), min_size=1, max_size=6))


def lengths(units: Sequence[bytes], size: int = 4) -> bytes:
    return b"".join(len(unit).to_bytes(size, "big") + unit for unit in units)


def is_vcl(unit: bytes, codec: Codec) -> bool:
    return unit[0] >> 1 & 63 < 32 if codec is Codec.H265 else unit[0] & 31 in (1, 2, 3, 4, 5, 20, 21)


def annexb(units: Sequence[bytes], draw: st.DataObject) -> bytes:
    """Annex B with 3- and 4-byte start codes and zeros behind NAL units."""
    out = b"\0" * draw.draw(st.integers(0, 3), label="leading zeros")
    for unit in units:
        out += draw.draw(st.sampled_from([b"\0\0\1", b"\0\0\0\1"]), label="start code")
        out += unit + b"\0" * draw.draw(st.integers(0, 3), label="trailing zeros")
    return out


@given(access_units(), st.data())
def test_annexb_becomes_lengths(au: tuple[Codec, list[bytes]], data: st.DataObject) -> None:
    codec, units = au
    packed = annexb(units, data)
    assert nal.annexb_to_lengths(packed, codec) == lengths(units)
    assert [bytes(unit) for unit in nal.iter_annexb(packed)] == units


@given(access_units())
def test_lengths_and_annexb_are_inverse(au: tuple[Codec, list[bytes]]) -> None:
    codec, units = au
    sample = lengths(units)
    assert nal.to_annexb(sample) == b"".join(b"\0\0\0\1" + unit for unit in units)
    assert nal.annexb_to_lengths(nal.to_annexb(sample), codec) == sample
    assert [bytes(unit) for unit in nal.iter_nals(sample)] == units


@given(access_units(), st.data(), st.integers(2, 4))
def test_all_forms_store_the_same(
    au: tuple[Codec, list[bytes]], data: st.DataObject, length_size: int
) -> None:
    codec, units = au
    vcl = [unit for unit in units if is_vcl(unit, codec)]
    digest = xxhash.xxh64_intdigest(lengths(vcl))
    a = nal.store_form(annexb(units, data), nal.packing_of(codec, annexb=True))
    b = nal.store_form(lengths(units, length_size), nal.packing_of(codec, annexb=False), length_size)
    assert a == b
    assert a.sample == lengths(units)
    assert a.digest == digest == nal.digest_video(a.sample, codec)
    assert a.flags == nal.sample_flags(a.sample, codec)
    assert not a.flags & FrameFlag.CORRUPT


@given(access_units(), st.lists(st.binary(min_size=1, max_size=30), max_size=3))
def test_what_a_session_adds_leaves_the_digest_alone(
    au: tuple[Codec, list[bytes]], extra: list[bytes]
) -> None:
    codec, units = au
    added = [(b"\x46\x01" if codec is Codec.H265 else b"\x09") + body for body in extra]
    assert nal.digest_video(lengths(added + units + added), codec) == nal.digest_video(lengths(units), codec)


@given(st.binary(max_size=300), st.sampled_from(list(Packing)), st.integers(1, 4))
def test_any_bytes_are_stored_in_a_form_that_holds(data: bytes, packing: Packing, length_size: int) -> None:
    stored = nal.store_form(data, packing, length_size)
    if packing is Packing.RAW:
        assert stored == (data, xxhash.xxh64_intdigest(data), 0)
        return
    codec = Codec.H265 if packing in (Packing.ANNEXB_H265, Packing.HVCC_H265) else Codec.H264
    position = 0
    while position < len(stored.sample):
        (size,) = struct.unpack_from(">I", stored.sample, position)
        assert size > 0
        position += 4 + size
    assert position == len(stored.sample)
    assert stored.digest == nal.digest_video(stored.sample, codec)
    assert stored.flags & ~FrameFlag.CORRUPT == nal.sample_flags(stored.sample, codec)
    again = nal.store_form(stored.sample, nal.packing_of(codec, annexb=False))
    assert again.sample == stored.sample
    assert again.digest == stored.digest


@given(st.binary(max_size=200), st.integers(0, 200))
def test_start_codes_are_found_where_they_are(data: bytes, at: int) -> None:
    """The scan's vector loop and its tail agree with a search byte by byte."""
    packed = (data[:at] + b"\0\0\1" + data[at:]).replace(b"\2", b"\0")
    found = [bytes(unit) for unit in nal.iter_annexb(packed)]
    assert found == [part for part in (p.rstrip(b"\0") for p in packed.split(b"\0\0\1")) if part]


def test_more_nal_units_than_the_plan_holds() -> None:
    units = [bytes([1 + i % 5]) + i.to_bytes(2, "big") + b"\x80" for i in range(1, 600)]
    stored = nal.store_form(b"".join(b"\0\0\1" + unit for unit in units), Packing.ANNEXB_H264)
    assert stored.sample == lengths(units)
    assert stored.digest == nal.digest_video(stored.sample, Codec.H264)
    assert stored.flags == FrameFlag.KEY
    for count in (127, 128, 129):
        part = nal.store_form(lengths(units[:count], 3), Packing.AVCC_H264, 3)
        assert part.sample == lengths(units[:count])
        assert part.digest == nal.digest_video(part.sample, Codec.H264)


@pytest.mark.parametrize(
    ("codec", "head", "flags"),
    [
        (Codec.H264, b"\x65", FrameFlag.KEY),
        (Codec.H264, b"\x41", 0),
        (Codec.H264, b"\x67", FrameFlag.PARAMS),
        (Codec.H264, b"\x68", FrameFlag.PARAMS),
        (Codec.H264, b"\x06", 0),
        (Codec.H264, b"\x09", 0),
        (Codec.H265, b"\x26\x01", FrameFlag.KEY),  # IDR_W_RADL
        (Codec.H265, b"\x2a\x01", FrameFlag.KEY),  # CRA
        (Codec.H265, b"\x2a\x09", 0),  # CRA of an enhancement layer
        (Codec.H265, b"\x02\x01", 0),
        (Codec.H265, b"\x40\x01", FrameFlag.PARAMS),
        (Codec.H265, b"\x42\x01", FrameFlag.PARAMS),
        (Codec.H265, b"\x44\x01", FrameFlag.PARAMS),
        (Codec.H265, b"\x4e\x01", 0),
    ],
)
def test_kinds(codec: Codec, head: bytes, flags: int) -> None:
    sample = lengths([head + b"\x12\x34\x80"])
    assert nal.sample_flags(sample, codec) == flags
    assert nal.is_key(sample, codec) == bool(flags & FrameFlag.KEY)


@pytest.mark.parametrize("sample", [b"\0\0\0\5\x65abc", b"\0\0\0\2\x65a\0\0", b"\xff\xff\xff\xff\x65"])
def test_lengths_that_do_not_add_up_are_marked(sample: bytes) -> None:
    assert nal.sample_flags(sample, Codec.H264) == FrameFlag.KEY | FrameFlag.CORRUPT
    stored = nal.store_form(sample, Packing.AVCC_H264)
    assert stored.flags == FrameFlag.KEY | FrameFlag.CORRUPT
    assert nal.sample_flags(stored.sample, Codec.H264) == FrameFlag.KEY


def test_bytes_before_the_first_start_code_are_kept_and_marked() -> None:
    stored = nal.store_form(b"\x41rubbish\0\0\1\x65data\x80", Packing.ANNEXB_H264)
    assert stored.sample == lengths([b"\x41rubbish", b"\x65data\x80"])
    assert stored.flags == FrameFlag.KEY | FrameFlag.CORRUPT


def test_parameter_sets_in_order_each_once() -> None:
    sample = lengths([b"\x68pps", b"\x67sps", b"\x65slice", b"\x68pps", b"\x68other", b"\x67sps"])
    assert nal.parameter_sets(sample, Codec.H264) == (b"\x67sps", b"\x68pps", b"\x68other")
    sample = lengths([b"\x44\1p", b"\x42\1s", b"\x40\1v", b"\x26\1slice", b"\x40\1v"])
    assert nal.parameter_sets(sample, Codec.H265) == (b"\x40\1v", b"\x42\1s", b"\x44\1p")
    assert nal.parameter_sets(b"", Codec.H264) == ()


def test_packing_of_tracks() -> None:
    assert nal.packing_of(Codec.H264, annexb=True) is Packing.ANNEXB_H264
    assert nal.packing_of(Codec.H265, annexb=False) is Packing.HVCC_H265
    assert nal.packing_of(Codec.AAC, annexb=True) is Packing.RAW


@pytest.mark.parametrize(("packing", "length_size"), [(5, 4), (-1, 4), (3, 0), (3, 5)])
def test_a_packing_that_does_not_exist(packing: int, length_size: int) -> None:
    with pytest.raises(ValueError):
        nal.store_form(b"", packing, length_size)  # type: ignore[arg-type]


def test_any_buffer_will_do() -> None:
    unit = b"\0\0\1\x65abc\x80"
    expected = nal.store_form(unit, Packing.ANNEXB_H264)
    for buffer in (bytearray(unit), memoryview(unit), memoryview(unit).cast("b")):
        assert nal.store_form(buffer, Packing.ANNEXB_H264) == expected
        assert nal.xxh64(buffer) == nal.xxh64(unit)
    with pytest.raises(BufferError):
        nal.xxh64(memoryview(unit)[::2])
    with pytest.raises(TypeError):
        nal.xxh64("text")  # type: ignore[arg-type]
