"""Files as cameras."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from read_camera import Watched, watched

from fovideo.camera import CameraState, Clocks, SessionStart
from fovideo.camera.pace import Pace
from fovideo.replay import make_clip
from fovideo.ring import NO_TIME, Kind


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clip") / "a clip.mp4"
    make_clip(path, gop=10, seconds=2, audio="aac", width=160, height=96, b_frames=2)
    return path


def read(camera: Watched, end: CameraState) -> np.ndarray:
    camera.wait_state(end)
    return camera.ring.units(None, 1 << 20)


@pytest.mark.parametrize("as_url", [False, True])
def test_a_file_is_read_to_its_end(clip: Path, as_url: bool) -> None:
    with watched(clip.as_uri() if as_url else str(clip)) as camera:
        rows = read(camera, CameraState.ENDED)
    assert np.count_nonzero((rows["kind"] == Kind.FRAME) & (rows["track"] == 1)) == 50
    assert rows["kind"][0] == Kind.FORMAT
    assert rows["kind"][-1] == Kind.END
    assert camera.states == [CameraState.CONNECTING, CameraState.LIVE, CameraState.ENDED]
    assert camera.reader.status().error == ""


def test_samples_are_length_prefixed_and_unchanged(clip: Path) -> None:
    import av

    with watched(str(clip)) as camera:
        rows = read(camera, CameraState.ENDED)
    with av.open(str(clip)) as container:
        expected = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    video = rows[(rows["kind"] == Kind.FRAME) & (rows["track"] == 1)]
    assert [bytes(camera.ring.payload(int(r["position"]), int(r["size"]))) for r in video] == expected


def test_a_file_waits_for_room(tmp_path: Path) -> None:
    """A ring that is smaller than the file: nothing is dropped, the file waits for the consumer."""
    path = tmp_path / "clip.mp4"
    make_clip(path, gop=10, seconds=4, width=320, height=240)
    size = path.stat().st_size
    camera = Watched(str(path), ring_bytes=64 << 10)
    assert size > camera.ring.capacity_bytes
    seen = 0
    camera.reader.start()
    while camera.states[-1:] != [CameraState.ENDED] or camera.ring.used_bytes:
        rows = camera.ring.units(None, 1 << 20)
        seen += int(np.count_nonzero(rows["kind"] == Kind.FRAME))
        if len(rows):
            camera.ring.release(int(rows["end"][-1]))
    camera.stop()
    assert seen == 100
    assert camera.ring.dropped_units == 0


class FakeStop(threading.Event):
    """Time passes while somebody waits."""

    def __init__(self) -> None:
        super().__init__()
        self.now_ns = 500

    def wait(self, timeout: float | None = None) -> bool:
        self.now_ns += round((timeout or 0) * 1e9)
        return self.is_set()


def test_the_pace_of_a_file_is_that_of_its_clock() -> None:
    stop = FakeStop()
    pace = Pace(Clocks(monotonic_ns=lambda: stop.now_ns), stop, realtime=True)
    due = []
    for pts_ns in (7_000, 47_000, 87_000, NO_TIME, 80_000, 200_000):  # a B-frame comes when it comes
        assert not pace.wait(pts_ns)
        due.append(stop.now_ns)
    assert due == [500, 40_500, 80_500, 80_500, 80_500, 193_500]
    stop.set()
    assert pace.wait(201_000)


def test_without_a_pace_everything_is_due() -> None:
    stop = FakeStop()
    pace = Pace(Clocks(monotonic_ns=lambda: stop.now_ns), stop, realtime=False)
    assert not any(pace.wait(pts_ns) for pts_ns in (0, 10**12))
    assert stop.now_ns == 500


def test_a_file_that_is_paced_can_be_stopped(clip: Path) -> None:
    with watched(str(clip), realtime=True) as camera:
        camera.wait_state(CameraState.LIVE)
    assert camera.states[-1] is CameraState.STOPPED


def test_creation_time_is_the_clock_of_a_file(clip: Path, tmp_path: Path) -> None:
    import av

    path = tmp_path / "dated.mp4"
    with av.open(str(clip)) as source, av.open(str(path), "w") as out:
        out.metadata["creation_time"] = "2026-05-04T03:02:01Z"
        stream = out.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                out.mux(packet)
    with watched(str(path)) as camera:
        camera.wait_state(CameraState.ENDED)
    assert camera.sessions[0].container_start_ns == 1_777_863_721_000_000_000


@pytest.mark.parametrize(
    ("content", "state", "words"),
    [
        (b"just a text\n" * 100, CameraState.BROKEN, "not a video"),
        (b"", CameraState.BROKEN, "not a video"),
        (bytes(range(256)) * 64, CameraState.BROKEN, "not a video"),
        (None, CameraState.UNREACHABLE, "No such file"),
    ],
)
def test_what_is_no_video(tmp_path: Path, content: bytes | None, state: CameraState, words: str) -> None:
    path = tmp_path / "camera.mp4"
    if content is not None:
        path.write_bytes(content)
    with watched(str(path)) as camera:
        camera.wait_state(state)
    assert words in camera.errors[0]
    assert camera.ring.pushed_units == 0


def test_a_folder_is_no_video(tmp_path: Path) -> None:
    with watched(str(tmp_path)) as camera:
        camera.wait_state(CameraState.UNREACHABLE)


@pytest.mark.parametrize("keep", [0.05, 0.5, 0.9])
def test_a_truncated_file(clip: Path, tmp_path: Path, keep: float) -> None:
    """Its table of contents is at the end and gone."""
    data = clip.read_bytes()
    path = tmp_path / "cut.mp4"
    path.write_bytes(data[: int(len(data) * keep)])
    with watched(str(path)) as camera:
        camera.wait_state(CameraState.BROKEN)
    assert "not a video" in camera.errors[0]


def test_a_truncated_file_with_its_contents_in_front(clip: Path, tmp_path: Path) -> None:
    import av

    front, path = tmp_path / "front.mp4", tmp_path / "cut.mp4"
    with av.open(str(clip)) as source, av.open(str(front), "w", options={"movflags": "faststart"}) as out:
        stream = out.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                out.mux(packet)
    data = front.read_bytes()
    path.write_bytes(data[: len(data) * 6 // 10])
    with watched(str(path)) as camera:
        camera.wait_state(CameraState.ENDED)
    assert "within a frame" in camera.errors[-1]
    rows = camera.ring.units(None, 1 << 20)
    assert 0 < np.count_nonzero(rows["kind"] == Kind.FRAME) < 50
    assert rows["kind"][-1] == Kind.END


@pytest.mark.parametrize("kind", ["mkv", "ts", "fragments"])
def test_a_file_that_is_cut_is_told_from_a_whole_one(clip: Path, tmp_path: Path, kind: str) -> None:
    import av

    whole, cut = tmp_path / "whole", tmp_path / "cut"
    form, options = ("mp4", {"movflags": "frag_keyframe+empty_moov"}) if kind == "fragments" else (kind, {})
    with (
        av.open(str(clip)) as source,
        av.open(
            str(whole), "w", format={"mkv": "matroska", "ts": "mpegts"}.get(form, form), options=options
        ) as out,
    ):
        stream = out.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                out.mux(packet)
    with watched(str(whole)) as camera:
        camera.wait_state(CameraState.ENDED)
    assert not any(camera.errors)
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2 + 77])
    with watched(str(cut)) as camera:
        camera.wait_state(CameraState.ENDED)
    # A transport stream states no length: cut between two frames, it is a shorter whole.
    assert kind == "ts" or any("cut short" in each or "within a frame" in each for each in camera.errors)


def test_a_file_without_a_track_that_is_recorded(tmp_path: Path) -> None:
    import av

    path = tmp_path / "old.avi"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for number in range(3):
            frame = av.VideoFrame(64, 64, "yuv420p")
            frame.pts = number
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    with watched(str(path)) as camera:
        camera.wait_state(CameraState.UNSUPPORTED)
    assert "mpeg4" in camera.errors[0]


def test_the_format_of_a_session_can_be_read_back(clip: Path) -> None:
    with watched(str(clip)) as camera:
        rows = read(camera, CameraState.ENDED)
    start = SessionStart.decode(camera.ring.payload(int(rows["position"][0]), int(rows["size"][0])))
    assert start == camera.sessions[0]
    assert start.is_file
    assert start.interval_ns == 40_000_000
