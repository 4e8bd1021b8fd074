"""A flow: taking the connection apart, datagrams in order, several tracks in one ring, and its end."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from native_flows import (
    CORRUPT,
    FREEZE_NS,
    KEY,
    LOST,
    REPLY,
    REQUEST,
    SSRC,
    START,
    STEP,
    TYPE,
    UNITS,
    Bench,
    interleaved,
    packets_of,
    payloads,
    stored,
    unit,
)

from fovideo.camera import _native
from fovideo.media.codec import Codec
from fovideo.replay.rtp import rtcp
from fovideo.ring import NO_TIME, Kind

# the connection


def test_the_session_begins_with_its_format() -> None:
    bench = Bench()
    bench.give([b"junk", bench.packet(b"x", 0, kind=TYPE + 1)])
    assert len(bench.ring.units()) == 0
    bench.give(packets_of(bench, Codec.H264, UNITS[:1]))
    first, second = bench.ring.units()
    assert (first["kind"], first["session"], first["pts_ns"]) == (Kind.FORMAT, 7, NO_TIME)
    assert bytes(bench.ring.payload(first["position"], first["size"])) == START
    assert second["session"] == 7
    assert bench.flow.wait(0) == _native.LIVE


@given(st.data())
def test_a_connection_may_be_cut_into_reads_anywhere(data: st.DataObject) -> None:
    bench = Bench()
    packets = packets_of(bench, Codec.H264, UNITS)
    pieces = [interleaved([packet]) for packet in packets]
    report = interleaved([rtcp.sender_report(SSRC, 10**18, 0, 1, 1, "cam")], 1)
    for extra in [REPLY, REQUEST, interleaved([b"other"], 9), b"\r\n", report]:
        pieces.insert(data.draw(st.integers(0, len(pieces))), extra)
    whole = b"".join(pieces)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=40)))
    for begin, end in zip([0, *cuts], [*cuts, len(whole)], strict=True):
        bench.flow.feed(whole[begin:end], 1)
    assert payloads(bench) == [stored(each) for each in UNITS]
    assert sorted(bench.flow.messages()) == sorted([REPLY, REQUEST])
    assert bench.flow.wait(0) & _native.MESSAGE
    assert bench.flow.counters()["garbage_bytes"] == 0


def test_byte_by_byte() -> None:
    bench = Bench()
    for byte in interleaved(packets_of(bench, Codec.H264, UNITS)) + REPLY:
        bench.flow.feed(bytes([byte]), 1)
    assert payloads(bench) == [stored(each) for each in UNITS]
    assert bench.flow.messages() == [REPLY]


def test_garbage_is_passed_over_and_the_stream_found_again() -> None:
    bench = Bench()
    packets = [interleaved([packet]) for packet in packets_of(bench, Codec.H264, UNITS)]
    # Lengths that lie in the garbage must not swallow what follows it.
    junk = b"\0\1$$\x05\xff\xffgar$bage R RTSQ $\x00\x00\x04abcd"
    bench.flow.feed(packets[0] + junk + b"".join(packets[1:]), 1)
    assert payloads(bench) == [stored(each) for each in UNITS]
    assert bench.flow.counters()["garbage_bytes"] > 20
    assert not bench.flow.end


def test_too_much_garbage_ends_the_session() -> None:
    bench = Bench()
    chance = random.Random(3)
    for _ in range(80):
        bench.flow.feed(bytes(chance.choices(range(0x80, 256), k=4096)), 1)
    assert bench.flow.end == _native.END_GARBAGE


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"RTSP/1.0 200 OK\r\nContent-Length: 99999999\r\n\r\n",
        b"A" * 4000,
        b"RTSP/1.0 200 OK\r\n" + b"X: y\r\n" * 4000,
    ],
)
def test_what_is_no_message_is_garbage(head: bytes) -> None:
    bench = Bench()
    bench.flow.feed(head, 1)
    assert bench.flow.counters()["garbage_bytes"] > 0
    assert not bench.flow.messages()


def test_messages_that_nobody_takes_do_not_pile_up() -> None:
    bench = Bench()
    for _ in range(100):
        bench.flow.feed(REQUEST, 1)
    assert len(bench.flow.messages()) == 16
    bench.flow.feed(REQUEST, 1)
    assert len(bench.flow.messages()) == 1


# numbers and senders


def test_another_sender_takes_over() -> None:
    bench = Bench()
    bench.report(10**18, 0)
    bench.give(packets_of(bench, Codec.H264, UNITS[:2]))
    bench.give([bench.packet(b"\x41\x9aother", 5 * 90_000, marker=True, ssrc=99, sequence=n) for n in (5, 6)])
    rows = bench.rows()
    assert [row.flags for row in rows[2:]] == [LOST, 0]
    assert [row.wall_ns == NO_TIME for row in rows] == [False, False, True, True]


def test_sequence_numbers_may_begin_anew() -> None:
    bench = Bench()
    bench.give(packets_of(bench, Codec.H264, UNITS[:2]))
    for number in (20_000, 20_001, 20_002):
        bench.give([bench.packet(unit(number)[0], number, marker=True, sequence=number)])
    assert [row.flags for row in bench.rows()[2:]] == [LOST, 0, 0]
    assert bench.flow.counters()["lost"] == 0


def test_a_repeated_packet_is_dropped() -> None:
    bench = Bench()
    packets = packets_of(bench, Codec.H264, UNITS)
    bench.give([packet for each in packets for packet in (each, each)])
    assert payloads(bench) == [stored(each) for each in UNITS]
    assert bench.flow.counters()["late"] == len(packets)


def test_packets_of_another_type_leave_a_gap_but_no_loss() -> None:
    bench = Bench()
    packets = packets_of(bench, Codec.H264, UNITS[:2])
    other = [bench.packet(b"comfort", 0, kind=13) for _ in range(3)]
    bench.give([*packets, *other])
    bench.send(unit(9)[0], 9 * STEP, marker=True)
    assert [row.flags & LOST for row in bench.rows()] == [0, 0, 0]
    assert bench.flow.counters()["foreign"] == 3


@pytest.mark.parametrize("sockets", [False, True])
def test_a_companion_stream_of_another_type_changes_nothing(sockets: bool) -> None:
    bench = Bench(sockets=sockets)
    packets = packets_of(bench, Codec.H264, UNITS)
    again = [bench.packet(b"again", 0, kind=TYPE + 1, ssrc=77, sequence=n) for n in range(len(packets))]
    bench.give(packet for pair in zip(packets, again, strict=True) for packet in pair)
    assert payloads(bench) == [stored(each) for each in UNITS]
    assert bench.flow.counters()["foreign"] == len(packets)
    assert not any(row.flags & (LOST | CORRUPT) for row in bench.rows())


# datagrams


@given(st.randoms(use_true_random=False), st.integers(1, 20))
def test_shuffled_datagrams_come_out_in_order(chance: random.Random, reach: int) -> None:
    bench = Bench(sockets=True)
    packets = packets_of(bench, Codec.H264, UNITS, 100)
    late = sorted(range(len(packets)), key=lambda at: at + chance.uniform(0, reach))
    # The first packet says where the numbers begin.
    late.remove(0)
    bench.give([packets[0], *(packets[at] for at in late)])
    assert payloads(bench) == [stored(each) for each in UNITS]
    assert bench.flow.counters()["lost"] == 0


@given(st.randoms(use_true_random=False), st.floats(0, 0.5))
def test_what_is_lost_is_counted_and_whole_units_stay_whole(chance: random.Random, share: float) -> None:
    bench = Bench(sockets=True)
    packets = packets_of(bench, Codec.H264, UNITS, 100)
    kept = [0, *(at for at in range(1, len(packets)) if chance.random() >= share)]
    order = sorted(kept, key=lambda at: at + chance.uniform(0, 4) * (at > 0))
    bench.give(packets[at] for at in order)
    bench.flow.tick(bench.now_ns + 200_000_000)
    rows = bench.rows()
    intact = {stored(each) for each in UNITS}
    assert all(row.payload in intact for row in rows if not row.flags & CORRUPT)
    missing = kept[-1] + 1 - len(kept)
    assert bench.flow.counters()["lost"] == missing
    complete = {int.from_bytes(packets[at][4:8], "big") // STEP for at in range(len(packets))} - {
        int.from_bytes(packets[at][4:8], "big") // STEP for at in set(range(len(packets))) - set(kept)
    }
    assert {row.pts_ns // 40_000_000 for row in rows if not row.flags & CORRUPT} == complete


def test_a_missing_datagram_is_waited_for_no_longer_than_100_ms() -> None:
    bench = Bench(sockets=True)
    packets = packets_of(bench, Codec.H264, [unit(1, 10, key=True), unit(2, 10), unit(3, 10), unit(4, 10)])
    bench.give([packets[0], *packets[2:]])
    assert len(bench.rows()) == 1
    bench.flow.tick(bench.now_ns + 98_000_000)
    assert len(bench.rows()) == 1
    bench.flow.tick(bench.now_ns + 100_000_000)
    assert [row.flags for row in bench.rows()] == [KEY, LOST, 0]
    assert bench.rows()[1].receipt_ns < bench.now_ns


def test_a_stray_datagram_changes_nothing() -> None:
    bench = Bench(sockets=True)
    packets = packets_of(bench, Codec.H264, UNITS)
    stray = [bench.packet(b"\x41\x9astray", n, ssrc=5, sequence=n, marker=True) for n in range(3)]
    bench.give([packets[0], stray[0], *packets[1:5], stray[1], packets[5], stray[2], *packets[6:]])
    assert payloads(bench) == [stored(each) for each in UNITS]
    assert bench.flow.counters()["foreign"] == 3


def test_a_burst_that_is_lost_whole_is_passed_over_at_once() -> None:
    bench = Bench(sockets=True)
    packets = packets_of(bench, Codec.H264, [unit(n, 20) for n in range(600)])
    bench.give([packets[0], *packets[500:]])
    assert len(bench.rows()) == 101
    assert bench.flow.counters()["lost"] == 499


# time and end


def test_silence_ends_the_session() -> None:
    bench = Bench()
    bench.give(packets_of(bench, Codec.H264, UNITS))
    bench.flow.tick(bench.now_ns + FREEZE_NS)
    assert not bench.flow.end
    bench.flow.tick(bench.now_ns + FREEZE_NS + 1)
    assert bench.flow.end == _native.END_FROZEN


def test_silent_video_ends_the_session_although_sound_goes_on() -> None:
    bench = Bench()
    sound = bench.add(_native.PACKETS, 2, 8000)
    bench.give(packets_of(bench, Codec.H264, UNITS[:1]))
    for number in range(4):
        bench.now_ns += FREEZE_NS // 3
        bench.send(b"beep", number, track=sound)
    assert bench.flow.end == _native.END_NO_VIDEO


def test_goodbye_of_all_tracks_ends_the_session() -> None:
    bench = Bench()
    sound = bench.add(_native.PACKETS, 2, 8000)
    bench.give(packets_of(bench, Codec.H264, UNITS))
    report = rtcp.sender_report(SSRC, 10**18, 0, 1, 1, "cam")
    bench.give([rtcp.goodbye(report, 42)], rtcp=True)
    bench.give([rtcp.goodbye(report, SSRC)], rtcp=True)
    assert not bench.flow.end
    bench.give([rtcp.goodbye(report, SSRC + 1)], track=sound, rtcp=True)
    assert bench.flow.end == _native.END_BYE


def test_the_end_is_told_last() -> None:
    bench = Bench()
    bench.give(packets_of(bench, Codec.H264, UNITS))
    bench.flow.close()
    assert bench.flow.wait() == _native.LIVE | _native.ENDED
    assert bench.flow.frames == len(UNITS)
    assert bench.flow.bytes == sum(len(stored(each)) for each in UNITS)
    assert bench.flow.last_receipt_ns == bench.now_ns
    with pytest.raises(ValueError, match="over"):
        bench.flow.feed(b"", 0)


def test_nonsense_is_refused() -> None:
    bench = Bench()
    for wrong in (
        {"form": 9, "track": 1},
        {"form": _native.H264, "track": 4},
        {"form": _native.H264, "track": 1, "rate": 0},
        {"form": _native.AAC, "track": 2, "size_bits": 40},
    ):
        with pytest.raises(ValueError):
            bench.flow.add_track(**({"payload_type": 96, "rate": 90_000} | wrong))  # type: ignore[arg-type]
    with pytest.raises(ValueError):
        bench.flow.feed_packet(1, b"", 0)
    bench.add(_native.PACKETS, 2, 8000)
    bench.add(_native.PACKETS, 3, 8000)
    with pytest.raises(ValueError, match="at most"):
        bench.add(_native.PACKETS, 3, 8000)
