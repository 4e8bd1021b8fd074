"""Access units from RTP payloads: boundaries, loss, bent rules, and every byte as push_unit stores it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from native_flows import STEP, Bench, packets_of, stored

from fovideo.camera import _native
from fovideo.media import nal
from fovideo.media.codec import Codec
from fovideo.media.frames import FrameFlag

CORRUPT, LOST = FrameFlag.CORRUPT, FrameFlag.LOST_BEFORE
SPS, PPS, SEI, AUD = b"\x67sps-sps", b"\x68pps", b"\x06sei", b"\x09\xf0"
FORMS = {Codec.H264: _native.H264, Codec.H265: _native.H265}


def idr(size: int = 900, fill: int = 1) -> bytes:
    return b"\x65\x88" + bytes([fill]) * size


def delta(size: int = 500, fill: int = 2, *, first: bool = True) -> bytes:
    return b"\x41" + (b"\x9a" if first else b"\x1a") + bytes([fill]) * size


def push(units: list[list[bytes]], codec: Codec = Codec.H264) -> list[tuple[bytes, int, int]]:
    """What the other way in makes of them: stored form, digest, flags."""
    packing = nal.packing_of(codec, annexb=True)
    return [
        tuple(nal.store_form(b"".join(b"\0\0\0\1" + each for each in unit), packing, 4)) for unit in units
    ]


def got(bench: Bench) -> list[tuple[bytes, int, int]]:
    return [(row.payload, row.digest, row.flags) for row in bench.rows()]


UNITS = [
    [SPS, PPS, SEI, idr()],
    [delta()],
    [AUD, delta(10), delta(20, first=False)],
    [delta(0)],
    [SPS, PPS, idr(5000)],
]


@pytest.mark.parametrize("limit", [16, 100, 1400, 60_000])
def test_any_size_of_packets_gives_the_units_of_the_other_way_in(limit: int) -> None:
    bench = Bench()
    bench.give(packets_of(bench, Codec.H264, UNITS, limit))
    assert got(bench) == push(UNITS)
    assert [row.pts_ns for row in bench.rows()] == [n * 40_000_000 for n in range(5)]


def h265_nal(kind: int, body: bytes) -> bytes:
    return bytes((kind << 1, 1)) + body


H265_UNITS = [
    [h265_nal(32, b"vps"), h265_nal(33, b"sps"), h265_nal(34, b"pps"), h265_nal(19, b"\xaf" + b"i" * 3000)],
    [h265_nal(1, b"\xd0" + b"p" * 700), h265_nal(1, b"\x50" + b"q" * 700)],
    [h265_nal(35, b"\x50"), h265_nal(39, b"sei"), h265_nal(0, b"\xe0b"), h265_nal(40, b"suffix")],
    [h265_nal(21, b"\x80" + b"cra" * 100)],
]


@pytest.mark.parametrize("limit", [16, 100, 1400, 60_000])
def test_h265_packets_give_the_units_of_the_other_way_in(limit: int) -> None:
    bench = Bench(_native.H265)
    bench.give(packets_of(bench, Codec.H265, H265_UNITS, limit))
    assert got(bench) == push(H265_UNITS, Codec.H265)


@st.composite
def _bodies(draw: st.DrawFn) -> bytes:
    """Bytes of a NAL unit, with zeros and start codes where none should be."""
    parts = draw(
        st.lists(st.one_of(st.binary(max_size=60), st.sampled_from([b"\0", b"\0\0\1", b"\0\0\0\1"])))
    )
    return b"".join(parts)


@st.composite
def _units(draw: st.DrawFn, codec: Codec) -> list[list[bytes]]:
    units = []
    for _ in range(draw(st.integers(1, 6))):
        head = draw(
            st.lists(st.sampled_from([7, 8, 6] if codec is Codec.H264 else [32, 33, 34, 39]), max_size=3)
        )
        kinds = [*head, draw(st.sampled_from([1, 5] if codec is Codec.H264 else [1, 19, 0]))]
        bodies = [b"\x80" + draw(st.binary(min_size=1, max_size=40)).replace(b"\0", b"\1") for _ in head]
        bodies.append(b"\x80" + draw(_bodies()))
        if codec is Codec.H264:
            units.append([bytes((0x60 | kind,)) + body for kind, body in zip(kinds, bodies, strict=True)])
        else:
            units.append([h265_nal(kind, body) for kind, body in zip(kinds, bodies, strict=True)])
    return units


@pytest.mark.parametrize("codec", list(FORMS))
@given(data=st.data(), limit=st.integers(16, 300))
def test_any_nal_units_are_stored_as_push_unit_does(codec: Codec, data: st.DataObject, limit: int) -> None:
    units = data.draw(_units(codec))
    bench = Bench(FORMS[codec])
    bench.give(packets_of(bench, codec, units, limit))
    assert got(bench) == push(units, codec)


def test_a_new_timestamp_ends_a_unit_without_marker() -> None:
    bench = Bench()
    for number in range(3):
        bench.send(delta(fill=number), number * STEP)
    assert got(bench) == push([[delta(fill=0)], [delta(fill=1)]])


def test_a_first_slice_ends_a_unit_even_without_marker_and_new_timestamp() -> None:
    bench = Bench()
    for number in range(3):
        bench.send(delta(fill=number), 0)
        bench.send(delta(fill=number, first=False), 0)
    assert got(bench) == push([[delta(fill=n), delta(fill=n, first=False)] for n in range(2)])


def test_parameter_sets_with_a_timestamp_and_marker_of_their_own_belong_to_the_next_picture() -> None:
    bench = Bench()
    bench.send(delta(), 0, marker=True)
    bench.send(SPS, STEP, marker=True)
    bench.send(PPS, STEP + 1, marker=True)
    bench.send(idr(), 2 * STEP, marker=True)
    assert got(bench) == push([[delta()], [SPS, PPS, idr()]])
    assert bench.rows()[1].pts_ns == 80_000_000


def test_a_sender_that_marks_every_slice_is_found_out() -> None:
    bench = Bench()
    for number in range(4):
        bench.send(delta(10, number), number * STEP, marker=True)
        bench.send(delta(10, number, first=False), number * STEP, marker=True)
    first, rest, *whole = got(bench)
    assert (first[2], rest[2]) == (0, CORRUPT)
    assert whole == push([[delta(10, n), delta(10, n, first=False)] for n in (1, 2)])


def test_annex_b_inside_rtp_is_divided() -> None:
    bench = Bench()
    bench.send(b"\0\0\1".join([SPS, PPS, idr(300)]) + b"\0\0\0", 0, marker=True)
    assert got(bench) == push([[SPS, PPS, idr(300)]])


def test_ten_thousand_start_codes_in_a_fragmented_nal_unit_are_cheap() -> None:
    bench = Bench(ring_bytes=1 << 22)
    body = idr(10) + b"\0\0\1\x41" * 200_000
    bench.give(packets_of(bench, Codec.H264, [[body]], 60_000))
    assert got(bench) == push([[body]])


def test_missing_end_bits_do_not_matter() -> None:
    bench = Bench()
    packets = packets_of(bench, Codec.H264, [[idr(900), delta(900, first=False)], [delta()]])
    bench.give(p[:13] + bytes((p[13] & ~0x40,)) + p[14:] if p[12] & 31 == 28 else p for p in packets)
    assert got(bench) == push([[idr(900), delta(900, first=False)], [delta()]])


# loss


def test_a_hole_inside_a_unit_keeps_what_came_before_it() -> None:
    bench = Bench()
    packets = packets_of(bench, Codec.H264, [[idr(900)], [delta(900)], [delta(100)]], 100)
    count = len([p for p in packets if p[4:8] == bytes(4)])
    del packets[count + 3]
    bench.give(packets)
    first, cut, last = bench.rows()
    assert (first.flags, last.flags) == (FrameFlag.KEY, 0)
    assert cut.flags == CORRUPT
    assert cut.payload == stored([delta(900)[: 1 + 3 * 98]])
    assert bench.flow.counters()["lost"] == 1


def test_a_lost_tail_is_told_of_the_unit_and_of_the_next() -> None:
    bench = Bench()
    packets = packets_of(bench, Codec.H264, [[idr(300)], [delta(300)], [delta(10)]], 100)
    bench.give(packet for number, packet in enumerate(packets) if number not in (6, 7))
    assert [row.flags for row in bench.rows()] == [FrameFlag.KEY, CORRUPT, LOST]


def test_a_lost_head_is_told() -> None:
    bench = Bench()
    packets = packets_of(
        bench, Codec.H264, [[idr(300)], [delta(300), delta(80, first=False)], [delta(10)]], 100
    )
    bench.give(packet for number, packet in enumerate(packets) if not 4 <= number < 8)
    assert [row.flags for row in bench.rows()] == [FrameFlag.KEY, CORRUPT | LOST, 0]
    assert bench.rows()[1].payload == stored([delta(80, first=False)])


def test_lost_units_are_told_of_the_next_one() -> None:
    bench = Bench()
    packets = packets_of(bench, Codec.H264, [[idr(10)], [delta(10)], [delta(10)], [delta(11)]])
    bench.give([packets[0], packets[3]])
    assert [row.flags for row in bench.rows()] == [FrameFlag.KEY, LOST]


def test_a_unit_of_which_nothing_can_be_kept_counts_as_lost() -> None:
    bench = Bench()
    packets = packets_of(bench, Codec.H264, [[idr(10)], [delta(300)], [delta(11)]], 100)
    bench.give(packets[:1] + packets[2:])
    assert [row.flags for row in bench.rows()] == [FrameFlag.KEY, LOST]
    assert bench.flow.counters()["cut"] == 1


def test_joining_in_the_middle_of_a_unit_loses_nothing_but_its_rest() -> None:
    bench = Bench()
    packets = packets_of(bench, Codec.H264, [[idr(300)], [delta(11)]], 100)
    bench.give(packets[2:])
    assert got(bench) == push([[delta(11)]])
    assert bench.flow.counters()["cut"] == 1


def test_the_end_of_a_session_gives_up_the_open_unit() -> None:
    bench = Bench()
    bench.give(packets_of(bench, Codec.H264, [[idr(300)], [delta(300)]], 100)[:-1])
    bench.flow.close()
    assert got(bench) == push([[idr(300)]])


@pytest.mark.parametrize(
    ("form", "payload", "counter"),
    [
        (_native.H264, b"\x19STAP-B", "unsupported"),
        (_native.H264, b"\x1dFU-B", "unsupported"),
        (_native.H264, b"\x1c\x85", "malformed"),
        (_native.H264, b"\x18\xff\xffx", "malformed"),
        (_native.H265, b"\x64\x01PACI", "unsupported"),
        (_native.H265, b"\x02\x09layer 1", "unsupported"),
        (_native.H265, b"\x02\x01", "malformed"),
        (_native.H265, b"\x62\x01\x81", "malformed"),
        (_native.H265, b"\x60\x01\xff\xffx", "malformed"),
    ],
)
def test_what_cannot_be_read_is_counted(form: int, payload: bytes, counter: str) -> None:
    bench = Bench(form)
    bench.send(payload, 0, marker=True)
    assert bench.flow.counters()[counter] == 1
    assert not bench.rows()
