"""Cameras served by GStreamer, an RTSP server that is not ours, with footage of ../shared."""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from free_ports import free_port

SHARED = Path(__file__).resolve().parents[3] / "shared"
_PYTHON = Path("/usr/bin/python3")  # PyGObject belongs to the system's Python
_WITHOUT_GST = (
    "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import GstRtspServer"
)


def require() -> None:
    """Skip the test where footage, GStreamer or ffmpeg is absent."""
    if not (SHARED / "tools" / "gst_camera.py").exists():
        pytest.skip("../shared/tools/gst_camera.py is absent")
    if not _PYTHON.exists() or subprocess.run([_PYTHON, "-c", _WITHOUT_GST], capture_output=True).returncode:
        pytest.skip("GStreamer's RTSP server is absent")
    if shutil.which("ffmpeg") is None:
        pytest.skip("ffmpeg is absent")


def access_units(clip: str, folder: Path) -> Path:
    """A clip of ../shared/clips as the Annex B file with delimiters that gst_camera.py wants."""
    path = folder / "camera.h264"
    filters = "h264_mp4toannexb,h264_metadata=aud=insert"
    command = ["ffmpeg", "-loglevel", "error", "-y", "-i", str(SHARED / "clips" / clip)]
    command += ["-an", "-c:v", "copy", "-bsf:v", filters, "-f", "h264", str(path)]
    subprocess.run(command, check=True)
    return path


class GstCameras:
    """A running server; its process can be stopped, continued and killed."""

    def __init__(self, path: Path, *, count: int = 1, fps: int = 25, port: int = 0) -> None:
        self.port = port or free_port()
        script = SHARED / "tools" / "gst_camera.py"
        self._process = subprocess.Popen(
            [_PYTHON, script, path, str(count), str(self.port), str(fps)], stdout=subprocess.PIPE
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline().startswith(b"ready")

    def url(self, number: int = 0) -> str:
        return f"rtsp://127.0.0.1:{self.port}/cam{number}"

    def freeze(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


@contextmanager
def gst_cameras(path: Path, *, count: int = 1, fps: int = 25, port: int = 0) -> Iterator[GstCameras]:
    server = GstCameras(path, count=count, fps=fps, port=port)
    try:
        yield server
    finally:
        server.kill()
