"""A site of real processes for end-to-end tests: the test serves the cameras, and may kill anything else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from free_ports import free_ports
from site_text import camera, machine

from fovideo.cli.demo_judge import recorded_numbers
from fovideo.replay import LoopSource, RtspServer, make_clip
from fovideo.store import Store


class SiteProcesses:
    """Cameras in this process, `fovideo serve` and `fovideo spare` as processes of their own."""

    def __init__(
        self, folder: Path, cameras: dict[str, LoopSource], rtsp: RtspServer, extra: str = ""
    ) -> None:
        self.folder, self.cameras, self.rtsp = folder, cameras, rtsp
        server_port, spare_port = free_ports(2)
        self.urls = {"rec-1": f"http://127.0.0.1:{server_port}", "spare-1": f"http://127.0.0.1:{spare_port}"}
        text = '[site]\nname = "test"\n'
        text += machine("server", "rec-1", server_port) + machine("spare", "spare-1", spare_port)
        for name, source in cameras.items():
            text += camera(name, rtsp.add_stream(name, source), 'backoff_max = "1s"\n')
        (folder / "site.toml").write_text(text + extra, encoding="utf-8")
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str) -> None:
        role, option = ("serve", "--server") if name == "rec-1" else ("spare", "--spare")
        with (self.folder / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                [sys.executable, "-m", "fovideo", "-v", role, str(self.folder / "site.toml"), option, name],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "COLUMNS": "200"},
            )

    def kill(self, name: str) -> None:
        process = self._processes.pop(name)
        assert process.poll() is None, f"{name} had died by itself:\n{self.log(name)}"
        process.kill()
        process.wait()

    def pause(self, name: str) -> None:
        self._processes[name].send_signal(signal.SIGSTOP)

    def resume(self, name: str) -> None:
        self._processes[name].send_signal(signal.SIGCONT)

    def stop(self, name: str) -> None:
        process = self._processes.pop(name)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0, self.log(name)

    def stop_all(self) -> None:
        for process in self._processes.values():
            process.kill()
            process.wait()
        self._processes.clear()

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(encoding="utf-8", errors="replace")[-4000:]

    def health(self, name: str) -> dict[str, Any]:
        """{} while it does not answer."""
        try:
            answer = httpx.get(self.urls[name] + "/v1/health", timeout=2)
        except httpx.HTTPError:
            return {}
        found: dict[str, Any] = answer.json() if answer.status_code == 200 else {}
        return found

    def wait_for(
        self, name: str, true: Callable[[dict[str, Any]], bool], what: str, patience_s: float = 60
    ) -> None:
        deadline = time.monotonic() + patience_s
        while not true(health := self.health(name)):
            if time.monotonic() > deadline:
                logs = "\n".join(f"--- {each}\n{self.log(each)}" for each in self.urls)
                raise AssertionError(f"waited in vain: {what}\nlast: {health}\n{logs}")
            time.sleep(0.05)

    def wait_recording(self, edge_ns: int = 1) -> None:
        """The server has all cameras on disk, up to that time."""

        def true(health: dict[str, Any]) -> bool:
            cameras = health.get("cameras", {})
            return all(cameras.get(name, {}).get("durable_to_ns", 0) >= edge_ns for name in self.cameras)

        self.wait_for("rec-1", true, "the server records")

    def wait_standby(self) -> None:
        """The spare receives all cameras."""

        def true(health: dict[str, Any]) -> bool:
            cameras = health.get("cameras", {})
            return all(cameras.get(name, {}).get("state") == "live" for name in self.cameras)

        self.wait_for("spare-1", true, "the spare stands by")

    def watched(self) -> dict[str, Any]:
        found: dict[str, Any] = self.health("spare-1").get("servers", {}).get("rec-1", {})
        return found

    def wait_taken_over(self) -> None:
        self.wait_for("spare-1", lambda health: _server(health).get("state") == "standing in", "takeover")

    def wait_handed_back(self) -> None:
        def true(health: dict[str, Any]) -> bool:
            server = _server(health)
            return server.get("state") == "watching" and not server.get("unmerged_frames")

        self.wait_for("spare-1", true, "hand-back", 90)

    def numbers(self, name: str, camera: str) -> dict[int, int]:
        """How often each frame, by its marker, stands in a process's store; {} before there is one."""
        number = list(self.cameras).index(camera)
        with Store.open(self.folder / name) as store:
            if camera not in [info.name for info in store.streams()]:
                return {}
            return dict(recorded_numbers(store, camera, number))


def _server(health: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = health.get("servers", {}).get("rec-1", {})
    return found


@contextmanager
def site_processes(folder: Path, cameras: int = 2, extra: str = "") -> Iterator[SiteProcesses]:
    """A site with small generated cameras; everything is gone afterwards."""
    sources = {}
    for number in range(cameras):
        clip = folder / f"cam{number}.mp4"
        make_clip(clip, width=160, height=96, seconds=4, gop=20, b_frames=2 * (number % 2), seed=number)
        sources[f"cam{number}"] = LoopSource(clip, marker=number)
    with RtspServer() as rtsp:
        site = SiteProcesses(folder, sources, rtsp, extra)
        try:
            yield site
        finally:
            site.stop_all()
