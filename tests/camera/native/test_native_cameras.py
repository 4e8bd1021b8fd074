"""What cameras do, as the native reader meets it; and what it leaves to libavformat."""

from __future__ import annotations

import socket
from pathlib import Path

import numpy as np
import pytest
from scripted_camera import H264, PPS, SPS, Asked, ScriptedCamera, answer, frame, native, stream

from fovideo.camera import CameraState
from fovideo.media.codec import Codec
from fovideo.times import NS_PER_MS


def test_packets_before_the_answer_to_play_are_kept() -> None:
    def play(asked: Asked) -> bytes:
        return frame(0, key=True) + frame(1) + answer(asked) + frame(2) + frame(3)[:20]

    def go_on(connection: socket.socket) -> None:
        connection.sendall(frame(3)[20:] + frame(4))

    with ScriptedCamera(script={"PLAY": play}, played=go_on) as server, native(server.url) as camera:
        rows = camera.wait_frames(5)
    assert (rows["pts_ns"][1:] == np.arange(5) * 40 * NS_PER_MS).all()


def test_signs_of_life_carry_session_and_fresh_authorization() -> None:
    refused = []

    def alive(asked: Asked) -> bytes:
        if not refused:
            refused.append(asked)
            return answer(
                asked,
                'WWW-Authenticate: Digest realm="r", nonce="two", stale=true\r\n',
                status="401 Unauthorized",
            )
        return answer(asked)

    def describe(asked: Asked) -> bytes | None:
        if "authorization" not in asked.headers:
            return answer(
                asked, 'WWW-Authenticate: Digest realm="r", nonce="one"\r\n', status="401 Unauthorized"
            )
        return server.usual(asked)

    server = ScriptedCamera(
        script={"GET_PARAMETER": alive, "DESCRIBE": describe}, played=stream, session="abc;timeout=1"
    )
    with server, native(server.url, user="u", password="p") as camera:
        first = server.wait_for("GET_PARAMETER")
        second = server.wait_for("GET_PARAMETER", 2)
        third = server.wait_for("GET_PARAMETER", 3)
    assert {asked.headers["session"] for asked in (first, second, third)} == {"abc"}
    assert 'nonce="one"' in first.headers["authorization"]
    assert 'nonce="two"' in second.headers["authorization"]
    assert 'nonce="two"' in third.headers["authorization"]
    assert not camera.errors


def test_a_camera_without_get_parameter_gets_options() -> None:
    with (
        ScriptedCamera(
            script={"GET_PARAMETER": lambda a: answer(a, status="501 Not Implemented")},
            played=stream,
            session="1;timeout=1",
        ) as server,
        native(server.url),
    ):
        server.wait_for("GET_PARAMETER")
        server.wait_for("OPTIONS", 2)


def test_a_session_that_the_camera_forgot_is_made_anew() -> None:
    with (
        ScriptedCamera(
            script={"GET_PARAMETER": lambda a: answer(a, status="454 Session Not Found")},
            played=stream,
            session="1;timeout=1",
        ) as server,
        native(server.url) as camera,
    ):
        camera.wait_state(CameraState.LIVE, 2)
    assert "forgotten the session" in camera.errors[0]


def test_requests_of_the_camera_are_answered() -> None:
    def ask(connection: socket.socket) -> None:
        connection.sendall(frame(0) + b"OPTIONS * RTSP/1.0\r\nCSeq: 9\r\n\r\n" + frame(1))
        connection.sendall(b"PLAY_NOTIFY * RTSP/1.0\r\nCSeq: 10\r\n\r\n" + frame(2))

    with ScriptedCamera(played=ask) as server, native(server.url) as camera:
        rows = camera.wait_frames(3)
        assert server.wait_for("answer").url == "RTSP/1.0 200 OK"
        assert server.wait_for("answer", 2).url == "RTSP/1.0 501 Not Implemented"
    assert len(rows) == 4


def test_sound_that_cannot_be_set_up_does_not_cost_the_pictures() -> None:
    sound = "m=audio 0 RTP/AVP 0\r\na=control:trackID=2\r\n"

    def set_up(asked: Asked) -> bytes | None:
        if asked.url.endswith("trackID=2"):
            return answer(asked, status="500 Internal Server Error")
        return server.usual(asked)

    server = ScriptedCamera(H264 + sound, script={"SETUP": set_up}, played=stream)
    with server, native(server.url) as camera:
        camera.wait_frames(3)
    assert [track.codec for track in camera.sessions[0].tracks] == [Codec.H264]


def test_channels_that_are_not_told_are_those_asked_for() -> None:
    def set_up(asked: Asked) -> bytes:
        return answer(asked, "Transport: RTP/AVP/TCP;unicast\r\nSession: 1\r\n")

    with ScriptedCamera(script={"SETUP": set_up}, played=stream) as server, native(server.url) as camera:
        camera.wait_frames(3)


def test_udp_instead_of_tcp_is_refused() -> None:
    def set_up(asked: Asked) -> bytes:
        return answer(asked, "Transport: RTP/AVP;unicast;server_port=6970-6971\r\nSession: 1\r\n")

    with ScriptedCamera(script={"SETUP": set_up}) as server, native(server.url) as camera:
        camera.wait_state(CameraState.BROKEN)
    assert "does not send by tcp" in camera.errors[0]


def test_a_query_stays_in_the_urls() -> None:
    with ScriptedCamera(played=stream, script={}) as server:
        with native(server.url + "?channel=1&subtype=0") as camera:
            camera.wait_frames(1)
        assert server.wait_for("SETUP").url.endswith("/stream?channel=1&subtype=0/trackID=1")
        assert server.wait_for("PLAY").url.endswith("/stream?channel=1&subtype=0/")


def test_parameter_sets_of_the_description_are_in_the_track() -> None:
    with ScriptedCamera(played=stream) as server, native(server.url) as camera:
        camera.wait_frames(1)
    assert camera.sessions[0].tracks[0].parameter_sets == (SPS, PPS)


@pytest.mark.parametrize(
    "sdp",
    [
        "m=video 0 RTP/AVP 26\r\na=control:trackID=1\r\n",
        H264.replace("packetization-mode=1", "packetization-mode=2"),
        H264.replace("RTP/AVP", "RTP/SAVP"),
        H264 + "m=application 0 RTP/AVP 107\r\na=rtpmap:107 vnd.onvif.metadata.gzip/90000\r\na=control:x\r\n",
        H264 + "m=audio 0 RTP/AVP 97\r\na=rtpmap:97 MP4A-LATM/48000\r\na=control:x\r\n",
    ],
    ids=["mjpeg", "interleaved", "srtp", "gzip", "latm"],
)
def test_what_is_not_served_is_left_to_libavformat(sdp: str) -> None:
    with ScriptedCamera(sdp) as server:
        with native(server.url, open_timeout_ns=500 * NS_PER_MS):
            server.wait_for("DESCRIBE", 2)
        agents = [asked.headers["user-agent"] for asked in server.asked if asked.method == "DESCRIBE"]
    assert agents[0] == "fovideo"
    assert agents[1].startswith("Lav")


def test_files_are_read_by_libavformat(clip: Path) -> None:
    with native(str(clip)) as camera:
        camera.wait_state(CameraState.ENDED)
    assert camera.reader.status().frames > 50
