"""The native reader at work: units, counters, passwords, UDP, many cameras on one thread."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from read_camera import Watched
from scripted_camera import ScriptedCamera, native, stream

from fovideo.camera import CameraConfig, CameraState
from fovideo.camera.native import Ingest
from fovideo.errors import ConfigError, UsageError
from fovideo.media.codec import Codec
from fovideo.media.frames import FrameFlag
from fovideo.replay import LoopSource, RtspServer, Settings, metadata_document
from fovideo.replay.rtsp.link import UdpLink
from fovideo.ring import NO_TIME, Kind
from fovideo.times import NS_PER_MS, NS_PER_S

ROOT = Path(__file__).parents[3]
PATIENT = {"open_timeout_ns": 30 * NS_PER_S, "freeze_ns": 30 * NS_PER_S}
"""Where a machine with much to do must not look like a camera that has frozen."""


@pytest.mark.parametrize("portable", [False, True])
@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_a_session_is_its_format_then_its_frames(
    server: RtspServer, clip: Path, transport: str, portable: bool
) -> None:
    source = LoopSource(clip, metadata=metadata_document, metadata_fps=20)
    url = server.add_stream("cam", source)
    with Ingest(portable=portable) as loop, native(url, transport=transport, loop=loop, **PATIENT) as camera:
        rows = camera.wait_frames(60)
        status = camera.reader.status()
    assert rows["kind"][0] == Kind.FORMAT
    assert set(rows["kind"][1:]) == {Kind.FRAME}
    (start,) = camera.sessions
    assert [track.codec for track in start.tracks] == [Codec.H264, Codec.AAC, Codec.ONVIF]
    assert (start.tracks[0].width, start.tracks[0].height) == (160, 96)
    assert start.source == url
    sent = [sent.digest for sent in source.sent()]
    got = rows["digest"][(rows["kind"] == Kind.FRAME) & (rows["track"] == 1)].tolist()
    assert got == sent[sent.index(got[0]) :][: len(got)]
    assert (np.diff(rows["receipt_ns"].astype(np.int64)) >= 0).all()
    assert camera.states == [CameraState.CONNECTING, CameraState.LIVE, CameraState.STOPPED]
    assert status.frames >= 60
    assert status.bytes > 0
    assert status.dropped_frames == 0
    assert status.last_receipt_ns >= rows["receipt_ns"][-1]
    assert camera.ring.units(None, 1 << 20)["kind"][-1] == Kind.END


def test_sender_reports_reach_the_ring(server: RtspServer, clip: Path) -> None:
    source = LoopSource(clip)
    url = server.add_stream("cam", source)
    with native(url, audio=False) as camera:
        rows = camera.wait_frames(30)
    video = rows[rows["kind"] == Kind.FRAME]
    reported = video[video["wall_ns"] != NO_TIME]
    assert len(reported) >= len(video) - 2
    times = {sent.digest: sent.time_ns for sent in source.sent()}
    assert max(abs(int(row["wall_ns"]) - times[int(row["digest"])]) for row in reported) < NS_PER_MS


def test_tracks_can_be_left_out(server: RtspServer, clip: Path) -> None:
    url = server.add_stream("cam", LoopSource(clip, metadata=metadata_document, metadata_fps=20))
    with native(url, audio=False, metadata=False) as camera:
        rows = camera.wait_frames(10)
    assert set(rows["track"][rows["kind"] == Kind.FRAME]) == {1}


@pytest.mark.parametrize("transport", ["tcp", "udp"])
@pytest.mark.parametrize("schemes", [("digest",), ("basic",), ("digest", "basic")])
def test_the_right_password(clip: Path, schemes: Any, transport: str) -> None:
    password = 'p@ss:w/o?rd#%20 ü"\\'
    with RtspServer(user="admin", password=password, schemes=schemes) as server:
        url = server.add_stream("cam", LoopSource(clip))
        with native(url, user="admin", password=password, transport=transport) as camera:
            camera.wait_frames(3)


@pytest.mark.parametrize("schemes", [("digest",), ("basic",)])
def test_a_wrong_password(clip: Path, schemes: Any) -> None:
    with RtspServer(user="admin", password="right", schemes=schemes) as server:
        url = server.add_stream("cam", LoopSource(clip))
        with native(url, user="admin", password="hunter2") as camera:
            camera.wait_state(CameraState.UNAUTHORIZED)
    assert "refuses the credentials" in camera.errors[0]
    assert "hunter2" not in str(camera.errors) + str(camera.reader.status())


def test_no_password(clip: Path) -> None:
    with (
        RtspServer(user="admin", password="right") as server,
        native(server.add_stream("cam", LoopSource(clip))) as camera,
    ):
        camera.wait_state(CameraState.UNAUTHORIZED)
    assert "wants credentials" in camera.errors[0]


def test_lost_datagrams_are_told_and_the_rest_is_whole(
    server: RtspServer, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance, send = np.random.default_rng(4), UdpLink.rtp

    async def lossy(link: UdpLink, packets: list[bytes]) -> None:
        await send(link, [packet for packet in packets if chance.random() > 0.05])

    monkeypatch.setattr(UdpLink, "rtp", lossy)
    source = LoopSource(clip)
    url = server.add_stream("cam", source)
    with native(url, transport="udp", audio=False) as camera:
        rows = camera.wait_frames(60)
    sent = {each.digest for each in source.sent()}
    video = rows[rows["kind"] == Kind.FRAME]
    flagged = video["flags"] & (FrameFlag.LOST_BEFORE | FrameFlag.CORRUPT)
    assert flagged.any()
    assert camera.reader.status().lost_packets > 0
    whole = video[video["flags"] & FrameFlag.CORRUPT == 0]
    assert set(whole["digest"].tolist()) <= sent


def test_a_udp_session_outlives_the_servers_patience(clip: Path) -> None:
    with RtspServer(settings=Settings(session_timeout_s=2.0)) as server:
        url = server.add_stream("cam", LoopSource(clip))
        with native(url, transport="udp", audio=False) as camera:
            camera.wait_frames(110)
    assert camera.states.count(CameraState.LIVE) == 1


def test_many_cameras_on_one_thread(server: RtspServer, clip: Path) -> None:
    source = LoopSource(clip, audio=False)
    urls = [server.add_stream(f"cam{number}", source) for number in range(50)]
    with Ingest() as loop:
        cameras = [Watched(url, ingest="native", loop=loop, ring_bytes=1 << 20, **PATIENT) for url in urls]
        for camera in cameras:
            camera.reader.start()
        try:
            tables = [camera.wait_frames(50) for camera in cameras]
            assert loop.sessions == 50
        finally:
            for camera in cameras:
                camera.reader.stop()
            for camera in cameras:
                camera.stop()
    sent = [each.digest for each in source.sent()]
    for rows in tables:
        got = rows["digest"][rows["kind"] == Kind.FRAME].tolist()
        assert got == sent[sent.index(got[0]) :][: len(got)]
    assert loop.loop.reads < 10 * sum(len(rows) for rows in tables)


def test_closing_the_loop_ends_its_sessions() -> None:
    loop = Ingest()
    with ScriptedCamera(played=stream) as server, native(server.url, loop=loop) as camera:
        camera.wait_frames(3)
        loop.close()
        camera.wait_state(CameraState.BROKEN)
        loop.close()
    assert set(camera.errors) <= {f"{server.url}: the event loop has ended", "the event loop has ended"}
    assert "native-ingest" not in [thread.name for thread in threading.enumerate()]


def test_a_reader_closes_the_loop_that_it_made() -> None:
    with ScriptedCamera(played=stream) as server, native(server.url) as camera:
        camera.wait_frames(3)
    assert not {"native-ingest", "camera-cam"} & {thread.name for thread in threading.enumerate()}


def test_settings_are_checked() -> None:
    with pytest.raises(ConfigError, match="ingest"):
        CameraConfig(name="cam", url="rtsp://x/", ingest="gstreamer")  # type: ignore[arg-type]
    with pytest.raises(UsageError):
        Ingest(batch_ns=0)


def test_an_interpreter_that_just_ends_ends_in_peace() -> None:
    script = """
import sys, time
from fovideo.camera import CameraConfig
from fovideo.camera.reader import Reader
from fovideo.ring import Ring
reader = Reader(CameraConfig(name="cam", url=sys.argv[1], ingest="native"), Ring(1 << 20))
reader.start()
while reader.status().frames < 5:
    time.sleep(0.01)
"""
    with ScriptedCamera(played=stream) as server:
        done = subprocess.run(
            [sys.executable, "-c", script, server.url], capture_output=True, text=True, timeout=60, cwd=ROOT
        )
    assert (done.returncode, done.stderr) == (0, "")
