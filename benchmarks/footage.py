"""Stores with made-up footage, for benchmarks of merging and seeking."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import lmdb
import numpy as np

from benchmarks.rows.disk import SETS
from fovideo.index import rows as index_rows
from fovideo.media.codec import Codec, Track
from fovideo.media.frames import FRAME, FrameTable
from fovideo.media.nal import digest_video
from fovideo.segment import encode_table
from fovideo.store import Store, StoreOptions
from fovideo.timeline.values import Gop, GopFlag, Provenance

TRACK = Track(id=1, codec=Codec.H264, parameter_sets=SETS, width=1280, height=720)
START_NS = 1_790_000_000_000_000_000
INTERVAL_NS = 40_000_000
PER_GOP = 25
_ROWS_AT_ONCE = 500_000


def frames(first: int, count: int, size: int, digests: np.ndarray) -> FrameTable:
    table = np.zeros(count, FRAME)
    number = first + np.arange(count)
    table["time_ns"] = table["dts_ns"] = table["receipt_ns"] = START_NS + number * INTERVAL_NS
    table["size"], table["digest"], table["track"] = size, digests, 1
    table["flags"][number % PER_GOP == 0] = 1
    return table


def record(path: Path, size_bytes: int, *, frame_bytes: int = 10_000) -> None:
    """A store with one stream of about size_bytes, from scratch."""
    shutil.rmtree(path, ignore_errors=True)
    bodies = [b"\x65" + os.urandom(frame_bytes - 5) for _ in range(PER_GOP)]
    samples = [len(body).to_bytes(4, "big") + body for body in bodies]
    digests = np.array([digest_video(sample, Codec.H264) for sample in samples], np.uint64)
    with (
        Store.open(path, write=True, create=True, options=StoreOptions()) as store,
        store.writer("gate", Provenance(recorder="bench", session="1")) as writer,
    ):
        writer.set_format([TRACK])
        for first in range(0, max(size_bytes // frame_bytes, PER_GOP), PER_GOP):
            writer.append(frames(first, PER_GOP, frame_bytes, digests), samples, epoch=0)
            if first % (PER_GOP * 100) == 0:
                store.commit()


def gop_rows(path: Path, count: int, stream: str = "gate") -> None:
    """A store whose index has `count` rows more of its stream (their bytes are those of the first row)."""
    record(path, PER_GOP * 1000, frame_bytes=1000)
    with Store.open(path) as store:
        known = store.gops(stream)[0]
    environment = lmdb.open(str(path / "index"), max_dbs=16, map_size=1 << 36, sync=False)
    gops, serials = environment.open_db(b"gops"), environment.open_db(b"serials")
    table = encode_table(frames(0, PER_GOP, 1000, np.arange(PER_GOP, dtype=np.uint64)))
    for first in range(1, count, _ROWS_AT_ONCE):
        with environment.begin(write=True) as transaction:
            made = []
            for number in range(first, min(first + _ROWS_AT_ONCE, count)):
                start_ns = START_NS + number * PER_GOP * INTERVAL_NS
                row = Gop(
                    stream,
                    known.serial + number,
                    start_ns,
                    start_ns + PER_GOP * INTERVAL_NS,
                    0,
                    known.segment,
                    known.offset,
                    known.size_bytes,
                    known.provenance,
                    0,
                    PER_GOP,
                    INTERVAL_NS,
                    GopFlag.KEY | GopFlag.COMPLETE,
                    table,
                )
                key = index_rows.gop_key(1, start_ns, row.serial)
                made.append((index_rows.number_key(row.serial), key))
                transaction.put(key, index_rows.encode(row), db=gops)
            for serial, key in made:
                transaction.put(serial, key, db=serials)
    environment.sync(True)
    environment.close()
