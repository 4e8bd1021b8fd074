"""Frames from a ring to durable segments, beside raw O_DIRECT writes of the same size."""

from __future__ import annotations

import mmap
import os
import shutil
import time
from pathlib import Path

import numpy as np

from benchmarks.results import Row
from benchmarks.settings import Settings
from fovideo.media.codec import Codec, Track
from fovideo.media.frames import FRAME
from fovideo.ring import Kind, Ring
from fovideo.store import Store
from fovideo.timeline.values import Provenance

FRAME_BYTES, CHUNK = 40_960, 1 << 20
_PER_COMMIT = 400
SETS = (
    bytes.fromhex("6742c01e8c8d40501ed00f08846a"),
    bytes.fromhex("68ce3c80"),
)


def rows(settings: Settings) -> list[Row]:
    row = Row(
        what="bytes from ring to durable disk", unit="MB/s", peer="raw O_DIRECT, 1 MB writes", target=0.8
    )
    size = settings.merge_bytes
    for _ in range(settings.rounds):
        row.ours.append(size / _store(settings.folder / "disk", size) / 1e6)
        row.theirs.append(size / _raw(settings.folder / "raw", size) / 1e6)
    return [row]


def _store(folder: Path, size: int) -> float:
    shutil.rmtree(folder, ignore_errors=True)
    track = Track(id=1, codec=Codec.H264, parameter_sets=SETS, width=1280, height=720)
    ring = Ring(4 * _PER_COMMIT * FRAME_BYTES)
    payload = len(os.urandom(1)).to_bytes(4, "big") + os.urandom(FRAME_BYTES - 4)
    store = Store.open(folder, write=True, create=True)
    writer = store.writer("s", Provenance(recorder="bench", session="1"))
    writer.set_format([track])
    took = 0.0
    for batch in range(max(size // FRAME_BYTES // _PER_COMMIT, 1)):
        for _ in range(_PER_COMMIT):
            if not ring.push_unit(
                kind=Kind.FRAME, track=1, pts_ns=0, wall_ns=0, receipt_ns=0, session=1, payload=payload
            ):
                raise RuntimeError("the ring is full")
        start = time.perf_counter()
        units = ring.units(None)
        frames = np.zeros(len(units), FRAME)
        frames["time_ns"] = frames["dts_ns"] = (batch * _PER_COMMIT + np.arange(len(units))) * 40_000_000
        frames["size"], frames["digest"], frames["track"] = units["size"], units["digest"], 1
        frames["flags"][::50] = 1
        views = [ring.payload(int(u["position"]), int(u["size"])) for u in units]
        writer.append(frames, views, epoch=0)
        store.commit()
        ring.release(int(units["end"][-1]))
        took += time.perf_counter() - start
    writer.close()
    store.close()
    shutil.rmtree(folder)
    return took


def _raw(path: Path, size: int) -> float:
    buffer = mmap.mmap(-1, CHUNK)
    buffer.write(os.urandom(CHUNK))
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_DIRECT)
    except OSError:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT)
    start = time.perf_counter()
    for done in range(0, size, CHUNK):
        os.pwrite(fd, buffer, done)
        if done % (16 * CHUNK) == 15 * CHUNK:
            os.fdatasync(fd)
    os.fdatasync(fd)
    took = time.perf_counter() - start
    os.close(fd)
    path.unlink()
    return took
