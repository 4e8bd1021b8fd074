"""Opening a camera without PyAV: it plays when its reading begins, and can be given up at any time."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import pytest
from read_camera import Server, pass_through, silence, watched

from fovideo.camera import CameraConfig, CameraState
from fovideo.camera._connection import WHY_NOT, Connection
from fovideo.camera.open import open_camera
from fovideo.camera.tracks import source_tracks, streams_of
from fovideo.errors import CameraError, CameraUnreachable, UnsupportedStream
from fovideo.media.codec import Codec
from fovideo.replay import LoopSource, RtspServer, make_clip
from fovideo.times import NS_PER_MS, NS_PER_S

pytestmark = pytest.mark.skipif(bool(WHY_NOT), reason=f"not opened without PyAV: {WHY_NOT}")
Change = Callable[[bytes, int], bytes]


@pytest.fixture
def server() -> Iterator[RtspServer]:
    with RtspServer() as made:
        yield made


def changed(server: RtspServer, change: Change) -> Server:
    """The server, but for what `change` makes of what it sends."""
    return Server(lambda connection: pass_through(connection, server.port, change))


def until_play(peer: socket.socket, port: int, asked: list[bytes]) -> None:
    """Passes on what is asked and answered; PLAY is not answered."""

    def back() -> None:
        with contextlib.suppress(OSError):
            while data := behind.recv(65_536):
                peer.sendall(data)

    with socket.create_connection(("127.0.0.1", port)) as behind:
        thread = threading.Thread(target=back)
        thread.start()
        try:
            while data := peer.recv(4096):
                asked.append(data)
                if data.startswith(b"PLAY"):
                    silence(peer)
                    break
                behind.sendall(data)
        finally:
            with contextlib.suppress(OSError):
                behind.shutdown(socket.SHUT_RDWR)
            thread.join()


def silent_about_sets(data: bytes, passed: int) -> bytes:
    return data.replace(b"sprop-", b"xprop-")


def camera(url: str, **settings: object) -> CameraConfig:
    return CameraConfig(name="cam", url=url, **settings)  # type: ignore[arg-type]


def test_a_camera_that_tells_all_is_not_asked_to_play_yet(server: RtspServer, clip: Path) -> None:
    server.add_stream("stream", LoopSource(clip))
    connection, asked = Connection(), list[bytes]()
    with Server(lambda peer: until_play(peer, server.port, asked)) as front:
        opened = open_camera(camera(front.url), connection)
        methods = [request.partition(b" ")[0] for request in asked]
    assert methods == [b"OPTIONS", b"DESCRIBE", b"SETUP", b"SETUP"]
    assert opened.source is connection
    assert [track.track.codec for track in opened.tracks] == [Codec.H264, Codec.AAC]
    assert (opened.tracks[0].track.width, opened.tracks[0].track.height) == (160, 96)
    assert (opened.tracks[1].track.sample_rate, opened.tracks[1].track.channels) == (48_000, 1)
    connection.close()
    assert connection.streams() == []


def test_a_camera_that_tells_no_parameter_sets_is_looked_at(server: RtspServer, clip: Path) -> None:
    source = LoopSource(clip, audio=False)
    server.add_stream("stream", source)
    with changed(server, silent_about_sets) as front, watched(front.url) as seen:
        rows = seen.wait_frames(30)
    assert [track.codec for track in seen.sessions[0].tracks] == [Codec.H264]
    got = rows["digest"][rows["track"] == 1].tolist()
    sent = [frame.digest for frame in source.sent()]
    assert got == sent[sent.index(got[0]) :][: len(got)]
    assert seen.sessions[0].interval_ns == 0


@pytest.mark.parametrize(
    ("codec", "audio", "name"),
    [("h264", "aac", "a.mp4"), ("h265", "opus", "b.mkv"), ("h264", "pcmu", "c.mov")],
)
def test_streams_are_what_pyav_says(tmp_path: Path, codec: str, audio: str, name: str) -> None:
    make_clip(tmp_path / name, codec, width=160, height=96, seconds=1, gop=10, audio=audio)
    with contextlib.closing(Connection()) as connection, av.open(str(tmp_path / name)) as container:
        assert connection.open(str(tmp_path / name), {}, timeout_ns=60 * NS_PER_S, paused=False) == 0
        assert connection.explore() == 0
        ours, theirs = streams_of(connection), streams_of(container)
    assert ours == theirs
    assert ours[0].rate_numerator == 25 * ours[0].rate_denominator
    tracks = source_tracks(ours, audio=True, metadata=True, source="clip")
    assert [track.interval_ns for track in tracks] == [40 * NS_PER_MS, 0]


@pytest.mark.parametrize("ahead", ["open", "interrupt"])
def test_opening_is_given_up(ahead: str) -> None:
    """Whether it was under way already or not."""
    asked, connection = threading.Event(), Connection()

    def behave(peer: socket.socket) -> None:
        asked.set()
        silence(peer)

    outcome: list[CameraError] = []

    def opening(url: str) -> None:
        try:
            open_camera(camera(url, open_timeout_ns=3600 * NS_PER_S), connection)
        except CameraError as error:
            outcome.append(error)

    with Server(behave) as peer:
        if ahead == "interrupt":
            connection.interrupt()
        thread = threading.Thread(target=opening, args=(peer.url,))
        thread.start()
        if ahead == "open":
            assert asked.wait(60)
            connection.interrupt()
        thread.join(60)
        assert not thread.is_alive()
    assert len(outcome) == 1
    assert not connection.late


def test_stopping_ends_an_opening() -> None:
    asked = threading.Event()

    def behave(peer: socket.socket) -> None:
        if peer.recv(4096):  # the first connection only looks whether the host is there
            asked.set()
            silence(peer)

    with Server(behave) as peer, watched(peer.url, open_timeout_ns=3600 * NS_PER_S) as seen:
        assert asked.wait(60)
    assert seen.states[-1] is CameraState.STOPPED


def test_a_camera_that_does_not_begin_to_play(server: RtspServer, clip: Path) -> None:
    server.add_stream("stream", LoopSource(clip, audio=False))

    with (
        Server(lambda peer: until_play(peer, server.port, [])) as front,
        watched(front.url, open_timeout_ns=300 * NS_PER_MS, freeze_ns=3600 * NS_PER_S) as seen,
    ):
        seen.wait_state(CameraState.UNREACHABLE)
    assert "no answer in time" in seen.errors[0]


def test_nothing_to_record(server: RtspServer, clip: Path) -> None:
    server.add_stream("stream", LoopSource(clip, audio=False))
    with (
        changed(server, lambda data, _: data.replace(b"H264/90000", b"VP8/90000 ")) as front,
        pytest.raises(UnsupportedStream, match=r"nothing to record in it: video \(vp8\)"),
    ):
        open_camera(camera(front.url, open_timeout_ns=300 * NS_PER_MS), Connection())


def test_what_cannot_be(clip: Path) -> None:
    connection = Connection()
    with pytest.raises(ValueError, match="not open"):
        connection.explore()
    assert connection.open(str(clip), {}, timeout_ns=NS_PER_S, paused=False) == 0
    with pytest.raises(ValueError, match="is open"):
        connection.open(str(clip), {}, timeout_ns=NS_PER_S, paused=False)
    connection.close()
    connection.close()
    with pytest.raises(CameraUnreachable):
        open_camera(camera("rtsp://127.0.0.1:1/x"), connection)
