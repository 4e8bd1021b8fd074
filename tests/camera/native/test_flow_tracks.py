"""Several tracks and a full ring: what goes in, what is dropped; sound and metadata from their packets."""

from __future__ import annotations

import random

import pytest
from native_flows import KEY, LOST, STEP, UNITS, Bench, packets_of, payloads, stored, unit

from fovideo.camera import _native
from fovideo.media.codec import Codec
from fovideo.media.nal import xxh64

# a full ring


@pytest.mark.parametrize("shared", [True, False])
def test_a_full_ring_drops_whole_gops_and_says_how_many_frames(shared: bool) -> None:
    bench = Bench(ring_bytes=65_536, shared=shared)
    units = [unit(n, 6000, key=n % 5 == 0) for n in range(40)]
    bench.give(packets_of(bench, Codec.H264, units[:13], 1400))
    count = len(bench.rows())
    assert 0 < count < 13
    assert bench.flow.wait(0) & _native.PRESSURE
    bench.ring.release(bench.ring.head)
    for number in range(13, 20):
        bench.send(units[number][0], number * STEP, marker=True)
    rows = bench.rows()
    assert rows[0].payload == stored(units[15])
    assert (rows[0].flags, rows[0].value) == (KEY | LOST, 15 - count)
    assert [row.value for row in rows[1:]] == [0] * 4
    assert bench.flow.dropped_frames == 15 - count == bench.ring.dropped_units
    assert bench.flow.frames == 20


def test_a_session_needs_room_for_its_beginning() -> None:
    bench = Bench(ring_bytes=65_536)
    while bench.ring.push(b"x" * 100):
        pass
    while bench.ring.push(b""):
        pass
    bench.give(packets_of(bench, Codec.H264, UNITS[:1]))
    assert bench.flow.end == _native.END_NO_ROOM


def test_a_unit_larger_than_the_ring_is_dropped() -> None:
    bench = Bench(ring_bytes=65_536)
    units = [unit(1, 10, key=True), unit(2, 100_000), unit(3, 10), unit(4, 9, key=True)]
    bench.give(packets_of(bench, Codec.H264, units))
    assert [row.flags for row in bench.rows()] == [KEY, KEY | LOST]
    assert bench.rows()[1].value == 2


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("seed", range(20))
def test_any_mixture_of_tracks_arrives_whole_while_the_ring_goes_round(shared: bool, seed: int) -> None:
    chance = random.Random(seed)
    bench = Bench(ring_bytes=65_536, shared=shared)
    sound = bench.add(_native.PACKETS, 2, 8000)
    documents = bench.add(_native.DOCUMENTS, 3, 90_000)
    sent: dict[int, list[bytes]] = {1: [], 2: [], 3: []}
    got: dict[int, list[bytes]] = {1: [], 2: [], 3: []}
    for number in range(60):
        nals = unit(number, chance.randrange(1, 6000), key=number % 7 == 0)
        sent[1].append(stored(nals))
        packets = packets_of(bench, Codec.H264, [nals], chance.choice([60, 1400]))
        for packet in packets:
            bench.give([packet[:4] + (number * STEP).to_bytes(4, "big") + packet[8:]])
            if chance.random() < 0.2:
                sent[2].append(chance.randbytes(chance.randrange(1, 300)))
                bench.send(sent[2][-1], number, track=sound)
            if chance.random() < 0.1:
                sent[3].append(b"<doc>" * chance.randrange(1, 400))
                bench.send(sent[3][-1][:700], number, track=documents)
                bench.send(sent[3][-1][700:], number, track=documents, marker=True)
        for row in bench.rows():
            got[row.track].append(row.payload)
            if row.track != 1:
                assert row.digest == xxh64(row.payload)
                assert row.flags == KEY
        bench.ring.release(bench.ring.head)
    assert got == sent
    assert bench.ring.dropped_units == 0


# other tracks


def aac(*frames: bytes) -> bytes:
    heads = b"".join((len(frame) << 3).to_bytes(2, "big") for frame in frames)
    return (len(frames) * 16).to_bytes(2, "big") + heads + b"".join(frames)


def test_aac_frames_of_a_packet_get_times_of_their_own() -> None:
    bench = Bench(_native.AAC, rate=48_000)
    bench.report(10**18, 0)
    bench.send(aac(b"one", b"two2", b"three"), 0, marker=True)
    bench.send(aac(b"four"), 3 * 1024, marker=True)
    rows = bench.rows()
    assert [row.payload for row in rows] == [b"one", b"two2", b"three", b"four"]
    assert [row.pts_ns for row in rows] == [n * 1024 * 10**9 // 48_000 for n in range(4)]
    assert [row.wall_ns - 10**18 for row in rows] == [n * 1024 * 10**9 // 48_000 for n in range(4)]
    assert [row.flags for row in rows] == [KEY] * 4


def test_an_aac_frame_in_pieces() -> None:
    bench = Bench(_native.AAC, rate=48_000)
    head = b"\0\x10" + (3000 << 3).to_bytes(2, "big")
    for begin in (0, 1000, 2000):
        bench.send(head + bytes([begin // 1000]) * 1000, 0, marker=begin == 2000)
    bench.sequence[0] += 1  # a piece is lost
    bench.send(head + b"x" * 1000, 1024, marker=True)
    bench.send(aac(b"next"), 2048, marker=True)
    assert [(len(row.payload), row.flags) for row in bench.rows()] == [(3000, KEY), (4, KEY | LOST)]


@pytest.mark.parametrize(
    "payload", [b"", b"\0", b"\0\0", b"\xff\xff", b"\0\x10\x00", b"\0\x20\x00\x08\xff\xffx"]
)
def test_broken_aac_is_counted(payload: bytes) -> None:
    bench = Bench(_native.AAC, rate=48_000)
    bench.send(payload, 0, marker=True)
    assert len(payload) == 0 or bench.flow.counters()["malformed"] == 1


def test_documents_end_with_marker_or_closing_tag() -> None:
    bench = Bench(_native.DOCUMENTS)
    bench.send(b"<a>", 0)
    bench.send(b"</a>", 0, marker=True)
    bench.send(b"<tt:MetadataStream></tt:MetadataStream>\r\n", 1)
    bench.send(b"cut", 2)
    bench.send(b"whole", 3, marker=True)
    assert payloads(bench) == [b"<a></a>", b"<tt:MetadataStream></tt:MetadataStream>\r\n", b"cut", b"whole"]


def test_documents_do_not_grow_without_end() -> None:
    bench = Bench(_native.DOCUMENTS, ring_bytes=1 << 22)
    for _ in range(40):
        bench.send(b"x" * 60_000, 0)
    assert max(len(payload) for payload in payloads(bench)) <= 1 << 20
    assert bench.flow.counters()["malformed"] == 2
