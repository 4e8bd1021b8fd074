"""Opening a store and finding the first byte of the GOP at an instant."""

from __future__ import annotations

import random
import subprocess
import sys
import time

import lmdb

from benchmarks.footage import INTERVAL_NS, PER_GOP, START_NS, gop_rows
from benchmarks.results import Row
from benchmarks.settings import Settings
from fovideo.index import Index
from fovideo.index import rows as index_rows

_SEEKS = 2000
_OPEN = """
import sys, time
from fovideo.store import Store
start = time.perf_counter()
Store.open(sys.argv[1]).streams()
print(time.perf_counter() - start)
"""


def rows(settings: Settings) -> list[Row]:
    count = settings.gops
    path = settings.folder / f"gops-{count}"
    if not path.exists():
        gop_rows(path, count)
    opened = Row(what=f"open a store of {count:,} GOPs", unit="ms", target=50, lower=True)
    seek = Row(
        what=f"seek: GOP at a random instant, {count:,} indexed",
        unit="µs",
        peer="LMDB cursor get",
        target=3,
        lower=True,
    )
    for _ in range(settings.rounds):
        done = subprocess.run(
            [sys.executable, "-c", _OPEN, str(path)], check=True, capture_output=True, text=True
        )
        opened.ours.append(1000 * float(done.stdout))
    chance = random.Random(1)
    times = [START_NS + chance.randrange(count * PER_GOP) * INTERVAL_NS for _ in range(_SEEKS)]
    index = Index.open(path / "index")
    with index.view() as view:
        stream = view.stream("gate")
        for _ in range(settings.rounds):
            start = time.perf_counter()
            for at in times:
                assert view.gops(stream, at, at + 1)
            seek.ours.append((time.perf_counter() - start) / _SEEKS * 1e6)
    index.close()
    environment = lmdb.open(str(path / "index"), max_dbs=16, readonly=True, lock=False)
    table = environment.open_db(b"gops", create=False)
    with environment.begin() as transaction:
        keys = [index_rows.gop_key(stream.id, at, 0) for at in times]
        for _ in range(settings.rounds):
            cursor = transaction.cursor(table)
            start = time.perf_counter()
            for key in keys:
                if cursor.set_range(key):
                    cursor.item()
            seek.theirs.append((time.perf_counter() - start) / _SEEKS * 1e6)
    environment.close()
    return [opened, seek]
