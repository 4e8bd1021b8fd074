"""The load cameras as a context: starts benchmarks.load and ends it."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fovideo.replay import make_clip

CLIP = {"width": 1280, "height": 720, "seconds": 8.0, "gop": 25}
BIT_RATE = 2_000_000


class Sent(NamedTuple):
    """What the load did. frames: rows of camera, frame number, wall clock ns at which it was sent.
    lateness: rows of a second of the wall clock, and the latest that the load was in it, ns.
    """

    frames: npt.NDArray[np.int64]
    lateness: npt.NDArray[np.int64]
    began_wall_ns: int
    interval_ns: int
    late_ns: int
    stalled: int

    def late_between(self, start_ns: int, end_ns: int) -> int:
        """The latest that the load was between two times of the wall clock, ns."""
        seconds = self.lateness[:, 0]
        return int(
            self.lateness[(seconds >= start_ns // 10**9) & (seconds <= end_ns // 10**9), 1].max(initial=0)
        )


class Cameras:
    """Running load cameras. pid: of the load process."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, sent: Path) -> None:
        self._process, self.port, self._sent = process, port, sent
        self.pid = process.pid

    def url(self, camera: int) -> str:
        return f"rtsp://127.0.0.1:{self.port}/{camera}"

    def stop(self) -> Sent:
        """End the load; what it sent."""
        self._process.terminate()
        self._process.wait(60)
        with np.load(self._sent) as data:
            return Sent(data["sent"], data["lateness"], *(int(data[name]) for name in Sent._fields[2:]))


def clip(folder: Path, bit_rate: int = BIT_RATE) -> Path:
    """The clip that all cameras play: 720p, 25 fps, a keyframe a second."""
    path = folder / f"clip-{bit_rate}.mp4"
    if not path.exists():
        make_clip(path, **CLIP | {"bit_rate": bit_rate})  # type: ignore[arg-type]
    return path


@contextmanager
def cameras(folder: Path, bit_rate: int = BIT_RATE) -> Iterator[Cameras]:
    port_file, sent = folder / "port", folder / "sent.npz"
    port_file.unlink(missing_ok=True)
    played = clip(folder, bit_rate)
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.load", played, "--port-file", port_file, "--sent", sent]
    )
    try:
        while not port_file.exists():
            if process.poll() is not None:
                raise RuntimeError("the load cameras did not start")
            time.sleep(0.05)
        yield Cameras(process, int(port_file.read_text()), sent)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
