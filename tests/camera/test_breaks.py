"""A connection that ends: each way of reading a camera makes it again, and says the same of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from read_camera import watched

from fovideo.camera import CameraState
from fovideo.replay import LoopSource, RtspServer
from fovideo.ring import Kind


@pytest.fixture
def server() -> Iterator[RtspServer]:
    with RtspServer() as made:
        yield made


@pytest.fixture
def ingest(way: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """way: both loops that read libavformat's packets, and the native reader."""
    if way == "native":
        return "native"
    monkeypatch.setenv("FOVIDEO_DEMUX", way)
    return "pyav"


@pytest.mark.parametrize(
    ("way", "transport"), [("compiled", "tcp"), ("pyav", "tcp"), ("native", "tcp"), ("native", "udp")]
)
def test_a_cut_connection_is_made_again(server: RtspServer, clip: Path, ingest: str, transport: str) -> None:
    url = server.add_stream("cam", LoopSource(clip))
    with watched(url, ingest=ingest, transport=transport) as camera:
        camera.wait_frames(5)
        server.cut("cam")
        camera.wait_state(CameraState.LIVE, 2)
        camera.wait(lambda: len(camera.sessions) == 2, "the second session")
        status = camera.reader.status()
    assert camera.sessions[0].session != camera.sessions[1].session
    assert status.sessions == 2
    assert sum(status.failures.values()) == 1
    assert transport == "udp" or CameraState.UNREACHABLE in status.failures
    kinds = camera.ring.units(None, 1 << 20)["kind"]
    assert kinds.tolist().count(Kind.FORMAT) == kinds.tolist().count(Kind.END) == 2


@pytest.mark.parametrize("way", ["compiled", "pyav", "native"])
def test_a_goodbye_is_no_end(server: RtspServer, clip: Path, ingest: str) -> None:
    """libavformat calls it a clean end of file; a camera has no end."""
    source = LoopSource(clip)
    url = server.add_stream("cam", source)
    with watched(url, ingest=ingest) as camera:
        camera.wait_frames(5)
        server.remove("cam")
        camera.wait_state(CameraState.UNREACHABLE)
        camera.wait_state(CameraState.BROKEN)  # no such stream now
        server.add_stream("cam", source)
        camera.wait_state(CameraState.LIVE, 2)
    assert "no such stream" in " ".join(camera.errors)
    assert "the camera ended the stream" in camera.errors[0]
