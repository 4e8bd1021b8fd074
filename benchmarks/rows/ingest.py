"""Recording many cameras: CPU and memory beside the peers, and how cost grows with cameras."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from benchmarks import accounting, recorders
from benchmarks.cameras import cameras
from benchmarks.results import Row
from benchmarks.settings import Settings


class Cost(NamedTuple):
    """Of one run. cpu: share of a core, by window. memory: bytes at the end; rings: of it shared."""

    cpu: list[float]
    load_cpu: float
    memory: int
    rings: int
    written_per_s: float
    frames: int

    @property
    def median(self) -> float:
        return sorted(self.cpu)[len(self.cpu) // 2]


def measure(recorder: Callable[..., Any], count: int, settings: Settings, *options: str) -> Cost:
    """Run a recorder on `count` cameras and look at it for `rounds` windows."""
    folder = settings.folder / "ingest"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with cameras(settings.folder) as load:
        with recorder(load, count, folder, *options) as pids:
            time.sleep(settings.warmup + count / 50)
            windows = []
            began = time.monotonic()
            load_before, written = accounting.cpu_ns([load.pid]), accounting.written_bytes(pids)
            for _ in range(settings.rounds):
                start, before = time.monotonic_ns(), accounting.cpu_ns(pids)
                time.sleep(settings.seconds)
                windows.append((accounting.cpu_ns(pids) - before) / (time.monotonic_ns() - start))
            took = time.monotonic() - began
            cost = Cost(
                windows,
                (accounting.cpu_ns([load.pid]) - load_before) / took / 1e9,
                accounting.pss_bytes(pids),
                accounting.shared_pss_bytes(pids),
                (accounting.written_bytes(pids) - written) / took,
                0,
            )
        frames = len(load.stop().frames)
    shutil.rmtree(folder, ignore_errors=True)
    return cost._replace(frames=frames)


def rows(settings: Settings) -> tuple[list[Row], dict[str, list[tuple[int, float]]]]:
    """The rows, and the lines of the plot: (cameras, cores) by recorder."""
    count = settings.cameras
    name = f"ingest of {count} cameras, 25 fps, 2 Mbit/s"
    cpu = Row(
        what=f"{name}: CPU", unit="% of a core", peer="ffmpeg -c copy, one a camera", target=0.5, lower=True
    )
    memory = Row(what=f"{name}: memory a camera", unit="MB PSS", peer=cpu.peer, target=0.1, lower=True)
    other = Row(
        what=f"{name}: CPU beside motion",
        unit="% of a core",
        peer="motion, pass-through",
        target=1.0,
        lower=True,
    )
    relay = Row(
        what=f"{name}: CPU beside MediaMTX",
        unit="% of a core",
        peer="MediaMTX, recording as fMP4",
        target=1.0,
        lower=True,
    )
    native_relay = msgspec.structs.replace(relay, what=f"{name}, native reader: CPU beside MediaMTX")
    native = Row(
        what=f"{name}, native reader: CPU", unit="% of a core", peer=cpu.peer, target=0.1, lower=True
    )
    lines: dict[str, list[tuple[int, float]]] = {}
    costs = {
        number: measure(recorders.fovideo, number, settings) for number in settings.line if number != count
    }
    costs[count] = ours = measure(recorders.fovideo, count, settings)  # last: the peers come next
    lines["fovideo"] = [(number, costs[number].median) for number in sorted(costs)]
    cpu.ours = [100 * each for each in ours.cpu]
    memory.ours = [ours.memory / count / 1e6]
    cpu.note = (
        f"load cameras {100 * ours.load_cpu:.0f} % of a core; {ours.written_per_s / 1e6:.0f} MB/s to disk"
    )
    memory.note = f"of it {ours.rings / count / 1e6:.2f} MB in rings"
    if recorders.has("ffmpeg"):
        peer = measure(recorders.ffmpeg, count, settings)
        cpu.theirs = [100 * each for each in peer.cpu]
        memory.theirs = [peer.memory / count / 1e6]
        lines["ffmpeg"] = [(count, peer.median)]
    else:
        cpu.skipped = memory.skipped = "ffmpeg is not installed"
    if recorders.has("motion"):
        few = min(count, 8)
        peer = measure(recorders.motion, few, settings)
        other.ours = [each / count * few for each in cpu.ours]
        other.theirs = [100 * each for each in peer.cpu]
        other.what = f"ingest of {few} cameras (ours in proportion)"
    else:
        other.skipped = "motion is not installed"
    if recorders.has("mediamtx"):
        peer = measure(recorders.mediamtx, count, settings)
        relay.ours, relay.theirs = cpu.ours, [100 * each for each in peer.cpu]
        relay.note = f"memory a camera {peer.memory / count / 1e6:.2f} MB"
        lines["MediaMTX"] = [(count, peer.median)]
    else:
        relay.skipped = native_relay.skipped = (
            "mediamtx is not installed (python -m benchmarks.mediamtx builds it)"
        )
    if _has_native():
        numbers = [*(number for number in settings.native_line if number != count), count]
        found = {
            number: measure(recorders.fovideo, number, settings, "--ingest", "native") for number in numbers
        }
        native.ours, native.theirs = [100 * each for each in found[count].cpu], cpu.theirs
        lines["fovideo, native reader"] = [(number, found[number].median) for number in sorted(found)]
        if relay.theirs:
            native_relay.ours, native_relay.theirs = native.ours, relay.theirs
        native.note = f"memory a camera {found[count].memory / count / 1e6:.2f} MB"
    else:
        native.skipped = native_relay.skipped = "this build has no native reader"
    return [cpu, memory, native, other, relay, native_relay], lines


def _has_native() -> bool:
    done = subprocess.run(
        [sys.executable, "-m", "fovideo", "record", "--help"], capture_output=True, text=True
    )
    return "--ingest" in done.stdout
