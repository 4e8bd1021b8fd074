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

CLIP = {"width": 1280, "height": 720, "seconds": 8.0, "gop": 25, "bit_rate": 2_000_000}


class Sent(NamedTuple):
    """What the load did. frames: rows of camera, frame number, wall clock ns at which it was sent."""

    frames: npt.NDArray[np.int64]
    began_wall_ns: int
    interval_ns: int
    late_ns: int
    stalled: int


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
            return Sent(data["sent"], *(int(data[name]) for name in Sent._fields[1:]))


def clip(folder: Path) -> Path:
    """The clip that all cameras play: 720p, 25 fps, 2 Mbit/s, a keyframe a second."""
    path = folder / "clip.mp4"
    if not path.exists():
        make_clip(path, **CLIP)  # type: ignore[arg-type]
    return path


@contextmanager
def cameras(folder: Path) -> Iterator[Cameras]:
    port_file, sent = folder / "port", folder / "sent.npz"
    port_file.unlink(missing_ok=True)
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.load", clip(folder), "--port-file", port_file, "--sent", sent]
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
