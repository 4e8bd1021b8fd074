"""Cameras read by workers: one that is killed takes down its own cameras only, what is in a ring stays."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from waiting import wait_until

from fovideo.camera import CameraConfig, CameraState
from fovideo.errors import UsageError
from fovideo.record import CameraStatus, Mode, Recorder, StateChanged
from fovideo.replay import LoopSource, RtspServer, make_clip
from fovideo.store import Store
from fovideo.times import NS_PER_MS, NS_PER_S

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="rings are shared on Linux only")

LONG = 60 * NS_PER_S
"""A durability interval that leaves everything in the rings until it is flushed."""


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    make_clip(path, gop=10, seconds=2, width=160, height=96)
    return path


@pytest.fixture
def server() -> Iterator[RtspServer]:
    with RtspServer() as made:
        yield made


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "store", write=True, create=True) as made:
        yield made


def camera(name: str, url: str, ingest: str) -> CameraConfig:
    return CameraConfig(
        name=name,
        url=url,
        ingest=ingest,  # type: ignore[arg-type]
        backoff_min_ns=10 * NS_PER_MS,
        backoff_max_ns=100 * NS_PER_MS,
        freeze_ns=20 * NS_PER_S,
    )


def digests(store: Store, name: str) -> list[int]:
    """Of all video frames, by time."""
    frames = np.concatenate([store.frames(name, gop) for gop in store.gops(name)])
    return [int(each) for each in frames[np.argsort(frames["dts_ns"], kind="stable")]["digest"]]


@pytest.mark.parametrize("ingest", ["pyav", "native"])
def test_a_killed_worker_loses_nothing_that_was_in_a_ring(
    server: RtspServer, clip: Path, store: Store, ingest: str
) -> None:
    sources = {name: LoopSource(clip) for name in ("one", "two", "three")}
    events: list[object] = []
    with Recorder(store, name="rec-1", durability_ns=LONG, workers=2, on_event=events.append) as recorder:
        for name, source in sources.items():
            recorder.add(camera(name, server.add_stream(name, source), ingest))

        def status(name: str) -> CameraStatus:
            return recorder.status()[name]

        wait_until(lambda: all(status(name).frames >= 30 for name in sources), "frames of all", 60)
        assert status("one").written_frames == 0
        (first, _), before = recorder.workers, status("one").frames
        os.kill(first, signal.SIGKILL)
        wait_until(lambda: status("one").sessions == 2, "the worker reads again", 60)
        wait_until(lambda: status("one").frames >= before + 20, "frames of the second session", 60)
        assert len(recorder.workers) == 2
        assert first not in recorder.workers
        assert [status(name).sessions for name in ("two", "three")] == [1, 2]
        assert status("one").reader.failures == {CameraState.UNREACHABLE: 1}
        assert recorder.flush(60)
        for name in sources:
            recorder.remove(name)
    told = [each for each in events if isinstance(each, StateChanged) and each.error]
    assert {each.camera for each in told} == {"one", "three"}
    assert all("the worker process that read it was killed by SIGKILL" in each.error for each in told)
    for name, source in sources.items():
        sent = {frame.digest: frame.sequence for frame in source.sent()}  # the clip is played again and again
        got = [sent[each] for each in digests(store, name)]
        loop = len(sent)
        jumps = [(after - last) % loop for last, after in itertools.pairwise(got)]
        holes = [jump for jump in jumps if jump != 1 % loop]
        assert len(holes) <= (0 if name == "two" else 1), jumps
    assert len(digests(store, "one")) >= before + 20


def test_a_camera_of_a_worker_comes_and_goes(server: RtspServer, clip: Path, store: Store) -> None:
    url = server.add_stream("cam", LoopSource(clip))
    with Recorder(store, name="rec-1", durability_ns=NS_PER_S // 5, workers=1) as recorder:
        for _ in range(2):
            recorder.add(camera("cam", url, "native"), mode=Mode.STANDBY)
            wait_until(lambda: recorder.status()["cam"].frames >= 5, "frames in standby", 60)
            recorder.set_mode("cam", Mode.RECORD)
            wait_until(lambda: recorder.status()["cam"].written_frames >= 5, "written frames", 60)
            recorder.remove("cam")
            assert recorder.status() == {}
        pids = recorder.workers
        assert len(pids) == 1
    assert recorder.workers == []
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)


def test_workers_end_with_a_recorder_that_dies(tmp_path: Path, server: RtspServer, clip: Path) -> None:
    program = """
import sys, time
from fovideo.camera import CameraConfig
from fovideo.record import Recorder
from fovideo.store import Store
store = Store.open(sys.argv[1], write=True, create=True)
recorder = Recorder(store, name="x", workers=1)
recorder.add(CameraConfig(name="cam", url=sys.argv[2]))
recorder.start()
while not recorder.status()["cam"].frames:
    time.sleep(0.02)
print(recorder.workers[0], flush=True)
time.sleep(600)
"""
    url = server.add_stream("cam", LoopSource(clip))
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "store"), url],
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(part for part in sys.path if part)},
    )
    assert process.stdout is not None
    pid = int(process.stdout.readline())
    process.kill()
    process.wait()
    process.stdout.close()
    wait_until(lambda: not Path(f"/proc/{pid}/cmdline").exists() or not _cmdline(pid), "the worker's end", 30)


def _cmdline(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def test_a_negative_number_of_workers_is_refused(store: Store) -> None:
    with pytest.raises(UsageError, match="workers"):
        Recorder(store, name="x", workers=-1)
