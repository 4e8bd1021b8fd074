"""A whole site on loopback: looped cameras over RTSP, servers as processes, a spare in this process."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from cutting_proxy import CuttingProxy, cutting_proxy
from free_ports import free_port
from site_text import QUICK, camera, machine

from fovideo.cli.demo_judge import recorded_numbers
from fovideo.errors import FovideoError
from fovideo.peer import Health, Probe
from fovideo.replay import LoopSource, RtspServer, make_clip
from fovideo.service.events import Event, HandedBack
from fovideo.service.spare import Spare
from fovideo.site import load_site
from fovideo.store import Store
from fovideo.times import NS_PER_S


def until(true: Callable[[], bool], what: str, timeout_s: float = 60) -> None:
    """Wait until something is true, looking often."""
    pause, deadline = threading.Event(), time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < deadline, f"waited {timeout_s:.0f} s in vain: {what}"
        pause.wait(0.03)


class Process:
    """`fovideo serve` or `fovideo spare` in a process of its own. kind: "server" or "spare"."""

    def __init__(self, site_file: Path, kind: str = "server", name: str = "rec-1") -> None:
        site = load_site(site_file)
        command = "serve" if kind == "server" else kind
        self._command = [sys.executable, "-m", "fovideo", command, str(site_file), f"--{kind}", name]
        self._log = site_file.with_name(f"{name}.log")
        self._process: subprocess.Popen[bytes] | None = None
        endpoint = site.server(name) if kind == "server" else site.spare(name)
        self.probe = Probe(endpoint.reached_at, timeout_ns=NS_PER_S)

    @property
    def runs(self) -> bool:
        return self._process is not None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def health(self) -> Health | None:
        assert self._process is not None
        assert self._process.poll() is None, self._log.read_text()
        try:
            return self.probe.ask()
        except FovideoError:
            return None

    def records(self, cameras: Sequence[str], edge_ns: int = 1) -> bool:
        """Whether everything up to a time is on its disk."""
        health = self.health()
        return health is not None and all(health.cameras[name].durable_to_ns >= edge_ns for name in cameras)

    def state(self, server: str) -> str:
        """Of a spare: what it does about a server."""
        health = self.health()
        return "" if health is None else health.servers[server].state

    def hears(self, cameras: Sequence[str]) -> bool:
        """Of a spare: whether the cameras deliver to it."""
        health = self.health()
        return health is not None and all(health.cameras[name].state == "live" for name in cameras)

    def signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def _end(self, number: int) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(number)
            if number == signal.SIGKILL:
                process.send_signal(signal.SIGCONT)
            process.wait(timeout=60)

    def close(self) -> None:
        self.kill()
        self.probe.close()


class WholeSite:
    """A site with cameras "cam0".., server "rec-1" and spare "spare-1"."""

    def __init__(
        self, folder: Path, sources: Sequence[LoopSource], rtsp: RtspServer, proxy: CuttingProxy | None = None
    ) -> None:
        """proxy: what lies between the server and its last camera, but not between the spare and it."""
        self.folder, self.sources = folder, list(sources)
        self.cameras = [f"cam{number}" for number in range(len(sources))]
        urls = [
            rtsp.add_stream(f"/{name}", source) for name, source in zip(self.cameras, sources, strict=True)
        ]
        self._ports = free_port(), free_port()
        self.file = self.write("site.toml", urls)
        if proxy is not None:
            urls[-1] = f"rtsp://127.0.0.1:{proxy.port}/{self.cameras[-1]}"
        self.server = Process(self.write("server.toml", urls))
        self.events: list[Event] = []
        self._spare: Spare | None = None
        self.begin_ns = 0
        self.proxy = proxy

    def write(self, name: str, urls: Sequence[str]) -> Path:
        """A site.toml with these addresses of the cameras."""
        text = f'[site]\nname = "test"\n{QUICK}'
        text += machine("server", "rec-1", self._ports[0]) + machine("spare", "spare-1", self._ports[1])
        text += "".join(camera(name, url) for name, url in zip(self.cameras, urls, strict=True))
        path = self.folder / name
        path.write_text(text)
        return path

    @property
    def spare(self) -> Spare:
        assert self._spare is not None
        return self._spare

    def start_spare(self) -> None:
        self._spare = Spare(load_site(self.file), "spare-1", on_event=self.events.append)
        self._spare.start()

    def stop_spare(self) -> None:
        if self._spare is not None:
            self._spare.stop()
            self._spare = None

    def settle_in(self) -> None:
        """Start both, and wait until all is well; from here on, every frame counts."""
        self.server.start()
        until(lambda: self.server.records(self.cameras), "the server records")
        self.start_spare()
        until(lambda: all(c.state == "live" for c in self.spare.health().cameras.values()), "the spare hears")
        self.begin_ns = time.time_ns()
        until(lambda: self.state == "watching", "the spare is at rest")
        edge_ns = time.time_ns()
        until(lambda: self.server.records(self.cameras, edge_ns), "the server is up to date")

    @property
    def state(self) -> str:
        return self.spare.health().servers["rec-1"].state

    def wait_for_state(self, state: str) -> None:
        until(lambda: self.state == state, f"{state} (now {self.state})")

    def handbacks(self) -> int:
        return sum(isinstance(event, HandedBack) and event.over for event in self.events)

    def check_every_frame_once(self, *, except_ns: tuple[int, int] = (0, 0)) -> None:
        """Stop everything once the server has all up to now: its timeline has each sent frame, once.

        except_ns: from when to when frames may be missing.
        """
        end_ns = time.time_ns()
        until(lambda: self.server.records(self.cameras, end_ns), "the server has the last frames")
        if self._spare is not None:
            until(lambda: self.state == "watching", "all is handed back")
        self.stop_spare()
        self.server.stop()
        with Store.open(self.folder / "rec-1") as store:
            for number, (camera, source) in enumerate(zip(self.cameras, self.sources, strict=True)):
                found = recorded_numbers(store, camera, number)
                sent = [
                    frame.sequence
                    for frame in source.sent(self.begin_ns, end_ns)
                    if not except_ns[0] <= frame.time_ns < except_ns[1]
                ]
                assert len(sent) > 50
                missing = [sequence for sequence in sent if sequence not in found]
                twice = [sequence for sequence, count in found.items() if count > 1]
                facts = f"{camera}: missing {missing[:9]}, twice {twice[:9]} of {sent[0]}..{sent[-1]}"
                assert not missing, facts
                assert not twice, facts

    def close(self) -> None:
        self.stop_spare()
        self.server.close()


@contextmanager
def whole_site(folder: Path, cameras: int = 2, *, proxied: bool = False) -> Iterator[WholeSite]:
    sources = []
    for number in range(cameras):
        clip = folder / f"clip{number}.mp4"
        make_clip(
            clip, width=160, height=96, gop=20 + 5 * number, b_frames=2 * number, seconds=3, seed=number
        )
        sources.append(LoopSource(clip, marker=number))
    with RtspServer("127.0.0.1", 0) as rtsp, contextlib.ExitStack() as stack:
        proxy = stack.enter_context(cutting_proxy(rtsp.port)) if proxied else None
        site = stack.enter_context(contextlib.closing(WholeSite(folder, sources, rtsp, proxy)))
        yield site
