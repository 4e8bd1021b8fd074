"""The recorder takes the reader that a camera's settings name; both write the same."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from scripted_camera import ScriptedCamera, stream
from waiting import wait_until

from fovideo.camera import CameraConfig, CameraState
from fovideo.media.frames import Clock
from fovideo.record import Mode, Recorder
from fovideo.replay import LoopSource, RtspServer
from fovideo.service.settings import camera_config
from fovideo.site import Camera
from fovideo.site.fields import SourceUrl
from fovideo.store import Store
from fovideo.times import NS_PER_MS


def video(store: Store, name: str) -> np.ndarray:
    frames = np.concatenate([store.frames(name, gop) for gop in store.gops(name)])
    return frames[frames["track"] == 1]


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_both_readers_of_one_camera_write_the_same_frames(
    server: RtspServer, clip: Path, tmp_path: Path, transport: str
) -> None:
    source = LoopSource(clip)
    url = server.add_stream("cam", source)
    with Store.open(tmp_path, write=True, create=True) as store:
        with Recorder(store, name="rec-1", durability_ns=100 * NS_PER_MS) as recorder:
            for name in ("pyav", "native"):
                recorder.add(CameraConfig(name=name, url=url, transport=transport, ingest=name))
            for name in ("pyav", "native"):
                wait_until(
                    lambda name=name: recorder.status()[name].written_frames > 150, f"frames of {name}"
                )
            status = recorder.status()["native"]
            assert "native-ingest" in {thread.name for thread in threading.enumerate()}
        assert "native-ingest" not in {thread.name for thread in threading.enumerate()}
        tables = {name: video(store, name) for name in ("pyav", "native")}
        assert store.check().sound
    assert (status.clock, status.dropped_frames, status.lost_frames) == (Clock.SENDER_REPORT, 0, 0)
    pyav, native = tables["pyav"], tables["native"]
    times = np.intersect1d(pyav["digest"], native["digest"])
    assert len(times) > 30
    first = max(pyav["time_ns"].min(), native["time_ns"].min()) + 10 * NS_PER_MS
    last = min(pyav["time_ns"].max(), native["time_ns"].max()) - 10 * NS_PER_MS
    inside = [table[(table["time_ns"] > first) & (table["time_ns"] < last)] for table in (pyav, native)]
    assert inside[0]["digest"].tolist() == inside[1]["digest"].tolist()
    assert inside[0]["size"].tolist() == inside[1]["size"].tolist()
    assert inside[0]["flags"].tolist() == inside[1]["flags"].tolist()
    assert np.abs(inside[0]["time_ns"] - inside[1]["time_ns"]).max() < NS_PER_MS
    assert np.abs(inside[0]["dts_ns"] - inside[1]["dts_ns"]).max() < NS_PER_MS


def test_standby_and_back(tmp_path: Path) -> None:
    with (
        ScriptedCamera(played=stream) as server,
        Store.open(tmp_path, write=True, create=True) as store,
        Recorder(store, name="rec-1", durability_ns=100 * NS_PER_MS) as recorder,
    ):
        recorder.add(CameraConfig(name="cam", url=server.url, ingest="native"), mode=Mode.STANDBY)
        wait_until(lambda: recorder.status()["cam"].frames > 50, "pre-roll")
        assert recorder.status()["cam"].state is CameraState.LIVE
        recorder.set_mode("cam", Mode.RECORD)
        wait_until(lambda: recorder.status()["cam"].written_frames > 60, "footage")
        recorder.remove("cam")
        numbers = video(store, "cam")
    assert len(numbers) > 60
    assert (np.diff(numbers["time_ns"]) > 0).all()


def test_a_site_can_ask_for_it() -> None:
    camera = Camera(
        name="gate", server="rec-1", url=SourceUrl("rtsp://10.0.0.1/"), ingest="native", ring_bytes=1 << 20
    )
    assert camera_config(camera).ingest == "native"
