"""The recorder with real cameras over RTSP on loopback and a real store: nothing missing, nothing twice."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from disks import FullDisk
from footage import T0_NS, VIDEO, video
from free_ports import free_port
from read_camera import Server, garbage
from waiting import wait_until

from fovideo.camera import CameraConfig, CameraState
from fovideo.errors import FovideoError, StoreFull, UsageError
from fovideo.media.frames import Clock
from fovideo.record import (
    CameraStatus,
    Event,
    FramesLost,
    Mode,
    ModeChanged,
    Recorder,
    SessionBegan,
    StateChanged,
    StoreFailed,
    StoreRecovered,
)
from fovideo.replay import LoopSource, RtspServer, Settings, make_clip
from fovideo.store import Files, Store
from fovideo.timeline.endpoint import Stretch
from fovideo.timeline.values import Provenance
from fovideo.times import NS_PER_MS, NS_PER_S

QUICK = 100 * NS_PER_MS


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    make_clip(path, gop=10, seconds=2, audio="aac", width=160, height=96, b_frames=2)
    return path


@pytest.fixture
def server() -> Iterator[RtspServer]:
    with RtspServer() as made:
        yield made


class Rig:
    """A recorder with its store and the events it gave."""

    def __init__(self, folder: Path, *, files: Files | None = None, **settings: Any) -> None:
        self.store = Store.open(folder / "store", write=True, create=True, files=files)
        self.events: list[Event] = []
        self.recorder = Recorder(
            self.store, name="rec-1", durability_ns=QUICK, on_event=self.events.append, **settings
        )

    def add(self, url: str, name: str = "cam", **settings: Any) -> None:
        mode = settings.pop("mode", Mode.RECORD)
        quick = {
            "backoff_min_ns": 10 * NS_PER_MS,
            "backoff_max_ns": 100 * NS_PER_MS,
            "freeze_ns": 10 * NS_PER_S,
        }
        self.recorder.add(CameraConfig(name=name, url=url, **(quick | settings)), mode=mode)

    def status(self, name: str = "cam") -> CameraStatus:
        return self.recorder.status()[name]

    def wait_written(self, count: int, name: str = "cam") -> None:
        wait_until(lambda: self.status(name).written_frames >= count, f"{count} frames of {name}")

    def wait_state(self, state: CameraState, name: str = "cam") -> None:
        wait_until(lambda: self.status(name).state is state, f"{name} {state}")

    def video(self, name: str = "cam") -> np.ndarray:
        """All video frames of a stream with effective times, by time."""
        tables = [self.store.frames(name, gop) for gop in self.store.gops(name)]
        frames = np.concatenate(tables)
        frames = frames[frames["track"] == 1]
        return frames[np.argsort(frames["dts_ns"], kind="stable")]


@contextmanager
def rig(folder: Path, **settings: Any) -> Iterator[Rig]:
    made = Rig(folder, **settings)
    made.recorder.start()
    try:
        yield made
    finally:
        try:
            made.recorder.close()
        finally:
            made.store.close()


def numbers(source: LoopSource, frames: np.ndarray) -> list[int]:
    """Which frames of the camera these are, by digest and time."""
    sent = source.sent()
    by_digest: dict[int, list[tuple[int, int]]] = {}
    for frame in sent:
        by_digest.setdefault(frame.digest, []).append((frame.time_ns, frame.sequence))
    found = []
    for row in frames:
        time_ns = int(row["time_ns"])
        nearest = min(by_digest[int(row["digest"])], key=lambda pair: abs(pair[0] - time_ns))
        assert abs(nearest[0] - time_ns) < 2 * NS_PER_MS
        found.append(nearest[1])
    return found


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_every_frame_of_a_camera_is_there_once_at_its_time(
    tmp_path: Path, server: RtspServer, clip: Path, transport: str
) -> None:
    source = LoopSource(clip)
    with rig(tmp_path) as recording:
        recording.add(server.add_stream("cam", source), transport=transport)
        recording.wait_written(150)
        recording.recorder.remove("cam")
        video = recording.video()
    found = sorted(numbers(source, video))
    assert len(found) == len(set(found))
    if transport == "tcp":  # the network owes nothing to UDP
        assert found == list(range(found[0], found[-1] + 1))
    assert len(found) > 40
    assert set(video["clock"][10:]) == {Clock.SENDER_REPORT}


def test_frames_before_the_first_report_are_backdated(tmp_path: Path, clip: Path) -> None:
    source = LoopSource(clip, clock_offset_ns=-3600 * NS_PER_S)
    settings = Settings(first_sender_report_s=0.7)
    with RtspServer(settings=settings) as server, rig(tmp_path) as recording:
        recording.add(server.add_stream("cam", source), audio=False)
        recording.wait_written(50)
        recording.recorder.remove("cam")
        video = recording.video()
        rows = recording.store.gops("cam")
    assert {Clock.LOCAL, Clock.SENDER_REPORT} == set(video["clock"])
    assert any(row.shift_ns for row in rows)
    found = sorted(numbers(source, video))
    assert found == list(range(found[0], found[-1] + 1))


def test_a_step_of_the_cameras_clock_is_followed(tmp_path: Path, clip: Path) -> None:
    source = LoopSource(clip)
    with RtspServer(settings=Settings(sender_report_s=0.3)) as server, rig(tmp_path) as recording:
        recording.add(server.add_stream("cam", source), audio=False)
        recording.wait_written(20)
        source.step_clock(-3600 * NS_PER_S)
        recording.wait_written(60)
        recording.recorder.remove("cam")
        rows = recording.store.gops("cam")
        video = recording.video()
    assert len({row.epoch for row in rows}) == 2
    assert len(video) == len(np.unique(video["dts_ns"]))
    spread = video["time_ns"].max() - video["time_ns"].min()
    assert 3590 * NS_PER_S < spread < 3610 * NS_PER_S


def test_a_cut_connection_leaves_a_hole_and_two_sessions(
    tmp_path: Path, server: RtspServer, clip: Path
) -> None:
    source = LoopSource(clip)
    with rig(tmp_path) as recording:
        recording.add(server.add_stream("cam", source))
        recording.wait_written(40)
        server.cut("cam")
        wait_until(lambda: recording.status().sessions == 2, "the second session")
        recording.wait_written(recording.status().written_frames + 40)
        recording.recorder.remove("cam")
        video = recording.video()
        provenances = recording.store.provenances("cam")
        status_events = [event.state for event in recording.events if isinstance(event, StateChanged)]
    found = numbers(source, video)
    # A server may send the newest frame to both sessions; readers show it once (fovideo.timeline.choose).
    assert len(found) - len(set(found)) <= 3
    assert len({provenance.session for provenance in provenances.values()}) == 2
    assert CameraState.UNREACHABLE in status_events
    assert sum(isinstance(event, SessionBegan) for event in recording.events) == 2


def test_a_frozen_camera_is_noticed_and_comes_back(tmp_path: Path, server: RtspServer, clip: Path) -> None:
    source = LoopSource(clip)
    with rig(tmp_path) as recording:
        recording.add(server.add_stream("cam", source), freeze_ns=500 * NS_PER_MS)
        recording.wait_written(20)
        source.freeze()
        wait_until(
            lambda: (
                StateChanged("cam", CameraState.FROZEN, f"{server.url('cam')}: connected, but silent")
                in recording.events
            ),
            "the freeze",
        )
        source.thaw()
        recording.wait_state(CameraState.LIVE)
        recording.wait_written(recording.status().written_frames + 20)


def test_standby_takes_over_with_the_seconds_before(tmp_path: Path, server: RtspServer, clip: Path) -> None:
    source = LoopSource(clip)
    with rig(tmp_path) as recording:
        recording.add(server.add_stream("cam", source), mode=Mode.STANDBY, preroll_ns=NS_PER_S, audio=False)
        wait_until(lambda: recording.status().frames > 60, "more than the pre-roll")
        assert recording.store.streams() == []
        before = source.sent()[-1].sequence
        recording.recorder.set_mode("cam", Mode.RECORD, lease=3, pending=True)
        assert recording.recorder.flush(20)
        assert recording.status().mode is Mode.RECORD
        recording.wait_written(60)
        recording.recorder.set_mode("cam", Mode.STANDBY)
        assert recording.recorder.flush(20)
        assert recording.status().mode is Mode.STANDBY
        first = numbers(source, recording.video())
        assert first[0] <= before - 25
        assert sorted(first) == list(range(min(first), max(first) + 1))
        recording.recorder.set_mode("cam", Mode.RECORD, lease=4, pending=True)
        recording.wait_written(recording.status().written_frames + 20)
        recording.recorder.remove("cam")
        every = numbers(source, recording.video())
        leases = {provenance.lease for provenance in recording.store.provenances("cam").values()}
        rolls = [event.preroll_ns for event in recording.events if isinstance(event, ModeChanged)]
    assert len(every) == len(set(every))
    assert leases == {3, 4}
    assert rolls[0] >= NS_PER_S


def test_a_file_is_recorded_whole(tmp_path: Path, clip: Path) -> None:
    with rig(tmp_path) as recording:
        recording.add(str(clip))
        recording.wait_state(CameraState.ENDED)
        assert recording.recorder.flush(20)
        video = recording.video()
        assert recording.status().lost_frames == 0
    assert len(video) == 50
    assert np.diff(video["dts_ns"]).tolist() == [40 * NS_PER_MS] * 49
    assert not video["receipt_ns"].any()  # it was read at full speed: that tells nothing of its times


def test_bad_cameras_disturb_no_good_one(tmp_path: Path, server: RtspServer, clip: Path) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("no video")
    source = LoopSource(clip)
    with Server(garbage) as bad, rig(tmp_path) as recording:
        recording.add(bad.url, "garbage")
        recording.add(f"rtsp://127.0.0.1:{free_port()}/", "nobody")
        recording.add("rtsp://no-such-host.invalid/", "unknown")
        recording.add(str(text), "text")
        recording.add(server.add_stream("cam", source))
        recording.wait_written(60)
        for name in ("garbage", "nobody", "unknown", "text"):
            wait_until(lambda name=name: recording.status(name).reader.failures, f"{name} fails")
            assert recording.status(name).error
        recording.recorder.remove("cam")
        found = sorted(numbers(source, recording.video()))
    assert found == list(range(found[0], found[-1] + 1))


def test_a_full_disk_is_a_state_that_passes(tmp_path: Path, server: RtspServer, clip: Path) -> None:
    disk = FullDisk(1 << 40)
    source = LoopSource(clip)
    with rig(tmp_path, files=disk) as recording:
        recording.add(server.add_stream("cam", source))
        recording.wait_written(30)
        disk.room = 0
        wait_until(lambda: any(isinstance(event, StoreFailed) for event in recording.events), "the failure")
        assert "no room" in recording.recorder.store_status().error
        assert not recording.recorder.flush(0.01)
        assert recording.status().state is CameraState.LIVE
        disk.room = 1 << 40
        wait_until(
            lambda: any(isinstance(event, StoreRecovered) for event in recording.events), "the recovery"
        )
        assert recording.recorder.store_status().error == ""
        recording.recorder.remove("cam")
        found = sorted(numbers(source, recording.video()))
        assert recording.store.losses("cam") == []
    assert found == list(range(found[0], found[-1] + 1))


def test_a_disk_that_stays_full_fails_the_close(tmp_path: Path, server: RtspServer, clip: Path) -> None:
    disk = FullDisk(1 << 40)
    made = Rig(tmp_path, files=disk)
    made.add(server.add_stream("cam", LoopSource(clip)))
    made.recorder.start()
    made.wait_written(30)
    disk.room = 0
    wait_until(lambda: made.recorder.store_status().error, "the failure")
    with pytest.raises(StoreFull):
        made.recorder.close()
    disk.room = 1 << 40
    made.store.close()
    with Store.open(tmp_path / "store") as store:
        assert store.streams()[0].frames >= 30 // 3


def test_drops_are_told_when_the_disk_cannot_keep_up(tmp_path: Path, server: RtspServer, clip: Path) -> None:
    disk = FullDisk(1 << 40)
    source = LoopSource(clip, fps=Fraction(200))
    with rig(tmp_path, files=disk) as recording:
        recording.add(server.add_stream("cam", source), ring_bytes=64 << 10, audio=False)
        recording.wait_written(10)
        disk.room = 0
        wait_until(lambda: recording.status().dropped_frames > 20, "drops")
        disk.room = 1 << 40
        wait_until(lambda: any(isinstance(event, FramesLost) for event in recording.events), "the loss")
        recording.recorder.remove("cam")
        losses = recording.store.losses("cam")
        video = recording.video()
    found = sorted(numbers(source, video))
    assert len(found) == len(set(found))
    missing = found[-1] - found[0] + 1 - len(found)
    assert sum(loss.frames for loss in losses) >= missing > 0
    assert {loss.reason for loss in losses} == {"disk-slow"}


def test_a_stream_that_cannot_be_written_disturbs_no_other(
    tmp_path: Path, server: RtspServer, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with rig(tmp_path) as recording:
        real = recording.store.writer

        def writer(stream: str, *args: Any, **kwargs: Any) -> Any:
            if stream == "odd":
                raise ValueError("boom")
            return real(stream, *args, **kwargs)

        monkeypatch.setattr(recording.store, "writer", writer)
        url = server.add_stream("cam", LoopSource(clip))
        recording.add(url, "odd")
        recording.add(url)
        recording.wait_written(30)
        wait_until(lambda: recording.status("odd").failures, "a failure")
        assert recording.status("odd").lost_frames > 0
        wait_until(lambda: "ValueError" in recording.status("odd").error, "its error")


def test_a_listener_that_fails_disturbs_nothing(tmp_path: Path, clip: Path) -> None:
    def listener(event: Event) -> None:
        raise RuntimeError("boom")

    with Store.open(tmp_path / "store", write=True, create=True) as store:
        with Recorder(store, name="rec-1", durability_ns=QUICK, on_event=listener) as recorder:
            recorder.add(CameraConfig(name="cam", url=str(clip)))
            wait_until(lambda: recorder.status()["cam"].state is CameraState.ENDED, "the end")
        assert store.streams()[0].frames == 50


# life


def test_a_recorder_that_was_never_started(tmp_path: Path, clip: Path) -> None:
    made = Rig(tmp_path)
    made.add(str(clip))
    assert made.status().state is CameraState.STOPPED
    assert not made.recorder.flush(0.01)
    made.recorder.remove("cam")
    made.recorder.close()
    made.store.close()


def test_misuse_is_refused(tmp_path: Path, clip: Path) -> None:
    with rig(tmp_path) as recording:
        recording.add(str(clip))
        with pytest.raises(UsageError, match="already"):
            recording.add(str(clip))
        with pytest.raises(UsageError, match="no camera"):
            recording.recorder.remove("nobody")
        with pytest.raises(UsageError, match="no camera"):
            recording.recorder.set_mode("nobody", Mode.STANDBY)
        with pytest.raises(UsageError, match="once"):
            recording.recorder.start()
        recording.recorder.close()
        recording.recorder.close()
        with pytest.raises(UsageError, match="closed"):
            recording.add(str(clip), "other")
    with pytest.raises(FovideoError):
        Recorder(recording.store, name="x", durability_ns=0)


def test_closing_ends_all_threads(tmp_path: Path, server: RtspServer, clip: Path) -> None:
    before = set(threading.enumerate())
    url = server.add_stream("cam", LoopSource(clip))
    with rig(tmp_path) as recording:
        for number in range(3):
            recording.add(url, f"cam{number}")
        recording.add("rtsp://192.0.2.1/unroutable", "far")
        recording.wait_written(10, "cam0")
    alive = [thread.name for thread in set(threading.enumerate()) - before]
    assert [name for name in alive if name.startswith(("camera-", "writer-", "watch-"))] == []


def test_what_came_before_close_is_durable(tmp_path: Path, server: RtspServer, clip: Path) -> None:
    source = LoopSource(clip)
    with rig(tmp_path) as recording:
        recording.add(server.add_stream("cam", source), audio=False)
        wait_until(lambda: recording.status().frames > 30, "frames")
    ended = recording.recorder.status()["cam"]
    assert ended.state is CameraState.STOPPED
    with Store.open(tmp_path / "store") as store:
        assert sum(row.frames for row in store.gops("cam")) == ended.frames > 30


def test_footage_can_be_inserted_while_recording(tmp_path: Path, server: RtspServer, clip: Path) -> None:
    """As a server does that receives a merge: into the stream that is being recorded, and beside it."""
    source = LoopSource(clip)
    with Store.open(tmp_path / "old", write=True, create=True) as old:
        with old.writer(
            "cam", Provenance(recorder="spare-1", session="f" * 16, store=old.identity)
        ) as writer:
            writer.set_format((VIDEO,))
            writer.append(*video(0, 500), epoch=0)
        rows = old.gops("cam")
        with rig(tmp_path) as recording:
            recording.add(server.add_stream("cam", source), audio=False)
            recording.wait_written(10)
            for row in rows:
                stretch = Stretch(
                    stream="cam",
                    tracks=old.tracks("cam", row),
                    provenance=msgspec.structs.replace(
                        old.provenances("cam")[row.provenance], inserted_from=old.identity, inserted_ns=1
                    ),
                    generation=-1,
                    shift_ns=0,
                    epoch=0,
                    parts=(old.read("cam", row),),
                )
                recording.recorder.store.insert(stretch)
            recording.wait_written(recording.status().written_frames + 30)
            recording.recorder.remove("cam")
            frames = recording.video()
    inserted = frames[frames["time_ns"] < T0_NS + 1000 * NS_PER_S]
    assert len(inserted) == 500
    found = sorted(numbers(source, frames[500:]))
    assert found == list(range(found[0], found[-1] + 1))
