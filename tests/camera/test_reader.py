"""Readers against real RTSP servers on loopback, and against what is no camera."""

from __future__ import annotations

import random
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from free_ports import free_port
from read_camera import Server, Watched, answers, garbage, pass_through, silence, watched, web
from tls import CERTIFICATE, tls_to

from fovideo.camera import CameraState, SessionStart
from fovideo.media.codec import Codec
from fovideo.replay import LoopSource, RtspServer, metadata_document
from fovideo.ring import NO_TIME, Kind
from fovideo.times import NS_PER_MS, NS_PER_S


@pytest.fixture(params=["compiled", "pyav"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both loops that read packets: they must not differ."""
    monkeypatch.setenv("FOVIDEO_DEMUX", request.param)
    return str(request.param)


@pytest.fixture
def server(way: str) -> Iterator[RtspServer]:
    with RtspServer() as made:
        yield made


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_a_session_is_its_format_then_its_frames(server: RtspServer, clip: Path, transport: str) -> None:
    source = LoopSource(clip, metadata=metadata_document, metadata_fps=20)
    url = server.add_stream("cam", source)
    with watched(url, transport=transport) as camera:
        rows = camera.wait_frames(60)
    assert rows["kind"][0] == Kind.FORMAT
    assert set(rows["kind"][1:]) == {Kind.FRAME}
    start = SessionStart.decode(camera.ring.payload(int(rows["position"][0]), int(rows["size"][0])))
    assert [track.codec for track in start.tracks] == [Codec.H264, Codec.AAC, Codec.ONVIF]
    assert start.tracks[0].parameter_sets
    assert (start.tracks[0].width, start.tracks[0].height) == (160, 96)
    assert start.source == url
    sent = [frame.digest for frame in source.sent()]
    got = rows["digest"][(rows["kind"] == Kind.FRAME) & (rows["track"] == 1)].tolist()
    assert got == sent[sent.index(got[0]) :][: len(got)]
    documents = rows[rows["track"] == 3]
    text = bytes(camera.ring.payload(int(documents["position"][0]), int(documents["size"][0])))
    assert text.rstrip().endswith(b"MetadataStream>")
    assert camera.states[:2] == [CameraState.CONNECTING, CameraState.LIVE]


def test_sender_reports_reach_the_ring(server: RtspServer, clip: Path) -> None:
    source = LoopSource(clip)
    url = server.add_stream("cam", source)
    with watched(url, audio=False) as camera:
        rows = camera.wait_frames(30)
    video = rows[(rows["track"] == 1) & (rows["kind"] == Kind.FRAME)]
    reported = video[2:]
    assert (reported["wall_ns"] != NO_TIME).all()
    times = {frame.digest: frame.time_ns for frame in source.sent()}
    off = [int(row["wall_ns"]) - times[int(row["digest"])] for row in reported]
    assert max(map(abs, off)) < 2 * NS_PER_MS
    assert (np.diff(video["receipt_ns"]) >= 0).all()


def test_tracks_can_be_left_out(server: RtspServer, clip: Path) -> None:
    url = server.add_stream("cam", LoopSource(clip, metadata=metadata_document, metadata_fps=20))
    with watched(url, audio=False, metadata=False) as camera:
        rows = camera.wait_frames(10)
    assert set(rows["track"][rows["kind"] == Kind.FRAME]) == {1}


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_a_frozen_camera_is_noticed(server: RtspServer, clip: Path, transport: str) -> None:
    source = LoopSource(clip)
    url = server.add_stream("cam", source)
    camera = Watched(url, freeze_ns=400 * NS_PER_MS, transport=transport)
    stop = threading.Event()

    def watch() -> None:
        clock = camera.reader._clocks
        while not stop.wait(0.02):
            camera.reader.check(clock.monotonic_ns())

    watcher = threading.Thread(target=watch)
    camera.reader.start()
    watcher.start()
    try:
        camera.wait_frames(5)
        source.freeze()
        camera.wait_state(CameraState.FROZEN)
        source.thaw()
        camera.wait_state(CameraState.LIVE, 2)
        camera.wait_frames(10)
    finally:
        camera.stop()
        stop.set()
        watcher.join()
    assert camera.errors[0].endswith("connected, but silent")


def test_stopping_interrupts_a_read_that_blocks(server: RtspServer, clip: Path) -> None:
    source = LoopSource(clip)
    url = server.add_stream("cam", source)
    with watched(url, freeze_ns=3600 * NS_PER_S) as camera:
        camera.wait_frames(3)
        source.freeze()
    assert camera.states[-1] is CameraState.STOPPED
    assert camera.ring.units(None, 1 << 20)["kind"][-1] == Kind.END


def test_stopping_interrupts_a_pause() -> None:
    with watched(
        f"rtsp://127.0.0.1:{free_port()}/x", backoff_min_ns=3600 * NS_PER_S, backoff_max_ns=3600 * NS_PER_S
    ) as camera:
        camera.wait_state(CameraState.UNREACHABLE)
    assert camera.states[-1] is CameraState.STOPPED


def test_no_thread_remains(server: RtspServer, clip: Path) -> None:
    url = server.add_stream("cam", LoopSource(clip))
    with watched(url) as camera:
        camera.wait_frames(3)
    assert "camera-cam" not in [thread.name for thread in threading.enumerate()]


# what is no camera


def test_unknown_host() -> None:
    with watched("rtsp://no-such-host.invalid/stream") as camera:
        camera.wait_state(CameraState.UNREACHABLE)
    assert "unknown host no-such-host.invalid" in camera.errors[0]


def test_nobody_listens() -> None:
    with watched(f"rtsp://127.0.0.1:{free_port()}/stream") as camera:
        camera.wait_state(CameraState.UNREACHABLE, 2)  # and it is tried again
    assert "refused" in camera.errors[0]


def test_a_server_that_never_answers() -> None:
    with Server(silence) as server, watched(server.url, open_timeout_ns=200 * NS_PER_MS) as camera:
        camera.wait_state(CameraState.UNREACHABLE)
    assert "no answer in time" in camera.errors[0]


@pytest.mark.parametrize("behave", [garbage, web], ids=["garbage", "http"])
def test_a_server_that_is_no_camera(behave: object) -> None:
    with Server(behave) as server, watched(server.url, open_timeout_ns=500 * NS_PER_MS) as camera:  # type: ignore[arg-type]
        camera.wait(lambda: camera.errors, "an error")
    assert camera.states[1] in (CameraState.BROKEN, CameraState.UNREACHABLE)


def test_a_wrong_path() -> None:
    with Server(answers("404 Not Found")) as server, watched(server.url) as camera:
        camera.wait_state(CameraState.BROKEN)
    assert "no such stream" in camera.errors[0]


CHALLENGE = 'WWW-Authenticate: Digest realm="camera", nonce="0123456789abcdef"\r\n'


def test_a_wrong_password() -> None:
    refusal = answers("401 Unauthorized", CHALLENGE)
    with Server(refusal) as server, watched(server.url, user="admin", password="hunter2") as camera:
        camera.wait_state(CameraState.UNAUTHORIZED)
    assert "refuses the credentials" in camera.errors[0]
    assert "hunter2" not in str(camera.errors)
    assert "hunter2" not in str(camera.reader.status())


def test_no_password() -> None:
    with Server(answers("401 Unauthorized", CHALLENGE)) as server, watched(server.url) as camera:
        camera.wait_state(CameraState.UNAUTHORIZED)
    assert "wants credentials" in camera.errors[0]


@pytest.mark.parametrize("password", ["plain", "p@ss:w/o?rd#%20 ü"])
def test_the_right_password(clip: Path, password: str) -> None:
    with RtspServer(user="admin", password=password) as server:
        url = server.add_stream("cam", LoopSource(clip))
        with watched(url, user="admin", password=password) as camera:
            camera.wait_state(CameraState.LIVE)


def test_rtsps(server: RtspServer, clip: Path, tmp_path: Path) -> None:
    """Any certificate is taken, unless one is demanded."""
    server.add_stream("cam", LoopSource(clip))
    right, wrong = tmp_path / "right.pem", tmp_path / "wrong.pem"
    right.write_text(CERTIFICATE)
    wrong.write_text(CERTIFICATE.replace("MIIBjz", "MIIBjy"))
    with Server(tls_to(server.port)) as front:
        url = f"rtsps://127.0.0.1:{front.port}/cam"
        for ca_file in ("", str(right)):
            with watched(url, tls_ca_file=ca_file) as camera:
                camera.wait_frames(5)
        with watched(url, tls_ca_file=str(wrong)) as camera:
            camera.wait(lambda: camera.errors, "a refusal")
        assert CameraState.LIVE not in camera.states


@pytest.mark.parametrize("seed", range(4))
def test_a_stream_that_turns_into_garbage(server: RtspServer, clip: Path, seed: int) -> None:
    """Bytes change on the way: the session may end or go on, the reader lives and comes back."""
    server.add_stream("cam", LoopSource(clip))
    chance = random.Random(seed)
    connections = 0

    def damage(number: int, data: bytes) -> bytes:
        if number != 1 or chance.random() < 0.7:  # 0 only looks whether the host is there
            return data
        at = chance.randrange(len(data))
        return data[:at] + chance.randbytes(chance.randint(1, 40)) + data[at + chance.randint(0, 40) :]

    def behave(connection: socket.socket) -> None:
        nonlocal connections
        number, connections = connections, connections + 1
        pass_through(
            connection, server.port, lambda data, passed: damage(number, data) if passed > 4000 else data
        )

    with Server(behave) as front, watched(front.url.replace("stream", "cam"), freeze_ns=NS_PER_S) as camera:
        camera.wait_frames(20)
        server.cut("cam")
        camera.wait_state(CameraState.LIVE, 2)
        camera.wait(lambda: len(camera.sessions) >= 2, "another session")


def test_one_camera_does_not_disturb_another(server: RtspServer, clip: Path) -> None:
    url = server.add_stream("cam", LoopSource(clip))
    with Server(garbage) as bad, watched(bad.url), watched(url) as good:
        good.wait_frames(20)
    assert CameraState.BROKEN not in good.states
