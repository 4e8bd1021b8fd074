"""The native reader when something goes wrong: states and errors as with libavformat."""

from __future__ import annotations

import socket
import threading
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from free_ports import free_port
from read_camera import Server, Watched, answers, garbage, silence, web
from scripted_camera import H264, Asked, ScriptedCamera, answer, frame, native, stream

from fovideo.camera import CameraState
from fovideo.camera.native import Ingest
from fovideo.replay import LoopSource, RtspServer
from fovideo.ring import Kind
from fovideo.times import NS_PER_MS, NS_PER_S


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_a_frozen_camera_is_noticed(server: RtspServer, clip: Path, transport: str) -> None:
    source = LoopSource(clip)
    url = server.add_stream("cam", source)
    with native(url, freeze_ns=400 * NS_PER_MS, transport=transport) as camera:
        camera.wait_frames(5)
        source.freeze()
        camera.wait_state(CameraState.FROZEN)
        source.thaw()
        camera.wait_state(CameraState.LIVE, 2)
    assert camera.errors[0].endswith("connected, but silent")


def test_silent_video_is_noticed_although_sound_goes_on() -> None:
    sound = "m=audio 0 RTP/AVP 96\r\na=rtpmap:96 PCMU/8000\r\na=control:trackID=2\r\n"

    def talk(connection: socket.socket) -> None:
        wait = threading.Event()
        connection.sendall(frame(0, key=True))
        for number in count():
            connection.sendall(frame(number, channel=2))
            wait.wait(0.02)

    with (
        ScriptedCamera(H264 + sound, played=talk) as server,
        native(server.url, freeze_ns=300 * NS_PER_MS) as camera,
    ):
        camera.wait_state(CameraState.FROZEN)
    assert "video is silent" in camera.errors[0]


def test_stopping_ends_a_silent_session_and_says_goodbye() -> None:
    with ScriptedCamera(played=lambda connection: connection.sendall(frame(0) + frame(1))) as server:
        with native(server.url, freeze_ns=3600 * NS_PER_S) as camera:
            camera.wait_frames(2)
        server.wait_for("TEARDOWN")
    assert camera.states[-1] is CameraState.STOPPED
    assert camera.ring.units(None, 1 << 20)["kind"].tolist() == [
        Kind.FORMAT,
        Kind.FRAME,
        Kind.FRAME,
        Kind.END,
    ]


@pytest.mark.parametrize("silent", ["OPTIONS", "DESCRIBE", "SETUP", "PLAY"])
def test_stopping_does_not_wait_for_an_answer(silent: str) -> None:
    with (
        ScriptedCamera(script={silent: lambda asked: None}) as server,
        native(server.url, open_timeout_ns=3600 * NS_PER_S) as camera,
    ):
        server.wait_for(silent)
    assert camera.states == [CameraState.CONNECTING, CameraState.STOPPED]
    assert not camera.errors


@pytest.mark.parametrize("silent", ["OPTIONS", "PLAY"])
def test_a_server_that_stops_answering(silent: str) -> None:
    with (
        ScriptedCamera(script={silent: lambda asked: None}) as server,
        native(server.url, open_timeout_ns=200 * NS_PER_MS) as camera,
    ):
        camera.wait_state(CameraState.UNREACHABLE)
    assert "no answer in time" in camera.errors[0]


def test_a_camera_that_plays_nothing_is_frozen() -> None:
    with ScriptedCamera() as server, native(server.url, freeze_ns=200 * NS_PER_MS) as camera:
        camera.wait_state(CameraState.FROZEN)
    assert len(camera.ring.units()) == 0
    assert not camera.sessions


def test_unknown_host() -> None:
    with native("rtsp://no-such-host.invalid/stream") as camera:
        camera.wait_state(CameraState.UNREACHABLE)
    assert "unknown host no-such-host.invalid" in camera.errors[0]


def test_nobody_listens() -> None:
    with native(f"rtsp://127.0.0.1:{free_port()}/stream") as camera:
        camera.wait_state(CameraState.UNREACHABLE, 2)
    assert "refused" in camera.errors[0]


def test_a_server_that_accepts_and_is_silent() -> None:
    with Server(silence) as server, native(server.url, open_timeout_ns=200 * NS_PER_MS) as camera:
        camera.wait_state(CameraState.UNREACHABLE)
    assert "no answer in time" in camera.errors[0]


@pytest.mark.parametrize("behave", [garbage, web], ids=["garbage", "http"])
def test_a_server_that_is_no_camera(behave: Any) -> None:
    with Server(behave) as server, native(server.url) as camera:
        camera.wait_state(CameraState.BROKEN)
    assert "does not speak RTSP" in camera.errors[0]


def test_garbage_instead_of_packets() -> None:
    with (
        ScriptedCamera(played=lambda connection: connection.sendall(b"\xff" * 400_000)) as server,
        native(server.url) as camera,
    ):
        camera.wait_state(CameraState.BROKEN)
    assert "sends garbage" in camera.errors[0]


@pytest.mark.parametrize(
    ("status", "state", "text"),
    [
        ("404 Not Found", CameraState.BROKEN, "no such stream"),
        ("403 Forbidden", CameraState.UNAUTHORIZED, "wants credentials"),
        ("503 Service Unavailable", CameraState.BROKEN, "503 Service Unavailable"),
    ],
)
def test_refusals(status: str, state: CameraState, text: str) -> None:
    with Server(answers(status)) as server, native(server.url) as camera:
        camera.wait_state(state)
    assert text in camera.errors[0]


def test_a_transport_that_the_camera_does_not_know() -> None:
    with (
        ScriptedCamera(script={"SETUP": lambda a: answer(a, status="461 Unsupported Transport")}) as server,
        native(server.url, transport="udp") as camera,
    ):
        camera.wait_state(CameraState.BROKEN)
    assert "does not send by udp" in camera.errors[0]


def test_redirections_are_refused_and_show_no_password() -> None:
    def elsewhere(asked: Asked) -> bytes:
        return answer(asked, "Location: rtsp://u:secret@192.0.2.1/x\r\n", status="302 Moved Temporarily")

    with ScriptedCamera(script={"DESCRIBE": elsewhere}) as server, native(server.url) as camera:
        camera.wait_state(CameraState.BROKEN)
    assert "redirects to rtsp://192.0.2.1/x" in camera.errors[0]
    assert "secret" not in camera.errors[0]


def test_a_redirection_while_playing_ends_the_session() -> None:
    def send_away(connection: socket.socket) -> None:
        connection.sendall(
            frame(0) + b"REDIRECT * RTSP/1.0\r\nCSeq: 1\r\nLocation: rtsp://192.0.2.1/\r\n\r\n"
        )

    with ScriptedCamera(played=send_away) as server, native(server.url) as camera:
        camera.wait_state(CameraState.BROKEN)
    assert "redirects to rtsp://192.0.2.1/" in camera.errors[0]


def test_one_camera_does_not_disturb_another(server: RtspServer, clip: Path) -> None:
    url = server.add_stream("cam", LoopSource(clip))
    with Ingest() as loop, ScriptedCamera(played=lambda c: c.sendall(b"\0" * 10_000_000)) as bad:
        with native(bad.url, loop=loop) as broken, native(url, loop=loop) as good:
            good.wait_frames(20)
            broken.wait_state(CameraState.BROKEN)
        assert loop.sessions == 0
    assert CameraState.BROKEN not in good.states


def test_no_room_for_a_session() -> None:
    camera = None
    with ScriptedCamera(played=stream) as server:
        camera = Watched(server.url, ingest="native", ring_bytes=65_536)
        while camera.ring.push(b""):
            pass
        camera.reader.start()
        try:
            camera.wait_state(CameraState.BROKEN)
        finally:
            camera.stop()
    assert "no room in memory" in camera.errors[0]
