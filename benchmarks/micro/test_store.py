"""Opening, seeking, planning and inserting."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import lmdb
import numpy as np
import pytest

from benchmarks.footage import INTERVAL_NS, PER_GOP, START_NS, gop_rows, record
from benchmarks.rows.merging import _numpy_plan, manifest
from fovideo.index import Index
from fovideo.index import rows as index_rows
from fovideo.merge import merge, plan
from fovideo.store import Store


@pytest.fixture(scope="module")
def gops(large: bool) -> int:
    return 1_000_000 if large else 1000


@pytest.fixture(scope="module")
def indexed(tmp_path_factory: pytest.TempPathFactory, gops: int) -> Path:
    path = tmp_path_factory.mktemp("indexed") / "store"
    gop_rows(path, gops)
    return path


def test_open(benchmark, indexed: Path, gops: int) -> None:
    def once() -> int:
        with Store.open(indexed) as store:
            return store.streams()[0].end_ns

    assert benchmark(once) >= START_NS + gops * PER_GOP * INTERVAL_NS


def test_seek(benchmark, indexed: Path, gops: int) -> None:
    index = Index.open(indexed / "index")
    at = START_NS + gops * PER_GOP * INTERVAL_NS // 2
    with index.view() as view:
        stream = view.stream("gate")
        assert benchmark(view.gops, stream, at, at + 1)
    index.close()


def test_lmdb_get(benchmark, indexed: Path, gops: int) -> None:
    key = index_rows.gop_key(1, START_NS + gops * PER_GOP * INTERVAL_NS // 2, 0)
    environment = lmdb.open(str(indexed / "index"), max_dbs=16, readonly=True, lock=False)
    table = environment.open_db(b"gops", create=False)
    with environment.begin() as transaction:
        cursor = transaction.cursor(table)
        assert benchmark(cursor.set_range, key)
    environment.close()


@pytest.mark.parametrize("way", [plan, _numpy_plan])
def test_plan(benchmark, large: bool, way) -> None:
    count = 10_000_000 if large else 1000
    digests = np.random.default_rng(1).integers(1, 1 << 63, 2 * count, dtype=np.uint64)

    def fresh():
        half = count // 2 // PER_GOP * PER_GOP
        return (manifest("a" * 32, count, half, digests), manifest("b" * 32, count, 0, digests)), {}

    benchmark.pedantic(way, setup=fresh, rounds=1)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory, large: bool) -> Path:
    path = tmp_path_factory.mktemp("recorded") / "store"
    record(path, 1 << 30 if large else 1 << 20)
    return path


def test_insert(benchmark, recorded: Path, tmp_path: Path) -> None:
    def fresh():
        shutil.rmtree(tmp_path / "target", ignore_errors=True)
        return (Store.open(recorded), Store.open(tmp_path / "target", write=True, create=True)), {}

    def once(source: Store, target: Store) -> None:
        merge(source, target)
        target.close()
        source.close()

    benchmark.pedantic(once, setup=fresh, rounds=1)


def test_copy(benchmark, recorded: Path, tmp_path: Path) -> None:
    def once() -> None:
        for path in (recorded / "segments").rglob("*.mp4"):
            shutil.copyfile(path, tmp_path / path.name)
            fd = os.open(tmp_path / path.name, os.O_RDWR)
            os.fsync(fd)
            os.close(fd)

    benchmark.pedantic(once, rounds=1)
