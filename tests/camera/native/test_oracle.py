"""libavformat is the oracle: both ways of reading one live camera deliver the same units, byte for byte."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
from datagrams import excused_by_drops
from free_ports import free_port
from read_camera import Watched, watched

from fovideo.media.codec import Codec
from fovideo.media.frames import FrameFlag
from fovideo.replay import LoopSource, RtspServer, make_clip, metadata_document
from fovideo.ring import NO_TIME, Kind
from fovideo.times import NS_PER_MS, NS_PER_S

GST_CAMERA = Path(__file__).parents[3].parent / "shared" / "tools" / "gst_camera.py"
GST_H265_CAMERA = Path(__file__).parents[2] / "support" / "gst_h265_camera.py"
SYSTEM_PYTHON = "/usr/bin/python3"
SHOWN = FrameFlag.KEY | FrameFlag.PARAMS


class Unit(NamedTuple):
    digest: int
    flags: int
    payload: bytes
    pts_ns: int
    wall_ns: int


def units(camera: Watched, track: int) -> list[Unit]:
    """Units of a track, without what a session may see of its first and last ones."""
    rows = camera.ring.units(None, 1 << 20)
    rows = rows[(rows["kind"] == Kind.FRAME) & (rows["track"] == track)]
    return [
        Unit(
            int(row["digest"]),
            int(row["flags"]) & SHOWN,
            bytes(camera.ring.payload(row["position"], row["size"])),
            int(row["pts_ns"]),
            int(row["wall_ns"]),
        )
        for row in rows
    ]


def common(native: list[Unit], oracle: list[Unit]) -> list[tuple[Unit, Unit]]:
    """The stretch that both saw, unit by unit: most of both.

    Sender reports tell which units belong together, since sound may repeat; else ten units in a row do.
    """
    middle = len(native) // 2
    if native[middle].wall_ns != NO_TIME:
        nearest = min(range(len(oracle)), key=lambda at: abs(oracle[at].wall_ns - native[middle].wall_ns))
        assert abs(oracle[nearest].wall_ns - native[middle].wall_ns) < NS_PER_MS
    else:
        wanted = [unit.payload for unit in native[middle : middle + 10]]
        starts = [at for at in range(len(oracle)) if [u.payload for u in oracle[at : at + 10]] == wanted]
        nearest = next((at for at in starts if at >= middle), -1)
    ahead = nearest - middle
    assert ahead >= 0, "the oracle was there first"
    pairs = list(zip(native, oracle[ahead:], strict=False))
    assert len(pairs) >= 0.5 * min(len(native), len(oracle))
    return pairs


@contextmanager
def both(url: str, frames: int, **settings: object) -> Iterator[tuple[Watched, Watched]]:
    """(native, oracle), each with at least so many units of one session. The oracle begins first."""
    patient = {
        "open_timeout_ns": 30 * NS_PER_S,
        "freeze_ns": 30 * NS_PER_S,
    }  # a busy machine is no dead camera
    settings = patient | settings
    with watched(url, **settings) as oracle:
        oracle.wait_frames(3)
        with watched(url, ingest="native", **settings) as native:
            native.wait_frames(frames)
            oracle.wait_frames(frames + 3)
            assert len(native.sessions) == len(oracle.sessions) == 1, (native.errors, oracle.errors)
            yield native, oracle


def check(native: Watched, oracle: Watched, track: int, *, skip: int = 0) -> list[tuple[Unit, Unit]]:
    pairs = common(units(native, track), units(oracle, track))[skip:]
    assert [ours[:3] for ours, _ in pairs] == [theirs[:3] for _, theirs in pairs]
    reported = [(ours.wall_ns, theirs.wall_ns) for ours, theirs in pairs[2:]]
    known = [(ours, theirs) for ours, theirs in reported if NO_TIME not in (ours, theirs)]
    assert all(abs(ours - theirs) < NS_PER_MS for ours, theirs in known)
    return pairs


CLIPS = {
    "h264": {"codec": "h264", "audio": "aac", "b_frames": 2, "suffix": "mp4"},
    "h265": {"codec": "h265", "audio": "opus", "b_frames": 2, "suffix": "mkv"},
    "pcmu": {"codec": "h264", "audio": "pcmu", "suffix": "mov"},
    "pcma": {"codec": "h265", "audio": "pcma", "suffix": "mov"},
}


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("clips")
    made = {}
    for name, options in CLIPS.items():
        given = dict(options)
        made[name] = folder / f"{name}.{given.pop('suffix')}"
        make_clip(made[name], given.pop("codec"), width=320, height=240, seconds=2, gop=8, **given)
    return made


@pytest.mark.parametrize("transport", ["tcp", "udp"])
@pytest.mark.parametrize("name", list(CLIPS))
@excused_by_drops
def test_all_tracks_of_our_own_server(clips: dict[str, Path], name: str, transport: str) -> None:
    source = LoopSource(clips[name], metadata=metadata_document, metadata_fps=10, marker=3)
    with RtspServer() as server:
        url = server.add_stream("cam", source)
        with both(url, 150, transport=transport) as (native, oracle):
            assert native.sessions[0].tracks == oracle.sessions[0].tracks
            for track in (1, 2, 3):
                assert len(check(native, oracle, track)) > 5


@pytest.mark.parametrize("name", ["h264", "h265"])
def test_media_times_differ_by_a_constant(clips: dict[str, Path], name: str) -> None:
    with RtspServer() as server:
        url = server.add_stream("cam", LoopSource(clips[name]))
        with both(url, 50, audio=False) as (native, oracle):
            pairs = check(native, oracle, 1)
    gaps = {ours.pts_ns - theirs.pts_ns for ours, theirs in pairs if theirs.pts_ns != NO_TIME}
    assert len(gaps) == 1
    reported = [ours.wall_ns - theirs.wall_ns for ours, theirs in pairs[3:]]
    assert max(map(abs, reported)) < NS_PER_MS


@contextmanager
def gstreamer(script: Path, *arguments: str) -> Iterator[None]:
    """A process of the system's Python, which has GStreamer's bindings; it prints "ready" when it serves."""
    process = subprocess.Popen(
        [SYSTEM_PYTHON, str(script), *arguments], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        assert process.stdout is not None
        if "ready" not in process.stdout.readline():
            pytest.skip("GStreamer's RTSP server is not on this machine")
        yield
    finally:
        process.terminate()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def elementary(clip: Path, codec: Codec, target: Path) -> None:
    """A clip as an Annex B stream with access unit delimiters."""
    if shutil.which("ffmpeg") is None:
        pytest.skip("no ffmpeg")
    kind = "hevc" if codec is Codec.H265 else "h264"
    filters = f"{kind}_mp4toannexb,{kind}_metadata=aud=insert"
    command = [
        "ffmpeg",
        "-v",
        "error",
        "-y",
        "-i",
        clip,
        "-an",
        "-c:v",
        "copy",
        "-bsf:v",
        filters,
        "-f",
        kind,
        target,
    ]
    subprocess.run(command, check=True)


@pytest.mark.e2e
@pytest.mark.skipif(
    sys.platform == "win32" or not os.access(SYSTEM_PYTHON, os.X_OK), reason="no system Python"
)
@pytest.mark.parametrize("transport", ["tcp", "udp"])
@excused_by_drops
def test_a_gstreamer_camera_in_h264(clips: dict[str, Path], tmp_path: Path, transport: str) -> None:
    if not GST_CAMERA.exists():
        pytest.skip("../shared/tools/gst_camera.py is not there")
    elementary(clips["pcmu"], Codec.H264, tmp_path / "cam.h264")
    port = free_port()
    # GStreamer lets a client join in the middle of a unit. Its first sender report comes after 5 s.
    with (
        gstreamer(GST_CAMERA, str(tmp_path / "cam.h264"), "1", str(port), "25"),
        both(f"rtsp://127.0.0.1:{port}/cam0", 150, transport=transport) as (native, oracle),
    ):
        assert native.sessions[0].tracks == oracle.sessions[0].tracks
        pairs = check(native, oracle, 1, skip=1)
        assert NO_TIME not in pairs[-1][0][3:]


@pytest.mark.e2e
@pytest.mark.skipif(
    sys.platform == "win32" or not os.access(SYSTEM_PYTHON, os.X_OK), reason="no system Python"
)
@pytest.mark.parametrize("transport", ["tcp", "udp"])
@excused_by_drops
def test_a_gstreamer_camera_in_h265(clips: dict[str, Path], tmp_path: Path, transport: str) -> None:
    elementary(clips["pcma"], Codec.H265, tmp_path / "cam.h265")
    port = free_port()
    with (
        gstreamer(GST_H265_CAMERA, str(tmp_path / "cam.h265"), str(port)),
        both(f"rtsp://127.0.0.1:{port}/cam0", 100, transport=transport) as (native, oracle),
    ):
        assert native.sessions[0].tracks == oracle.sessions[0].tracks
        check(native, oracle, 1, skip=1)
