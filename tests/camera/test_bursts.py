"""A TCP connection read in bursts: nothing is missing, nothing hangs, and what holds much does not wait."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from fovideo.camera import CameraConfig, _demux, delivery, demux
from fovideo.camera.reader import Reader
from fovideo.camera.state import CameraState
from fovideo.errors import CameraError
from fovideo.replay import LoopSource, RtspServer, make_clip
from fovideo.ring import Kind, Ring
from fovideo.times import NS_PER_MS, NS_PER_S

pytestmark = pytest.mark.skipif(
    bool(_demux.why_no_bursts()), reason=f"not read in bursts: {_demux.why_no_bursts()}"
)
LONG_NS = 600 * NS_PER_S  # longer than any test


class Camera:
    """A camera on loopback with the reader that reads it."""

    def __init__(self, clip: Path) -> None:
        self.source, self.ring = LoopSource(clip, marker=7, audio=False), Ring(16 << 20)
        self._server = RtspServer()
        self._server.__enter__()
        self._served = True
        url = self._server.add_stream("camera", self.source)
        self.live, self.lost = threading.Event(), threading.Event()
        self.reader = Reader(CameraConfig(name="camera", url=url), self.ring, on_state=self._on_state)
        self.reader.start()

    def _on_state(self, state: CameraState, error: CameraError | None) -> None:
        {CameraState.LIVE: self.live, CameraState.UNREACHABLE: self.lost}.get(state, threading.Event()).set()

    def wait_for(self, frames: int) -> None:
        waiting = threading.Event()
        for _ in range(1000):
            if self.reader.status().frames >= frames:
                return
            waiting.wait(0.03)
        pytest.fail(f"{self.reader.status().frames} frames of {frames}")

    def end_server(self) -> None:
        if self._served:
            self._served = False
            self._server.__exit__(None, None, None)

    def close(self) -> None:
        self.reader.stop()
        assert self.reader.join(30)
        self.end_server()
        self.ring.close()


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("clips")
    make_clip(folder / "small.mp4", width=160, height=96, seconds=1.2, gop=10)
    make_clip(folder / "large.mp4", width=640, height=360, seconds=1.2, gop=10, bit_rate=8_000_000)
    return {"small": folder / "small.mp4", "large": folder / "large.mp4"}


@pytest.fixture
def camera(
    clips: dict[str, Path], request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Camera]:
    clip, batch_ns = request.param
    monkeypatch.setattr(delivery, "_BATCH_NS", batch_ns)
    monkeypatch.setattr(demux, "bursts_allowed", lambda: True)
    camera = Camera(clips[clip])
    try:
        yield camera
    finally:
        camera.close()


@pytest.mark.parametrize("camera", [("small", 400 * NS_PER_MS), ("large", 90 * NS_PER_MS)], indirect=True)
def test_every_frame_once(camera: Camera) -> None:
    camera.wait_for(60)
    camera.reader.stop()
    assert camera.reader.join(30)
    rows = camera.ring.units()
    rows = rows[rows["kind"] == Kind.FRAME]
    sent = [frame.digest for frame in camera.source.sent()]
    at = sent.index(rows["digest"][0])
    assert rows["digest"].tolist() == sent[at : at + len(rows)]
    assert camera.reader.status().sessions == 1


@pytest.mark.parametrize("camera", [("small", 400 * NS_PER_MS)], indirect=True)
def test_frames_come_in_bursts(camera: Camera) -> None:
    camera.wait_for(60)
    camera.reader.stop()
    assert camera.reader.join(30)
    received = camera.ring.units()["receipt_ns"]
    assert (np.diff(received) > 200 * NS_PER_MS).sum() >= 2


@pytest.mark.parametrize("camera", [("large", LONG_NS)], indirect=True)
def test_a_connection_that_holds_much_does_not_wait(camera: Camera) -> None:
    camera.wait_for(60)


@pytest.mark.parametrize("camera", [("small", LONG_NS)], indirect=True)
def test_a_connection_that_is_cut_does_not_wait(camera: Camera) -> None:
    assert camera.live.wait(30)
    camera.end_server()
    assert camera.lost.wait(30)


@pytest.mark.parametrize("camera", [("small", LONG_NS)], indirect=True)
def test_a_wait_is_interrupted(camera: Camera) -> None:
    assert camera.live.wait(30)
    camera.reader.stop()
    assert camera.reader.join(30)
