"""Merging what is wholly missing, beside copying the same bytes; and planning."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.footage import INTERVAL_NS, PER_GOP, START_NS, frames, record
from benchmarks.results import Row
from benchmarks.settings import Settings
from fovideo.merge import Manifest, merge, plan
from fovideo.peer import open_timeline
from fovideo.segment import encode_table
from fovideo.store import Store
from fovideo.timeline.values import Gop, GopFlag, Provenance

SMALL_PLAN = 200_000

_SERVE = """
import sys, signal, threading
from fovideo.service.app import make_app
from fovideo.service.http import HttpServer
from fovideo.store import Store
from fovideo.peer import Health, StoreHealth
store = Store.open(sys.argv[1], write=sys.argv[2] == "write", create=sys.argv[2] == "write")
health = Health(name="b", role="server", instance="i", state="recording", now_ns=0,
    store=StoreHealth(id=store.identity, commits=0), cameras={})
from pathlib import Path
spool = Path(sys.argv[1]) / "incoming"
http = HttpServer(make_app(store, lambda: health, token="", spool=spool), "127.0.0.1", 0)
http.start()
print(http.url, flush=True)
sys.stdin.read()
http.stop()
store.close()
"""


def rows(settings: Settings) -> list[Row]:
    folder, size = settings.folder / "merge", settings.merge_bytes
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    record(folder / "source", size)
    files = sorted((folder / "source" / "segments").rglob("*.mp4"))
    size = sum(path.stat().st_size for path in files)
    local = Row(
        what=f"merge of {size / 1e9:.2f} GB that are wholly missing",
        unit="MB/s",
        peer="cp + fsync",
        target=0.9,
    )
    remote = Row(
        what="the same over HTTP on loopback", unit="MB/s", peer="curl to a file + fsync", target=0.7
    )
    given = Row(
        what="... given to a server, as a spare does", unit="MB/s", peer="curl to a file + fsync", target=0.7
    )
    for _ in range(settings.rounds):
        local.ours.append(size / _merge(folder / "source", folder / "target") / 1e6)
        local.theirs.append(size / _timed(lambda: _copy(files, folder / "copy")) / 1e6)
    with _served(folder / "source") as url:
        for _ in range(settings.rounds):
            remote.ours.append(size / _merge(url, folder / "target") / 1e6)
            if shutil.which("curl"):
                remote.theirs.append(size / _curl(files, folder) / 1e6)
    for _ in range(settings.rounds):
        given.ours.append(size / _give(folder / "source", folder / "target") / 1e6)
        if shutil.which("curl"):
            given.theirs.append(size / _curl(files, folder) / 1e6)
    for row in (remote, given):
        if not row.theirs:
            row.skipped = "curl is not installed"
    shutil.rmtree(folder)
    return [local, remote, given, *planning(settings)]


def _timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _merge(source: Path | str, target: Path) -> float:
    shutil.rmtree(target, ignore_errors=True)
    os.sync()
    with (
        contextlib.closing(open_timeline(str(source))) as ours,
        Store.open(target, write=True, create=True) as theirs,
    ):
        return _timed(lambda: merge(ours, theirs))


def _give(source: Path, target: Path) -> float:
    """A local store merged into one that another process serves."""
    shutil.rmtree(target, ignore_errors=True)
    os.sync()
    with (
        _served(target, "write") as url,
        Store.open(source) as ours,
        contextlib.closing(open_timeline(url)) as theirs,
    ):
        return _timed(lambda: merge(ours, theirs))


def _copy(files: list[Path], target: Path) -> None:
    for number, path in enumerate(files):
        subprocess.run(["cp", "--reflink=auto", str(path), f"{target}{number}"], check=True)
        _fsync(Path(f"{target}{number}"))


def _fsync(path: Path) -> None:
    fd = os.open(path, os.O_RDWR)
    os.fsync(fd)
    os.close(fd)


def _curl(files: list[Path], folder: Path) -> float:
    """The bytes from a server that sends files with sendfile, fsynced."""
    server = subprocess.Popen(
        [
            "python3",
            "-u",
            "-m",
            "http.server",
            "0",
            "--bind",
            "127.0.0.1",
            "--directory",
            str(files[0].parent),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert server.stdout is not None
    try:
        port = server.stdout.readline().split(" port ")[1].split()[0]
        start = time.perf_counter()
        for path in files:
            target = folder / "fetched"
            subprocess.run(
                ["curl", "-s", "-o", str(target), f"http://127.0.0.1:{port}/{path.name}"], check=True
            )
            _fsync(target)
        return time.perf_counter() - start
    finally:
        server.terminate()
        server.wait()


@contextlib.contextmanager
def _served(path: Path, how: str = "read"):  # type: ignore[no-untyped-def]
    import sys

    process = subprocess.Popen(
        [sys.executable, "-c", _SERVE, str(path), how],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.stdin.close()
        process.wait(30)


def manifest(identity: str, count: int, first: int, digests: np.ndarray) -> Manifest:
    """Rows of one session, `count` frames from number `first` on, all tables packed."""
    made = []
    for number in range(first, first + count, PER_GOP):
        start_ns = START_NS + number * INTERVAL_NS
        table = encode_table(frames(number, PER_GOP, 10_000, digests[number : number + PER_GOP]))
        made.append(
            Gop(
                "gate",
                number,
                start_ns,
                start_ns + PER_GOP * INTERVAL_NS,
                0,
                1,
                number * 10_000,
                PER_GOP * 10_000,
                1,
                0,
                PER_GOP,
                INTERVAL_NS,
                GopFlag.KEY | GopFlag.COMPLETE,
                table,
            )
        )
    return Manifest(
        identity, "gate", tuple(made), {1: Provenance(recorder="b", session=identity, store=identity)}
    )


def planning(settings: Settings) -> list[Row]:
    """Of a small site's day, where seams are most of the work, and of many rows."""
    return [
        _planning(count, settings.rounds)
        for count in dict.fromkeys((min(settings.plan_frames, SMALL_PLAN), settings.plan_frames))
    ]


def _planning(count: int, rounds: int) -> Row:
    row = Row(
        what=f"plan for {count:,} frames a side, half overlapping",
        unit="s",
        peer="numpy: join the columns, np.intersect1d",
        target=0.1,
        lower=True,
    )
    digests = np.random.default_rng(1).integers(1, 1 << 63, 2 * count, dtype=np.uint64)
    half = count // 2 // PER_GOP * PER_GOP
    made = manifest("a" * 32, count, half, digests), manifest("b" * 32, count, 0, digests)
    for _ in range(rounds):
        for times, work in ((row.ours, plan), (row.theirs, _numpy_plan)):
            source, target = (replace(each, _tables={}) for each in made)  # nothing is unpacked yet
            times.append(_timed(partial(work, source, target)))
    row.note = "both begin with the packed tables of the index"
    return row


def _numpy_plan(source: Manifest, target: Manifest) -> np.ndarray:
    """Frames that the target lacks, by content and time alone, with what numpy offers."""
    ours = source.effective(range(len(source.rows)))
    theirs = target.effective(range(len(target.rows)))
    _, here, _ = np.intersect1d(ours["digest"], theirs["digest"], assume_unique=True, return_indices=True)
    missing = np.ones(len(ours), bool)
    missing[here] = False
    return np.flatnonzero(missing)
