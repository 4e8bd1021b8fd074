"""A busy Python thread beside the recorder: what it loses, and what comes late.

The control is a busy process that shares only the cores with the recorder, not its interpreter.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from benchmarks.cameras import Sent, cameras
from benchmarks.results import Row
from benchmarks.settings import Settings
from fovideo.segment import decode_table
from fovideo.store import Store

LATE_NS = 10_000_000
_BEGIN = 25  # frames of a session: its first second


class Outcome(NamedTuple):
    """lost: frames that the recorder says it lost or that are missing between its first and last.

    delays: ns from when a frame's end could be known (the next one was sent) to its receipt, of each frame.
    settled: those of them that are not of a session's first second.
    """

    lost: int
    delays: npt.NDArray[np.int64]
    settled: npt.NDArray[np.int64]


def run(settings: Settings, *options: str) -> Outcome:
    folder = settings.folder / "busy"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    seconds = settings.warmup + settings.rounds * settings.seconds
    with cameras(settings.folder) as load:
        command = [sys.executable, "-m", "benchmarks.embed", str(folder / "store"), str(load.port)]
        done = subprocess.run(
            [*command, str(settings.cameras), str(seconds), *options],
            check=True,
            capture_output=True,
            text=True,
            cwd=Path(__file__).resolve().parent.parent.parent,
        )
        sent = load.stop()
    outcome = _judge(folder / "store", sent, settings.cameras)
    shutil.rmtree(folder, ignore_errors=True)
    return outcome._replace(lost=outcome.lost + int(done.stdout))


def _judge(path: Path, sent: Sent, count: int) -> Outcome:
    """Compare when frames were received with when they were sent, and look for numbers that are missing."""
    store = Store.open(path)
    lost, delays = 0, [np.zeros(0, np.int64)]
    for camera in range(count):
        name = f"c{camera}"
        left = sent.frames[sent.frames[:, 0] == camera]
        numbers, received = [], []
        for row in store.gops(name):
            table = decode_table(row.table)
            times = table["time_ns"] + row.shift_ns - sent.began_wall_ns
            numbers.append((times + sent.interval_ns // 2) // sent.interval_ns)
            received.append(table["receipt_ns"])
        if not numbers:
            lost += len(left)
            continue
        mine, at = np.concatenate(numbers), np.concatenate(received)
        order = np.argsort(mine, kind="stable")
        mine, at = mine[order], at[order]
        place = np.searchsorted(left[:, 1], mine + 1).clip(0, len(left) - 1)
        known = left[place, 1] == mine + 1
        delays.append(at[known] - left[place, 2][known])
        lost += int(mine[-1] - mine[0] + 1 - len(mine))
    store.close()
    return Outcome(lost, np.concatenate(delays), np.concatenate([each[_BEGIN:] for each in delays]))


@contextmanager
def busy_process() -> Iterator[None]:
    with subprocess.Popen([sys.executable, "-c", "while True: sum(range(1000))"]) as process:
        try:
            yield
        finally:
            process.kill()


def rows(settings: Settings) -> list[Row]:
    lost = Row(what="the same beside a busy Python thread: frames lost", unit="frames", target=0, lower=True)
    late = Row(
        what="... frames received > 10 ms late, beyond the idle run",
        unit="% of frames",
        target=0.0,
        lower=True,
    )
    idle, busy = run(settings), run(settings, "--busy")
    with busy_process():
        beside = run(settings)
    usual = int(np.median(idle.delays)) if len(idle.delays) else 0
    limit_ns = usual + LATE_NS
    shares = [100 * float(np.mean(each.delays > limit_ns)) for each in (busy, idle, beside)]
    later = [100 * float(np.mean(each.settled > limit_ns)) for each in (busy, idle, beside)]
    lost.ours = [busy.lost]
    late.ours = [max(0.0, shares[0] - shares[1], later[0] - later[1])]
    lost.note = f"of {len(busy.delays)}; idle run: {idle.lost} of {len(idle.delays)}"
    late.note = (
        f"late is 10 ms beyond the idle run's median of {usual / 1e6:.1f} ms, from the sending of the next "
        f"frame (with which libavformat knows that one has ended) to receipt; {shares[0]:.2f} % busy, "
        f"{shares[1]:.2f} % idle, {shares[2]:.2f} % beside a busy process, which takes the cores but not "
        f"the interpreter; without each session's first second {later[0]:.2f}, {later[1]:.2f} and "
        f"{later[2]:.2f} %; the figure is the worse of both"
    )
    return [lost, late]
