"""Footage that lies elsewhere: files, and a camera's own recording over RTSP replay, as sources of merges."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import gst_cameras
import pytest
from cutting_proxy import cutting_proxy
from footage import session
from scripted_camera import Server
from served import bytes_of
from tls import CERTIFICATE, KEY

from fovideo.errors import CameraError, UsageError
from fovideo.media.frames import Clock
from fovideo.merge import merge
from fovideo.record.edge import file_footage, replayed_footage
from fovideo.replay import LoopSource, RtspServer, TimelineSource, make_clip
from fovideo.segment import decode_table, fragments, samples
from fovideo.store import Store
from fovideo.timeline.endpoint import Timeline
from fovideo.times import NS_PER_MS, NS_PER_S, parse_ns

START_NS = parse_ns("2026-11-22T08:30:00Z")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clip") / "gate.mp4"
    make_clip(path, width=160, height=96, seconds=12, gop=25, b_frames=2, audio="aac", seed=3)
    return path


@pytest.fixture
def card(clip: Path, tmp_path: Path) -> Iterator[Store]:
    """The camera's own memory: twelve seconds from START_NS on."""
    with Store.open(tmp_path / "card", write=True, create=True) as store:
        with file_footage(clip, "gate", at_ns=START_NS) as footage:
            merge(footage, store)
        yield store


@pytest.fixture
def camera(card: Store) -> Iterator[RtspServer]:
    with RtspServer(user="admin", password="hush") as server:
        server.add_stream("replay", TimelineSource(card, "gate"))
        yield server


def address(camera: RtspServer, port: int = 0, password: str = "hush") -> str:
    return f"rtsp://admin:{password}@127.0.0.1:{port or camera.port}/replay"


def times(store: Store) -> list[tuple[int, int]]:
    found = []
    for row in store.gops("gate"):
        table = store.frames("gate", row)
        video = table[table["track"] == 1]
        found += list(zip(video["time_ns"].tolist(), video["digest"].tolist(), strict=True))
    return sorted(found)


def test_a_file_has_the_time_that_it_is_given(card: Store) -> None:
    (info,) = card.streams()
    assert (info.frames, info.start_ns) == (300, START_NS)
    assert len(info.tracks) == 2
    assert card.check().sound


def test_a_replay_fills_a_gap(camera: RtspServer, card: Store, tmp_path: Path) -> None:
    told: list[str] = []
    with Store.open(tmp_path / "server", write=True, create=True) as server:
        merge(card, server, to_ns=START_NS + 4 * NS_PER_S)
        merge(card, server, from_ns=START_NS + 9 * NS_PER_S)
        assert len(times(server)) < 250
        from_ns, to_ns = START_NS + 3 * NS_PER_S, START_NS + 10 * NS_PER_S
        with replayed_footage(
            address(camera), "gate", from_ns=from_ns, to_ns=to_ns, on_retry=told.append
        ) as footage:
            (origin,) = {each.source for each in footage.provenances("gate").values()}
            assert origin == f"rtsp://127.0.0.1:{camera.port}/replay"
            report = merge(footage, server).streams[0]
        assert told == []
        assert report.inserted_frames + len(times(card)) - 300 >= 100
        assert abs(report.clock_offset_ns) <= NS_PER_MS
        assert [digest for _, digest in times(server)] == [digest for _, digest in times(card)]
        off = [abs(here - there) for (here, _), (there, _) in zip(times(server), times(card), strict=True)]
        assert max(off) <= NS_PER_MS
        assert merge(card, server).streams[0].inserted_frames == 0


def test_what_is_replayed_did_not_arrive_when_it_is_replayed(
    camera: RtspServer, card: Store, tmp_path: Path
) -> None:
    """The server recorded live, days before."""
    with Store.open(tmp_path / "server", write=True, create=True) as server:
        rows = card.gops("gate")
        for number, part in enumerate((rows[:4], rows[9:])):
            with server.writer("gate", session(number + 1)) as writer:
                writer.set_format(card.tracks("gate", rows[0]))
                for row in part:
                    data = bytes_of(card.read("gate", row))
                    at = 0
                    for fragment in fragments(data):
                        frames = fragment.frames.copy()
                        frames["receipt_ns"] = frames["time_ns"] + 5 * NS_PER_MS
                        frames["clock"] = Clock.SENDER_REPORT
                        writer.append(frames, samples(fragment, data, at), epoch=0)
                        at += fragment.size_bytes
        from_ns, to_ns = START_NS + 3 * NS_PER_S, START_NS + 10 * NS_PER_S
        with replayed_footage(
            address(camera), "gate", from_ns=from_ns, to_ns=to_ns, on_retry=lambda text: None
        ) as footage:
            for row in footage.gops("gate"):
                assert not decode_table(row.table)["receipt_ns"].any()
            report = merge(footage, server).streams[0]
        assert abs(report.clock_offset_ns) <= NS_PER_MS
        assert not report.missing
        assert {digest for _, digest in times(server)} == {digest for _, digest in times(card)}


def test_a_replay_over_tls(card: Store, tmp_path: Path) -> None:
    """Of a camera that signed its own certificate, as most do."""
    pem = tmp_path / "camera.pem"
    pem.write_text(KEY + CERTIFICATE)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    told: list[str] = []
    with (
        RtspServer(user="admin", password="hush", tls=context) as secured,
        Store.open(tmp_path / "server", write=True, create=True) as server,
    ):
        url = secured.add_stream("replay", TimelineSource(card, "gate"))
        assert url.startswith("rtsps://")
        url = url.replace("127.0.0.1", "admin:hush@127.0.0.1") if "@" not in url else url
        with replayed_footage(
            url, "gate", from_ns=START_NS, to_ns=START_NS + 12 * NS_PER_S, on_retry=told.append
        ) as footage:
            (origin,) = {each.source for each in footage.provenances("gate").values()}
            assert origin == f"rtsps://127.0.0.1:{secured.port}/replay"
            merge(footage, server)
        assert told == []
        assert [digest for _, digest in times(server)] == [digest for _, digest in times(card)]


def test_a_replay_over_tls_where_there_is_none(camera: RtspServer, clip: Path) -> None:
    url = address(camera).replace("rtsp://", "rtsps://")
    with (
        pytest.raises(CameraError, match="is it rtsps") as caught,
        replayed_footage(url, "gate", from_ns=START_NS, to_ns=START_NS + 1, on_retry=lambda text: None),
    ):
        pass
    assert "hush" not in str(caught.value)


def test_a_server_that_is_not_ours_and_has_no_recording(tmp_path: Path) -> None:
    """GStreamer's: a live stream, that knows no ONVIF replay."""
    gst_cameras.require()
    path = gst_cameras.access_units("car-detection.mp4", tmp_path)
    with (
        gst_cameras.gst_cameras(path) as server,
        pytest.raises(CameraError, match="no recording to replay"),
        replayed_footage(
            server.url(), "gate", from_ns=START_NS, to_ns=START_NS + NS_PER_S, on_retry=lambda text: None
        ),
    ):
        pass


def test_a_recorder_that_knows_sender_reports_only(camera: RtspServer, card: Store, tmp_path: Path) -> None:
    """No header extension comes, as the server never hears that it is asked for; sender reports do."""

    def behave(connection: socket.socket) -> None:
        with connection, socket.create_connection(("127.0.0.1", camera.port)) as server:
            back = threading.Thread(target=pass_on, args=(server, connection), daemon=True)
            back.start()
            with contextlib.suppress(OSError):
                while data := connection.recv(65536):
                    server.sendall(data.replace(b"Require: onvif-replay\r\n", b""))

    def pass_on(one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := one.recv(65536):
                other.sendall(data)

    told: list[str] = []
    with Server(behave) as front, Store.open(tmp_path / "server", write=True, create=True) as server:
        url = address(camera, front.port)
        from_ns, to_ns = START_NS + 3 * NS_PER_S, START_NS + 10 * NS_PER_S
        with replayed_footage(url, "gate", from_ns=from_ns, to_ns=to_ns, on_retry=told.append) as footage:
            report = merge(footage, server).streams[0]
        assert told == []
        assert report.inserted_frames >= 175
        brought = times(server)
        there = {digest: time_ns for time_ns, digest in times(card)}
        assert max(abs(there[digest] - time_ns) for time_ns, digest in brought) <= NS_PER_MS
        merge(card, server)
        assert [digest for _, digest in times(server)] == [digest for _, digest in times(card)]


ANSWERS = {
    "OPTIONS": "",
    "DESCRIBE": "Content-Type: application/sdp\r\n",
    "SETUP": "Session: 1\r\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n",
    "PLAY": "Session: 1\r\nRange: npt=0.000-\r\n",
}
SDP = (
    "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=x\r\nt=0 0\r\n"
    "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:1\r\n"
)


def test_a_server_that_takes_the_clock_for_nothing() -> None:
    """It answers as if it had been asked for the beginning."""

    def behave(connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as lines:
            while request := lines.readline():
                number = ""
                while (line := lines.readline().strip()) != b"":
                    if line.lower().startswith(b"cseq"):
                        number = line.decode()
                method = request.split()[0].decode()
                body = SDP if method == "DESCRIBE" else ""
                head = f"RTSP/1.0 200 OK\r\n{number}\r\n{ANSWERS.get(method, '')}"
                connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())

    with (
        Server(behave) as server,
        pytest.raises(CameraError, match=r"does not play by the clock: it answers with 'npt=0\.000-'"),
        replayed_footage(
            server.url, "gate", from_ns=START_NS, to_ns=START_NS + NS_PER_S, on_retry=lambda text: None
        ),
    ):
        pass


def test_a_replay_that_is_cut_goes_on(camera: RtspServer, card: Store, tmp_path: Path) -> None:
    told: list[str] = []
    size = sum(row.size_bytes for row in card.gops("gate"))
    with (
        cutting_proxy(camera.port) as proxy,
        Store.open(tmp_path / "server", write=True, create=True) as server,
    ):
        proxy.cut_after = lambda number, way: size // 2 if way == "down" and number < 2 else None
        with replayed_footage(
            address(camera, proxy.port),
            "gate",
            from_ns=START_NS,
            to_ns=START_NS + 12 * NS_PER_S,
            on_retry=told.append,
        ) as footage:
            merge(footage, server)
        assert proxy.connections >= 2
        assert told
        assert "hush" not in " ".join(told)
        assert [digest for _, digest in times(server)] == [digest for _, digest in times(card)]


def test_replays_that_cannot_be(camera: RtspServer, clip: Path) -> None:
    def ask(url: str, from_ns: int = START_NS) -> None:
        with replayed_footage(
            url, "gate", from_ns=from_ns, to_ns=from_ns + NS_PER_S, on_retry=lambda text: None
        ):
            pytest.fail("there is nothing")

    with pytest.raises(CameraError, match="nothing of the time"):
        ask(address(camera), START_NS + 3600 * NS_PER_S)
    with pytest.raises(CameraError) as caught:
        ask(address(camera, password="wrong"))
    assert "wrong" not in str(caught.value)
    camera.add_stream("live", LoopSource(clip))
    with pytest.raises(CameraError):
        ask(address(camera).replace("/replay", "/live"))


def test_files_that_do_not_do(tmp_path: Path, clip: Path) -> None:
    (tmp_path / "junk.mp4").write_bytes(b"junk")
    with pytest.raises(CameraError), file_footage(tmp_path / "junk.mp4", "gate", at_ns=START_NS):
        pass
    with pytest.raises(UsageError, match="no such file"), file_footage(tmp_path / "none", "gate", at_ns=0):
        pass
    with pytest.raises(UsageError, match="give --at"), file_footage(clip, "gate", at_ns=None):
        pass


def test_a_file_that_is_cut_short_gives_what_it_has(tmp_path: Path, card: Store) -> None:
    """A fragmented file, as power loss leaves it: a segment of a store."""
    segment = max(Path(card.location).glob("segments/**/*.mp4"), key=lambda path: path.stat().st_size)
    short = tmp_path / "short.mp4"
    short.write_bytes(segment.read_bytes()[: segment.stat().st_size // 2])
    told: list[str] = []
    with file_footage(short, "gate", at_ns=START_NS, on_trouble=told.append) as footage:
        assert 50 < footage.streams()[0].frames < 300
    assert len(told) <= 1


def test_footage_that_comes_anew_is_known_again(camera: RtspServer, clip: Path, tmp_path: Path) -> None:
    def replay() -> AbstractContextManager[Timeline]:
        to_ns = START_NS + 12 * NS_PER_S
        return replayed_footage(
            address(camera), "gate", from_ns=START_NS, to_ns=to_ns, on_retry=lambda why: None
        )

    for ask in (lambda: file_footage(clip, "gate", at_ns=START_NS), replay):
        sessions = []
        for _ in range(2):
            with ask() as footage:
                rows = footage.gops("gate")
                stored = [decode_table(row.table)[["time_ns", "digest", "track"]].tolist() for row in rows]
                sessions.append(({each.session for each in footage.provenances("gate").values()}, stored))
        assert len(sessions[0][0]) == 1
        assert sessions[0] == sessions[1]
