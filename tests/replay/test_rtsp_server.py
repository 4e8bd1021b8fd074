"""The RTSP server, seen from a socket: methods and states, errors, transports, clients that misbehave."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Iterator
from itertools import islice, pairwise

import depacketise
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rtsp_client import RtpPacket, RtspClient
from waiting import wait_until

from fovideo.errors import UsageError
from fovideo.media.codec import Codec
from fovideo.media.marker import read_marker
from fovideo.replay import Clip, LoopSource, RtspServer, Settings

Clips = Callable[..., Clip]


@pytest.fixture
def server() -> Iterator[RtspServer]:
    with RtspServer() as running:
        yield running


@pytest.fixture
def camera(server: RtspServer, clip: Clips) -> LoopSource:
    source = LoopSource(clip(audio="aac"), marker=1)
    server.add_stream("cam0", source)
    return source


@pytest.fixture
def client(server: RtspServer, camera: LoopSource) -> Iterator[RtspClient]:
    with RtspClient(server.url("cam0")) as connected:
        yield connected


def test_a_whole_session(server: RtspServer, client: RtspClient) -> None:
    assert "PLAY" in client.request("OPTIONS").headers["public"]
    description = client.request("DESCRIBE", Accept="application/sdp")
    assert description.headers["content-type"] == "application/sdp"
    assert description.headers["content-base"] == client.url + "/"
    assert "a=control:trackID=1" in description.body
    first = client.setup(1, channel=0)
    assert first.headers["transport"].startswith("RTP/AVP/TCP;unicast;interleaved=0-1;ssrc=")
    assert first.headers["session"].endswith(";timeout=60")
    assert client.setup(2, channel=2, session=first.session).session == first.session
    played = client.request("PLAY", Session=first.session, Range="npt=0-")
    assert played.headers["range"] == "npt=now-"
    info = dict(part.split("=", 1) for part in played.headers["rtp-info"].split(",")[0].split(";"))
    assert info["url"] == client.url + "/trackID=1"
    packet = next(packet for packet in client.rtp() if packet.channel == 0)
    assert packet.sequence == int(info["seq"])
    assert f"{packet.ssrc:08X}" in first.headers["transport"]
    assert server.players("cam0") == 1
    assert client.request("GET_PARAMETER", Session=first.session).status == 200
    assert client.request("TEARDOWN", Session=first.session).status == 200
    assert client.request("PLAY", Session=first.session).status == 454
    assert server.players() == 0


def test_sender_reports_follow_the_first_packets_at_once(client: RtspClient) -> None:
    session = client.setup(1, channel=0).session
    client.request("PLAY", Session=session)
    channels = [channel for channel, _ in islice(client.interleaved(), 30)]
    assert channels[0] == 0
    assert 1 in channels


@pytest.mark.parametrize(("first_s", "count"), [(None, 0), (3600.0, 0), (0.0, 1)])
def test_sender_reports_can_be_late_or_never(clip: Clips, first_s: float | None, count: int) -> None:
    with RtspServer(settings=Settings(first_sender_report_s=first_s)) as server:
        url = server.add_stream("x", LoopSource(clip(), fps=100))
        with RtspClient(url) as client:
            client.request("PLAY", Session=client.setup(1, channel=0).session)
            assert sum(channel == 1 for channel, _ in islice(client.interleaved(), 60)) == count


def test_packets_carry_whole_access_units_in_order(client: RtspClient, camera: LoopSource) -> None:
    client.request("PLAY", Session=client.setup(1, channel=0).session)
    numbers, payloads = [], list[bytes]()
    for packet in client.rtp():
        payloads.append(packet.payload)
        if packet.marker:
            sample = b"".join(len(nal).to_bytes(4, "big") + nal for nal in depacketise.h264(payloads))
            marker = read_marker(sample, Codec.H264)
            assert marker is not None
            numbers.append(marker[1])
            payloads.clear()
        if len(numbers) == 20:
            break
    assert numbers == list(range(numbers[0], numbers[0] + 20))


def test_pause_and_play_again(server: RtspServer, client: RtspClient) -> None:
    session = client.setup(1).session
    first = client.request("PLAY", Session=session)
    assert client.request("PLAY", Session=session).status == 200, "a PLAY while playing keeps alive"
    next(client.rtp())
    assert client.request("PAUSE", Session=session).status == 200
    assert server.players() == 0
    again = client.request("PLAY", Session=session)
    assert again.headers["rtp-info"] != first.headers["rtp-info"]
    next(client.rtp())


def test_a_single_track_by_its_own_url(client: RtspClient) -> None:
    session = client.setup(2).session
    played = client.request("PLAY", f"{client.url}/trackID=2", Session=session)
    assert f"url={client.url}/trackID=2;" in played.headers["rtp-info"]


def test_one_of_two_tracks_can_be_taken_down(client: RtspClient) -> None:
    session = client.setup(1, channel=0).session
    client.setup(2, channel=2, session=session)
    assert client.request("PLAY", f"{client.url}/trackID=1", Session=session).status == 460
    assert client.request("TEARDOWN", f"{client.url}/trackID=2", Session=session).status == 200
    client.request("PLAY", Session=session)
    assert {channel for channel, _ in islice(client.interleaved(), 60)} == {0, 1}


def test_taken_channels_are_replaced(client: RtspClient) -> None:
    session = client.setup(1, channel=0).session
    assert "interleaved=2-3" in client.setup(2, channel=1, session=session).headers["transport"]


def test_errors_have_their_status(server: RtspServer, client: RtspClient) -> None:
    request = client.request
    assert request("FOO").status == 501
    assert request("RECORD").status == 405
    assert request("DESCRIBE", server.url("absent")).status == 404
    assert request("DESCRIBE", "rtsp://[x/cam0").status == 400
    assert request("DESCRIBE", Accept="text/html").status == 406
    assert request("OPTIONS", Require="magic").headers["unsupported"] == "magic"
    assert request("SETUP", Transport="RTP/AVP/TCP").status == 459
    assert client.setup(9).status == 404
    assert request("SETUP", client.url + "/trackID=1", Transport="RTP/SAVP").status == 461
    assert request("PLAY").status == 454
    assert request("PLAY", Session="0123456789abcdef").status == 454
    session = client.setup(1).session
    assert client.setup(1, session=session).status == 455
    assert request("PLAY", Session=session, Range="smpte=0-").status == 457
    assert request("PLAY", Session=session, Range="npt=10-").status == 457
    assert request("PLAY", Session=session, Range="clock=20260101T000000Z-").status == 457
    assert request("PLAY", Session=session, Scale="-2").status == 456
    assert request("PLAY", Session=session).status == 200
    assert client.setup(2, session=session).status == 455
    client.cseq = -2
    client.send(b"GET_PARAMETER * RTSP/1.0\r\nCSeq: 1\r\nContent-Length: 8\r\n\r\nposition")
    assert client.response().status == 451
    assert client.request("OPTIONS").status == 400, "a CSeq is a number"
    client.send(b"OPTIONS * RTSP/1.0\r\n\r\n")
    assert client.response().status == 400
    assert server.counters.bad_requests >= 18


def test_requests_that_arrive_in_pieces_or_together(client: RtspClient) -> None:
    client.send(b"OPTIONS * RT")
    client.send(b"SP/1.0\r\nCSeq: 7\r\n\r\nOPTIONS * RTSP/1.0\r\nCSeq: 8\r\n\r\n")
    assert [client.response().headers["cseq"] for _ in range(2)] == ["7", "8"]


@settings(max_examples=30)
@given(garbage=st.binary(min_size=1, max_size=200))
def test_garbage_ends_its_connection_and_nothing_else(
    garbage_server: tuple[RtspServer, str], garbage: bytes
) -> None:
    _, url = garbage_server
    with RtspClient(url) as bad, RtspClient(url) as good:
        bad.send(garbage.replace(b"$", b"x") + b"\n\n")
        bad.socket.shutdown(socket.SHUT_WR)
        assert bad.is_closed()
        assert good.request("DESCRIBE").status == 200


@pytest.fixture(scope="module")
def garbage_server(clip: Clips) -> Iterator[tuple[RtspServer, str]]:
    with RtspServer() as server:
        yield server, server.add_stream("cam0", LoopSource(clip()))


TOO_MUCH = b"OPTIONS * RTSP/1.0\r\n" + b"a: b\r\n" * 9999


@pytest.mark.parametrize("raw", [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x00\n", TOO_MUCH])
def test_what_is_no_rtsp_is_told_so_and_closed(client: RtspClient, raw: bytes) -> None:
    client.send(raw)
    response = client.response()
    assert response.status in (400, 413)
    assert response.headers["connection"] == "close"
    assert client.is_closed()


@pytest.mark.parametrize(("scheme", "words"), [("digest", ["Digest"]), ("basic", ["Basic"])])
def test_without_password_there_is_a_challenge(clip: Clips, scheme: str, words: list[str]) -> None:
    with RtspServer(user="u", password="secret", schemes=(scheme,)) as server:  # type: ignore[arg-type]
        url = server.add_stream("cam0", LoopSource(clip()))
        with RtspClient(url) as client:
            assert client.request("OPTIONS").status == 200
            refused = client.request("DESCRIBE")
            assert refused.status == 401
            assert [line.split()[1] for line in refused.lines if line.startswith("WWW-")] == words
            assert client.request("DESCRIBE", Authorization="Basic eDp5").status == 401
            assert client.request("SETUP", Transport="RTP/AVP/TCP").status == 401
            assert server.counters.unauthorized == 3


def _udp_pair() -> tuple[socket.socket, socket.socket, int]:
    """Two sockets on an even port and the one after it."""
    for port in range(41_000, 60_000, 2):
        pair = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
        try:
            for at, each in enumerate(pair):
                each.settimeout(20)
                each.bind(("127.0.0.1", port + at))
            return pair[0], pair[1], port
        except OSError:
            for each in pair:
                each.close()
    raise AssertionError("no free ports")


def test_udp(server: RtspServer, client: RtspClient) -> None:
    rtp, rtcp, port = _udp_pair()
    with rtp, rtcp:
        transport = f"RTP/AVP;unicast;client_port={port}-{port + 1}"
        setup = client.request("SETUP", f"{client.url}/trackID=1", Transport=transport)
        match = setup.headers["transport"].split("server_port=")[1].split(";")[0].split("-")
        assert (int(match[0]) % 2, int(match[1]) - int(match[0])) == (0, 1)
        client.request("PLAY", Session=setup.session)
        packet, sender = rtp.recvfrom(2000)
        assert (packet[0], sender[1]) == (0x80, int(match[0]))
        report = rtcp.recv(2000)
        assert report[1] == 200
        client.close()
        rtp.recv(2000)
        assert server.players() == 1, "a UDP session outlives its RTSP connection"


def test_a_udp_client_that_is_gone_is_noticed(server: RtspServer, clip: Clips) -> None:
    url = server.add_stream("fast", LoopSource(clip(), fps=200))
    rtp, rtcp, port = _udp_pair()
    with RtspClient(url) as client:
        with rtp, rtcp:
            transport = f"RTP/AVP;unicast;client_port={port}-{port + 1}"
            session = client.request("SETUP", f"{url}/trackID=1", Transport=transport).session
            client.request("PLAY", Session=session)
            rtp.recv(2000)
        wait_until(lambda: server.players() == 0, "the session to end")


def test_silent_udp_sessions_time_out_and_rtcp_keeps_them(clip: Clips) -> None:
    with RtspServer(settings=Settings(session_timeout_s=2)) as server:
        url = server.add_stream("x", LoopSource(clip()))
        rtp, rtcp, port = _udp_pair()
        with rtp, rtcp, RtspClient(url) as client:
            transport = f"RTP/AVP;unicast;client_port={port}-{port + 1}"
            setup = client.request("SETUP", f"{url}/trackID=1", Transport=transport)
            client.request("PLAY", Session=setup.session)
            server_rtcp = int(setup.headers["transport"].split("server_port=")[1].split(";")[0].split("-")[1])
            receiver_report = struct.pack(">BBHI", 0x80, 201, 1, 1)
            for _ in range(60):  # longer than the timeout
                rtp.recv(2000)
                rtcp.sendto(receiver_report, ("127.0.0.1", server_rtcp))
            assert server.players() == 1
            wait_until(lambda: server.players() == 0, "the session to time out")
            rtcp.settimeout(20)
            while b"\x81\xcb\x00\x01" not in rtcp.recv(2000):
                pass  # sender reports before the goodbye


def test_idle_connections_end(clip: Clips) -> None:
    with RtspServer(settings=Settings(session_timeout_s=0.2)) as server:
        url = server.add_stream("x", LoopSource(clip()))
        with RtspClient(url) as client:
            assert client.is_closed()


def test_a_client_that_stops_reading_loses_frames_alone(clip: Clips) -> None:
    with RtspServer(
        settings=Settings(backlog_bytes=50_000, send_buffer_bytes=50_000, stall_s=3600)
    ) as server:
        url = server.add_stream("x", LoopSource(clip(), fps=1000, marker=1))
        with RtspClient(url, receive_bytes=4096) as stalled, RtspClient(url) as good:
            stalled.request("PLAY", Session=stalled.setup(1).session)
            good.request("PLAY", Session=good.setup(1).session)
            numbers = [packet.sequence for packet in _until_dropped(server, good)]
            assert all(after - before & 0xFFFF == 1 for before, after in pairwise(numbers))
            last, (number, is_key) = _units(stalled)[-2:]
            assert number > last[0] + 1, "frames were dropped"
            assert is_key, "and what follows is a keyframe"


def _until_dropped(server: RtspServer, client: RtspClient) -> Iterator[RtpPacket]:
    for packet in client.rtp():
        yield packet
        if server.counters.dropped_units > 100:
            return


def _units(client: RtspClient) -> list[tuple[int, bool]]:
    """(number, is it a keyframe) of the units that a client gets, until they skip."""
    out: list[tuple[int, bool]] = []
    payloads: list[bytes] = []
    for packet in client.rtp():
        payloads.append(packet.payload)
        if not packet.marker:
            continue
        nals = depacketise.h264(payloads)
        marker = read_marker(b"".join(len(nal).to_bytes(4, "big") + nal for nal in nals), Codec.H264)
        assert marker is not None
        out.append((marker[1], any(nal[0] & 31 == 5 for nal in nals)))
        payloads.clear()
        if len(out) > 1 and out[-1][0] != out[-2][0] + 1:
            return out
    return out


def test_a_client_that_stalls_for_good_is_cut_off(clip: Clips) -> None:
    with RtspServer(
        settings=Settings(backlog_bytes=50_000, send_buffer_bytes=50_000, stall_s=0.05)
    ) as server:
        url = server.add_stream("x", LoopSource(clip(), fps=1000))
        with RtspClient(url, receive_bytes=4096) as stalled:
            stalled.request("PLAY", Session=stalled.setup(1).session)
            wait_until(lambda: server.counters.stalled_clients, "the stall to be noticed")
            wait_until(lambda: server.players() == 0, "the session to end")


def test_removed_streams_say_goodbye(server: RtspServer, client: RtspClient) -> None:
    client.request("PLAY", Session=client.setup(1, channel=0).session)
    next(client.rtp())
    server.remove("cam0")
    assert any(channel == 1 and data[-8:-4] == b"\x81\xcb\x00\x01" for channel, data in client.interleaved())
    assert client.request("DESCRIBE").status == 404


def test_cut_resets_connections_without_a_word(server: RtspServer, client: RtspClient) -> None:
    client.request("PLAY", Session=client.setup(1, channel=0).session)
    next(client.rtp())
    server.cut("cam0")
    assert client.is_closed()
    wait_until(lambda: server.players() == 0, "the session to end")


def test_the_end_of_a_stream(server: RtspServer, clip: Clips) -> None:
    url = server.add_stream("once", LoopSource(clip(), loop=False, fps=100))
    with RtspClient(url) as client:
        session = client.setup(1, channel=0).session
        client.request("PLAY", Session=session)
        for channel, data in client.interleaved():
            if channel == 1 and data[-8:-4] == b"\x81\xcb\x00\x01":
                break
        assert client.request("TEARDOWN", Session=session).status == 200


def test_a_connection_is_closed_some_time_after_the_end(clip: Clips) -> None:
    with RtspServer(settings=Settings(end_grace_s=0.05)) as server:
        url = server.add_stream("once", LoopSource(clip(), loop=False, fps=100))
        with RtspClient(url) as client:
            client.request("PLAY", Session=client.setup(1, channel=0).session)
            *_, (channel, last) = client.interleaved()
    assert channel == 1
    assert last[-8:-4] == b"\x81\xcb\x00\x01"


def test_limits(clip: Clips) -> None:
    with RtspServer(settings=Settings(max_sessions=1, max_connections=2)) as server:
        url = server.add_stream("x", LoopSource(clip()))
        with RtspClient(url) as one, RtspClient(url) as two:
            assert one.setup(1).status == 200
            assert two.setup(1).status == 453
            with RtspClient(url) as three:
                assert three.response().status == 503
                assert three.is_closed()


def test_an_address_in_use(server: RtspServer) -> None:
    with pytest.raises(UsageError, match="choose another port"):
        RtspServer(port=server.port).start()


def test_start_and_close(clip: Clips) -> None:
    server = RtspServer()
    server.close()
    server.start()
    with pytest.raises(UsageError):
        server.start()
    with RtspClient(server.add_stream("x", LoopSource(clip()))) as client:
        client.request("PLAY", Session=client.setup(1).session)
        next(client.rtp())
        server.close()
        assert client.is_closed()
    server.close()
    server.cut()
    server.remove("x")


def test_ipv6(clip: Clips) -> None:
    try:
        server = RtspServer("::1").start()
    except UsageError:
        pytest.skip("no IPv6 on this machine")
    try:
        with RtspClient(server.add_stream("x", LoopSource(clip()))) as client:
            assert "IN IP6 ::1" in client.request("DESCRIBE").body
    finally:
        server.close()


def test_urls_with_odd_paths(server: RtspServer, clip: Clips) -> None:
    url = server.add_stream("/site a/trackID=1/", LoopSource(clip())).replace(" ", "%20")
    with RtspClient(url) as client:
        assert client.request("DESCRIBE", url + "/?x=y").status == 200
        assert client.request("SETUP", url, Transport="RTP/AVP/TCP").status == 200
