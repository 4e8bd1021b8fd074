"""Recorded footage over RTSP: ranges, pace, pausing, ONVIF replay. Seen from a socket."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice, pairwise

import depacketise
import pytest
from memory_timeline import MemoryTimeline
from rtsp_client import Response, RtpPacket, RtspClient
from streams import FRAME_NS, T0_NS, Made, audio, metadata, video

from fovideo.errors import NoSuchStream, UsageError
from fovideo.media.codec import Codec
from fovideo.media.nal import digest_video, iter_nals, parameter_sets
from fovideo.replay import RtspServer, Settings, TimelineSource
from fovideo.replay.rtp import rtcp
from fovideo.replay.rtsp.sdp import clock_text

S = 1_000_000_000
FRAMES = 50
BYE = b"\x81\xcb\x00\x01"


def later(made: Made, by_ns: int) -> Made:
    frames = made.frames.copy()
    frames["time_ns"] += by_ns
    frames["dts_ns"] += by_ns
    return made._replace(frames=frames)


@pytest.fixture
def timeline() -> MemoryTimeline:
    made = MemoryTimeline()
    made.record(video(Codec.H264, FRAMES), audio(Codec.AAC, 2), metadata())
    return made


@pytest.fixture
def server(timeline: MemoryTimeline) -> Iterator[RtspServer]:
    with RtspServer(settings=Settings(end_grace_s=0.05)) as running:
        running.add_stream("rec", TimelineSource(timeline, "gate"))
        yield running


@pytest.fixture
def client(server: RtspServer) -> Iterator[RtspClient]:
    with RtspClient(server.url("rec")) as connected:
        yield connected


def play(client: RtspClient, **headers: str) -> Response:
    """Set up the video and play it as fast as it comes, unless told otherwise."""
    session = client.setup(1, channel=0).session
    return client.request("PLAY", Session=session, **({"Rate_Control": "no"} | headers))


def units(packets: Iterator[RtpPacket]) -> Iterator[tuple[RtpPacket, list[bytes]]]:
    """(first packet, NAL units) of each access unit."""
    held: list[RtpPacket] = []
    for packet in packets:
        held.append(packet)
        if packet.marker:
            yield held[0], depacketise.h264(each.payload for each in held)
            held = []


def numbers(packets: Iterator[RtpPacket], made: Made | None = None) -> list[int]:
    """Which frames of the recording come, until the connection closes."""
    places = {
        int(digest): at for at, digest in enumerate((made or video(Codec.H264, FRAMES)).frames["digest"])
    }
    out = []
    for _, nals in units(packets):
        sample = b"".join(len(nal).to_bytes(4, "big") + nal for nal in nals)
        out.append(places[digest_video(sample, Codec.H264)])
    return out


def at(frame: float) -> int:
    return T0_NS + int(frame * FRAME_NS)


def test_the_description_tells_tracks_and_extent(client: RtspClient) -> None:
    body = client.request("DESCRIBE").body
    assert "a=range:npt=0-2.000" in body
    assert f"a=range:clock={clock_text(T0_NS)}-{clock_text(T0_NS + 2 * S)}" in body
    assert body.count("m=") == 3


@pytest.mark.parametrize(
    ("wish", "first", "last", "answer"),
    [
        ("npt=0-", 0, 49, "npt=0.000000-2.000000"),
        ("npt=0.5-", 10, 49, "npt=0.400000-2.000000"),
        ("npt=0.5-1.0", 10, 24, "npt=0.400000-1.000000"),
        ("npt=1.6-99", 40, 49, "npt=1.600000-99.000000"),
    ],
)
def test_ranges_in_seconds(client: RtspClient, wish: str, first: int, last: int, answer: str) -> None:
    assert play(client, Range=wish).headers["range"] == answer
    assert numbers(client.rtp()) == list(range(first, last + 1))


def test_ranges_in_absolute_time(client: RtspClient) -> None:
    response = play(client, Range=f"clock={clock_text(at(17))}-{clock_text(at(33))}")
    assert response.headers["range"] == f"clock={clock_text(at(10))}-{clock_text(at(33))}"
    assert numbers(client.rtp()) == list(range(10, 33))


def test_without_a_range_all_is_played_and_a_goodbye_said(client: RtspClient) -> None:
    play(client)
    packets = list(client.interleaved())
    assert packets[-1][0] == 1
    assert packets[-1][1][-8:-4] == BYE


@pytest.mark.parametrize(
    "wish", ["npt=2-", "npt=now-", "clock=20200101T000000Z-20200102T000000Z", "clock=20300101T000000Z-"]
)
def test_ranges_outside_of_the_recording(client: RtspClient, wish: str) -> None:
    assert play(client, Range=wish).status == 457


def test_a_range_in_a_gap_has_nothing(client: RtspClient, timeline: MemoryTimeline) -> None:
    timeline.record(later(video(Codec.H264, FRAMES), 3600 * S))
    assert (
        play(client, Range=f"clock={clock_text(T0_NS + 60 * S)}-{clock_text(T0_NS + 90 * S)}").status == 457
    )


def test_pace(client: RtspClient) -> None:
    """Not timed here: a second client at full pace overtakes one that plays slowly."""
    with RtspClient(client.url) as slow:
        play(slow, Scale="0.01", Rate_Control="yes")
        assert play(client).headers["rate-control"] == "no"
        assert numbers(client.rtp()) == list(range(FRAMES))
        slow.socket.setblocking(False)
        got = b""
        try:
            while data := slow.socket.recv(65536):
                got += data
        except BlockingIOError:
            pass
        assert BYE not in got


@pytest.mark.parametrize(("header", "step"), [("Scale", 900), ("Speed", 3600)])
def test_scale_compresses_rtp_time_and_speed_does_not(client: RtspClient, header: str, step: int) -> None:
    response = play(client, Rate_Control="yes", **{header: "4"})
    assert response.headers[header.lower()] == "4"
    times = [first.time for first, _ in islice(units(client.rtp()), 20)]
    assert {after - before & 0xFFFFFFFF for before, after in pairwise(times)} == {step}


def test_rtp_info_tells_the_first_packet(client: RtspClient) -> None:
    response = play(client, Range="npt=0.5-")
    info = dict(part.split("=", 1) for part in response.headers["rtp-info"].split(";"))
    packet = next(client.rtp())
    assert (packet.sequence, packet.time) == (int(info["seq"]), int(info["rtptime"]))


def test_pause_holds_and_play_goes_on_with_the_next_frame(client: RtspClient) -> None:
    session = client.setup(1, channel=0).session
    client.request("PLAY", Session=session, Speed="2")
    before = list(islice(client.rtp(), 5))
    assert client.request("PAUSE", Session=session).status == 200
    client.request("PLAY", Session=session, Rate_Control="no")
    packets = before + list(client.rtp())
    assert [after.sequence - first.sequence & 0xFFFF for first, after in pairwise(packets)] == [1] * (
        len(packets) - 1
    )
    assert numbers(iter(packets)) == list(range(FRAMES))


def test_seek_while_playing(client: RtspClient) -> None:
    session = client.setup(1, channel=0).session
    client.request("PLAY", Session=session, Speed="0.1")
    next(client.rtp())
    client.request("PLAY", Session=session, Range="npt=1.2-1.6", Rate_Control="no")
    assert numbers(client.rtp())[-10:] == list(range(30, 40))


def test_a_client_that_reads_slowly_gets_everything(timeline: MemoryTimeline) -> None:
    settings = Settings(send_buffer_bytes=20_000, backlog_bytes=20_000, end_grace_s=0.05)
    for number in range(1, 10):
        timeline.record(later(video(Codec.H264, FRAMES), number * FRAMES * FRAME_NS))
    with RtspServer(settings=settings) as server:
        url = server.add_stream("rec", TimelineSource(timeline, "gate", speed=None))
        with RtspClient(url, receive_bytes=4096) as client:
            client.request("PLAY", Session=client.setup(1, channel=0).session)
            got = numbers(client.rtp())
    assert got == list(range(FRAMES)) * 10


def test_all_tracks_at_once(client: RtspClient) -> None:
    session = client.setup(1, channel=0).session
    client.setup(2, channel=2, session=session)
    client.setup(3, channel=4, session=session)
    client.request("PLAY", Session=session, Rate_Control="no")
    by_channel: dict[int, list[RtpPacket]] = {0: [], 2: [], 4: []}
    for packet in client.rtp():
        by_channel[packet.channel].append(packet)
    assert numbers(iter(by_channel[0])) == list(range(FRAMES))
    assert [packet.payload[4:] for packet in by_channel[2]] == audio(Codec.AAC, 2).payloads
    assert [packet.payload for packet in by_channel[4]] == metadata().payloads


def test_after_a_gap_a_report_tells_the_time_at_once(client: RtspClient, timeline: MemoryTimeline) -> None:
    timeline.record(later(video(Codec.H264, FRAMES), 3600 * S))
    play(client)
    times: list[int] = []
    reports: list[tuple[int, int]] = []
    for channel, data in client.interleaved():
        if channel == 0:
            times.append(int.from_bytes(data[4:8], "big"))
        elif BYE not in data:
            reports.append((int.from_bytes(data[8:16], "big"), int.from_bytes(data[16:20], "big")))
    (first, ticks), (second, later_ticks) = reports
    assert (second >> 32) - (first >> 32) in (3599, 3600, 3601)
    assert later_ticks - ticks & 0xFFFFFFFF < 90_000 * 4
    assert max(after - before & 0xFFFFFFFF for before, after in pairwise(times)) == 3600


def test_onvif_replay(client: RtspClient, timeline: MemoryTimeline) -> None:
    timeline.record(later(video(Codec.H264, FRAMES), 3600 * S))
    headers = {"Require": "onvif-replay", "Transport": "RTP/AVP/TCP;unicast;interleaved=0-1"}
    setup = client.request("SETUP", f"{client.url}/trackID=1", **headers)
    client.request("PLAY", Session=setup.session, Require="onvif-replay", Rate_Control="no", Range="npt=0-")
    cseq = client.cseq
    extensions = []
    for packet in client.rtp():
        if packet.head[0] & 0x10:
            head = packet.payload
            assert head[:4] == b"\xab\xac\x00\x03"
            extensions.append((int.from_bytes(head[4:12], "big"), head[12], head[13]))
    times = video(Codec.H264, FRAMES).frames["time_ns"].tolist()
    wanted = [rtcp.ntp64(time) for time in times + [time + 3600 * S for time in times]]
    assert [ntp for ntp, _, _ in extensions] == wanted
    assert {number for _, _, number in extensions} == {cseq & 0xFF}
    keys = [bool(bits & 0x80) for _, bits, _ in extensions]
    assert keys == [place % 10 == 0 for place in range(2 * FRAMES)]
    assert [place for place, (_, bits, _) in enumerate(extensions) if bits & 0x40] == [
        FRAMES - 1,
        2 * FRAMES - 1,
    ]
    assert [place for place, (_, bits, _) in enumerate(extensions) if bits & 0x20] == [FRAMES]
    assert [place for place, (_, bits, _) in enumerate(extensions) if bits & 0x10] == [2 * FRAMES - 1]


def test_parameter_sets_that_changed_go_before_the_keyframe(timeline: MemoryTimeline) -> None:
    """The second half comes from a session whose parameter sets differ, and are not in the stream."""
    second = later(video(Codec.H264, FRAMES, b_frames=2), FRAMES * FRAME_NS)
    payloads = [_without_sets(payload) for payload in second.payloads]
    frames = second.frames.copy()
    frames["flags"] &= 1
    frames["size"] = [len(payload) for payload in payloads]
    timeline.record(second._replace(frames=frames, payloads=payloads), session="aa" * 8)
    with RtspServer(settings=Settings(end_grace_s=0.05)) as server:
        url = server.add_stream("rec", TimelineSource(timeline, "gate", speed=None))
        with RtspClient(url) as client:
            client.request("PLAY", Session=client.setup(1, channel=0).session)
            samples = [
                b"".join(len(nal).to_bytes(4, "big") + nal for nal in nals) for _, nals in units(client.rtp())
            ]
    assert len(samples) == 2 * FRAMES
    for place in range(FRAMES, 2 * FRAMES):
        wanted = second.track.parameter_sets if place % 10 == 0 else ()
        assert parameter_sets(samples[place], Codec.H264) == wanted


def _without_sets(sample: bytes) -> bytes:
    kept = [bytes(nal) for nal in iter_nals(sample) if nal[0] & 31 not in (7, 8)]
    return b"".join(len(nal).to_bytes(4, "big") + nal for nal in kept)


def test_a_damaged_row_is_passed_over(client: RtspClient, timeline: MemoryTimeline) -> None:
    serial = timeline.rows[2].serial
    timeline.data[serial] = timeline.data[serial][:-1]
    play(client)
    assert numbers(client.rtp()) == [*range(20), *range(30, FRAMES)]


def test_what_cannot_be_served(timeline: MemoryTimeline) -> None:
    with pytest.raises(NoSuchStream):
        TimelineSource(timeline, "door")
    for speed in (0.0, -1.0, 1e9):
        with pytest.raises(UsageError):
            TimelineSource(timeline, "gate", speed=speed)


def test_a_stretch_without_footage_is_not_found(timeline: MemoryTimeline) -> None:
    with RtspServer() as server:
        url = server.add_stream("rec", TimelineSource(timeline, "gate", 0, S))
        with RtspClient(url) as client:
            assert client.request("DESCRIBE").status == 404


@pytest.mark.parametrize("tell", [RtspServer.remove, RtspServer.cut])
def test_ending_it_from_outside(
    server: RtspServer, client: RtspClient, tell: Callable[[RtspServer, str], None]
) -> None:
    play(client, Rate_Control="yes", Speed="0.01")
    next(client.rtp())
    tell(server, "rec")
    assert server.players() == 0
