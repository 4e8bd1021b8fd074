"""Frame tables and fragments: the writer's cost per commit and camera."""

from __future__ import annotations

import os

import numpy as np
import pytest

from benchmarks.footage import TRACK, frames
from fovideo.segment import (
    SegmentHeader,
    decode_table,
    encode_fragment,
    encode_table,
    parse_fragment,
)
from fovideo.timeline.values import Provenance


@pytest.fixture
def table():
    return frames(0, 13, 10_000, np.random.default_rng(1).integers(0, 1 << 63, 13, dtype=np.uint64))


@pytest.fixture
def payloads():
    return [os.urandom(10_000) for _ in range(13)]


def header(start_ns: int) -> SegmentHeader:
    return SegmentHeader(
        stream="gate",
        tracks=(TRACK,),
        provenance=Provenance(recorder="b", session="1"),
        base_ns=start_ns,
        start_ns=start_ns,
    )


def test_encode_table(benchmark, table) -> None:
    assert benchmark(encode_table, table)


def test_decode_table(benchmark, table) -> None:
    packed = encode_table(table)
    assert (benchmark(decode_table, packed) == table).all()


def test_encode_fragment(benchmark, table, payloads) -> None:
    top = header(int(table["dts_ns"][0]))
    assert benchmark(encode_fragment, top, 1, 0, table, payloads)


def test_parse_fragment(benchmark, table, payloads) -> None:
    top = header(int(table["dts_ns"][0]))
    data = b"".join(bytes(part) for part in encode_fragment(top, 1, 0, table, payloads))
    assert len(benchmark(parse_fragment, data).frames) == 13
