"""Recording many cameras: CPU and memory beside the peers, and how cost grows with cameras."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from benchmarks import accounting, recorders
from benchmarks.cameras import BIT_RATE, cameras
from benchmarks.results import Row
from benchmarks.settings import Settings

_LATE_NS = 200_000_000
_LIGHT = BIT_RATE // 2


class Cost(NamedTuple):
    """Of one run. cpu: share of a core, by window. memory: bytes at the end; rings: of it shared.

    late_ns: the latest that the load was while it was looked at. lost: frames, by the recorder's own account;
    -1: it ended without one.
    """

    cpu: list[float]
    load_cpu: float
    memory: int
    rings: int
    written_per_s: float
    frames: int
    late_ns: int = 0
    lost: int = 0

    @property
    def trouble(self) -> str:
        """Why the figures are not those of cameras that are recorded whole; "" when they are."""
        parts = []
        if self.lost < 0:
            parts.append("the recorder did not end in time")
        if self.lost > 0:
            parts.append(
                f"{self.lost} of {self.frames} frames lost at {self.written_per_s / 1e6:.0f} MB/s to disk"
            )
        if self.late_ns > _LATE_NS:
            parts.append(f"the load was late by {self.late_ns / 1e9:.1f} s")
        return " and ".join(parts)

    @property
    def account(self) -> str:
        """How the run went."""
        return (
            f"load cameras {100 * self.load_cpu:.0f} % of a core, late by {self.late_ns / 1e6:.0f} ms; "
            f"{self.written_per_s / 1e6:.0f} MB/s to disk"
        )

    @property
    def median(self) -> float:
        return sorted(self.cpu)[len(self.cpu) // 2]


def measure(
    recorder: Callable[..., Any], count: int, settings: Settings, *options: str, bit_rate: int = BIT_RATE
) -> Cost:
    """Run a recorder on `count` cameras and look at it for `rounds` windows."""
    folder = settings.folder / "ingest"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with cameras(settings.folder, bit_rate) as load:
        with recorder(load, count, folder, *options) as pids:
            time.sleep(settings.warmup + count / 50)
            windows = []
            began, began_wall_ns = time.monotonic(), time.time_ns()
            load_before, written = accounting.cpu_ns([load.pid]), accounting.written_bytes(pids)
            for _ in range(settings.rounds):
                start, before = time.monotonic_ns(), accounting.cpu_ns(pids)
                time.sleep(settings.seconds)
                windows.append((accounting.cpu_ns(pids) - before) / (time.monotonic_ns() - start))
            took, ended_wall_ns = time.monotonic() - began, time.time_ns()
            cost = Cost(
                windows,
                (accounting.cpu_ns([load.pid]) - load_before) / took / 1e9,
                accounting.pss_bytes(pids),
                accounting.shared_pss_bytes(pids),
                (accounting.written_bytes(pids) - written) / took,
                0,
            )
        sent = load.stop()
        log = folder / "log"
        told = log.read_text(errors="replace") if log.exists() else ""
    shutil.rmtree(folder, ignore_errors=True)
    accounts = [int(lost) for lost in re.findall(r"(\d+) lost$", told, re.MULTILINE)]
    return cost._replace(
        frames=len(sent.frames),
        late_ns=sent.late_between(began_wall_ns, ended_wall_ns),
        lost=-1 if recorder is recorders.fovideo and not accounts else sum(accounts),
    )


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
    lines["fovideo"], failed = _line(costs)
    cpu.ours = [100 * each for each in ours.cpu]
    memory.ours = [ours.memory / count / 1e6]
    cpu.note = ours.account + failed
    if ours.trouble:
        cpu.what += f" ({ours.trouble})"
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
        lines["fovideo, native reader"], failed = _line(found)
        native.note = (
            f"memory a camera {found[count].memory / count / 1e6:.2f} MB; {found[count].account}{failed}"
        )
        if found[count].trouble:
            native.what += f" ({found[count].trouble})"
        if relay.theirs:
            native_relay.ours, native_relay.theirs = native.ours, relay.theirs
    else:
        native.skipped = native_relay.skipped = "this build has no native reader"
    light = _light(settings, lines) if _has_native() else []
    return [cpu, memory, native, *light, other, relay, native_relay], lines


def _line(found: dict[int, Cost]) -> tuple[list[tuple[int, float]], str]:
    """Points of a plot, and why others are not among them."""
    points = [(number, cost.median) for number, cost in sorted(found.items()) if not cost.trouble]
    failed = [
        f"; {number:,} cameras are not in the plot: {c.trouble}" for number, c in found.items() if c.trouble
    ]
    return points, "".join(failed)


def _light(settings: Settings, lines: dict[str, list[tuple[int, float]]]) -> list[Row]:
    """Many cameras at a rate that the disk takes: is their cost in proportion?"""
    if len(settings.light_line) < 2:
        return []
    found = {
        number: measure(recorders.fovideo, number, settings, "--ingest", "native", bit_rate=_LIGHT)
        for number in settings.light_line
    }
    few, many = min(found), max(found)
    name = f"fovideo, native reader, {_LIGHT / 1e6:.0f} Mbit/s"
    lines[name], failed = _line(found)
    trouble = found[many].trouble or found[few].trouble
    return [
        Row(
            what=f"ingest of {many:,} cameras, {_LIGHT / 1e6:.0f} Mbit/s, native reader: CPU"
            + (f" ({trouble})" if trouble else ""),
            unit="% of a core",
            ours=[100 * each for each in found[many].cpu],
            peer=f"{many / few:.0f} times that of {few}",
            theirs=[100 * each * many / few for each in found[few].cpu],
            target=1.0,
            lower=True,
            note=f"{found[many].account}; memory a camera {found[many].memory / many / 1e6:.2f} MB{failed}",
        )
    ]


def _has_native() -> bool:
    done = subprocess.run(
        [sys.executable, "-m", "fovideo", "record", "--help"], capture_output=True, text=True
    )
    return "--ingest" in done.stdout
