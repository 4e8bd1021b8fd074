"""The site of the demo: cameras, a recording server and a spare, each its own process."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import httpx
import msgspec

from fovideo.errors import FovideoError

POLL_S = 0.05


class DemoFailed(FovideoError):
    """The demo could not be carried through."""


class CameraProcess(msgspec.Struct, frozen=True):
    """A camera of the demo. Frame n of a looped one is captured at start_ns + n / fps, and marked so."""

    name: str
    number: int
    url: str
    start_ns: int = 0
    fps: float = 0.0

    @property
    def marked(self) -> bool:
        """Whether its frames are numbered."""
        return self.fps > 0

    def frame_at(self, time_ns: int) -> int:
        """Number of the last frame captured before a time."""
        return int((time_ns - self.start_ns) * self.fps / 1e9)


class DemoSite:
    """Starts and ends the processes of a site in a folder; kills none that it did not start."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._processes: dict[str, subprocess.Popen[str]] = {}
        self._logs: list[IO[str]] = []

    def start_camera(self, number: int, clip: Path) -> CameraProcess:
        """A looped clip over RTSP with markers; returns once it listens."""
        name = f"cam{number}"
        address = f"rtsp://127.0.0.1:0/{name}"
        options = ["--loop", "--mark", str(number), "--json"]
        process = self._start(
            name, ["replay", str(clip), "--serve", address, *options], stdout=subprocess.PIPE
        )
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise self._died(name)
        hello = json.loads(line)
        return CameraProcess(name, number, hello["url"], hello["start_ns"], hello["fps"])

    def write_config(self, cameras: list[CameraProcess], more: str = "") -> None:
        """site.toml for one server, one spare and these cameras, on free ports. more: other tables."""
        ports = _free_ports(2)
        lines = ["[site]", 'name = "demo"']
        for table, name, port in (("server", "rec-1", ports[0]), ("spare", "spare-1", ports[1])):
            lines += [f"[[{table}]]", f'name = "{name}"', f'listen = "127.0.0.1:{port}"', f'store = "{name}"']
        for camera in cameras:
            lines += ["[[camera]]", f'name = "{camera.name}"', 'server = "rec-1"', f'url = "{camera.url}"']
        (self.folder / "site.toml").write_text("\n".join([*lines, more]) + "\n", encoding="utf-8")

    def start(self, name: str, role: str) -> None:
        """Start the server or spare of that name ("serve"/"spare")."""
        option = "--server" if role == "serve" else "--spare"
        self._start(name, [role, str(self.folder / "site.toml"), option, name])

    def pid(self, name: str) -> int:
        """Of a server or spare that runs."""
        return self._processes[name].pid

    def kill(self, name: str) -> None:
        """SIGKILL (where there is none: the like of it)."""
        process = self._processes.pop(name)
        process.kill()
        process.wait()

    def stop(self, name: str) -> None:
        """Ask to stop and wait for it."""
        process = self._processes.pop(name)
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise DemoFailed("did not stop when asked", where=name, hint=self._log_hint(name)) from None

    def stop_all(self) -> None:
        """Stop whatever still runs, quietly."""
        for process in self._processes.values():
            process.terminate()
        for process in self._processes.values():
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._processes.clear()
        for log in self._logs:
            log.close()

    def wait_for(
        self, url: str, true: Callable[[dict[str, Any]], bool], what: str, timeout_s: float = 30
    ) -> dict[str, Any]:
        """Poll a health address until its answer satisfies `true`; DemoFailed says what was awaited."""
        answer: dict[str, Any] = {}
        deadline = time.monotonic() + timeout_s
        with httpx.Client(timeout=2) as client:
            while time.monotonic() < deadline:
                for name, process in self._processes.items():
                    if process.poll() is not None:
                        raise self._died(name)
                try:
                    answer = client.get(url + "/v1/health").json()
                    if true(answer):
                        return answer
                except (httpx.HTTPError, ValueError):
                    pass  # not up yet
                time.sleep(POLL_S)
        raise DemoFailed(
            f"waited {timeout_s:.0f} s in vain: {what}", where=url, hint=f"last answer: {answer}"
        )

    def _start(self, name: str, arguments: list[str], stdout: int | None = None) -> subprocess.Popen[str]:
        log = (self.folder / f"{name}.log").open("a", encoding="utf-8")
        self._logs.append(log)
        process = subprocess.Popen(
            [sys.executable, "-m", "fovideo", "-v", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=log if stdout is None else stdout,
            stderr=log,
            text=True,
        )
        self._processes[name] = process
        return process

    def _died(self, name: str) -> DemoFailed:
        status = self._processes[name].wait()
        return DemoFailed(f"ended with status {status}", where=name, hint=self._log_hint(name))

    def _log_hint(self, name: str) -> str:
        log = (self.folder / f"{name}.log").read_text(encoding="utf-8", errors="replace").strip()
        return f"its log ends: {log.splitlines()[-1]}" if log else "its log is empty"


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [int(each.getsockname()[1]) for each in sockets]
    for each in sockets:
        each.close()
    return ports


@contextmanager
def demo_site(folder: Path) -> Iterator[DemoSite]:
    """A DemoSite whose processes are gone afterwards, however the demo ends."""
    site = DemoSite(folder)
    try:
        yield site
    finally:
        site.stop_all()
