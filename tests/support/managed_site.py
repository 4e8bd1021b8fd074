"""A managed site of real processes: cameras in this process, "mgmt", "rec-1" and "spare-1" beside it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from free_ports import free_ports
from site_text import QUICK
from whole_site import until

from fovideo.errors import FovideoError
from fovideo.peer import Health, ManagementClient, Probe, find_manager
from fovideo.peer.credentials import Credentials
from fovideo.replay import LoopSource, RtspServer, make_clip
from fovideo.times import NS_PER_S

TOKEN = "open-sesame"
COMMANDS = {"mgmt": ("manage", "--name"), "rec-1": ("serve", "--server"), "spare-1": ("spare", "--spare")}

HOOK = """
import json, os, sys
told = {key: value for key, value in os.environ.items() if key.startswith("FOVIDEO_")}
told["others"] = sorted(key for key in os.environ if "SECRET" in key)
with open(sys.argv[1], "a") as file:
    file.write(json.dumps(told) + "\\n")
"""


class ManagedSite:
    def __init__(self, folder: Path, rtsp: RtspServer, cameras: int) -> None:
        self.folder = folder
        clip = folder / "clip.mp4"
        make_clip(clip, width=160, height=96, gop=20, seconds=3)
        self.sources = [LoopSource(clip, marker=number) for number in range(cameras)]
        self._urls = [rtsp.add_stream(f"cam{n}", source) for n, source in enumerate(self.sources)]
        ports = free_ports(6)
        self.http = dict(zip(COMMANDS, ports[:3], strict=True))
        self.rtsp = dict(zip(COMMANDS, ports[3:], strict=True))
        (folder / "hook.py").write_text(HOOK)
        self.hooked = folder / "hooked.txt"
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self.credentials = Credentials(token=TOKEN)

    def text(self, cameras: int) -> str:
        """The site with its first `cameras` cameras."""
        parts = [f'[site]\nname = "test"\ntoken = "{TOKEN}"\n{QUICK}']
        for table, name in (("management", "mgmt"), ("server", "rec-1"), ("spare", "spare-1")):
            folder = "folder" if table == "management" else "store"
            parts.append(
                f'[[{table}]]\nname = "{name}"\nlisten = "127.0.0.1:{self.http[name]}"\n{folder} = "{name}"\n'
                f'restream = "127.0.0.1:{self.rtsp[name]}"\n'
            )
            if table == "server":
                parts.append('attached = ["serial line of the gate", "relay board"]\n')
        command = json.dumps([sys.executable, str(self.folder / "hook.py"), str(self.hooked)])
        parts.append(f"[[hook]]\ncommand = {command}\n")
        for number, url in enumerate(self._urls[:cameras]):
            parts.append(f'[[camera]]\nname = "cam{number}"\nserver = "rec-1"\nurl = "{url}"\n')
        return "\n".join(parts)

    def write(self, cameras: int) -> Path:
        path = self.folder / "site.toml"
        path.write_text(self.text(cameras))
        return path

    def start(self, *names: str, environ: dict[str, str] | None = None) -> None:
        for name in names:
            command, option = COMMANDS[name]
            site_file = str(self.folder / "site.toml")
            arguments = [sys.executable, "-m", "fovideo", "-v", command, site_file, option, name]
            with (self.folder / f"{name}.log").open("ab") as log:
                self._processes[name] = subprocess.Popen(
                    arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environ
                )

    def kill(self, *names: str) -> None:
        for name in names:
            process = self._processes.pop(name)
            process.kill()
            process.wait()

    def health(self, name: str) -> Health | None:
        process = self._processes[name]
        assert process.poll() is None, (self.folder / f"{name}.log").read_text()
        probe = Probe(f"http://127.0.0.1:{self.http[name]}", TOKEN, timeout_ns=2 * NS_PER_S)
        try:
            return probe.ask()
        except FovideoError:
            return None
        finally:
            probe.close()

    def records(self, name: str, cameras: int) -> bool:
        """Whether a process records or hears exactly so many cameras."""
        health = self.health(name)
        if health is None or len(health.cameras) != cameras:
            return False
        if name == "rec-1":
            return all(camera.durable_to_ns for camera in health.cameras.values())
        return all(camera.state == "live" for camera in health.cameras.values())

    def manager(self) -> ManagementClient:
        urls = [f"http://127.0.0.1:{self.http[name]}" for name in ("spare-1", "mgmt")]
        return find_manager(urls, credentials=self.credentials)

    def wait_for_manager(self, name: str) -> ManagementClient:
        found: list[ManagementClient] = []

        def managed() -> bool:
            process = self._processes[name]
            assert process.poll() is None, (self.folder / f"{name}.log").read_text()
            try:
                client = self.manager()
                if client.status().name == name:
                    found.append(client)
            except FovideoError:
                pass
            return bool(found)

        until(managed, f"{name} manages the site")
        return found[0]

    def hooks(self) -> list[dict[str, str]]:
        """What hooks were told, in order."""
        if not self.hooked.exists():
            return []
        return [json.loads(line) for line in self.hooked.read_text().splitlines()]

    def close(self) -> None:
        self.kill(*list(self._processes))


@contextmanager
def managed_site(folder: Path, cameras: int = 2) -> Iterator[ManagedSite]:
    with RtspServer() as rtsp:
        site = ManagedSite(folder, rtsp, cameras)
        try:
            yield site
        finally:
            site.close()
