"""Leaving out what both sides hold changes nothing of a plan but the work it takes."""

from __future__ import annotations

import sys
from dataclasses import replace
from itertools import pairwise

import msgspec
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sides import GOP_NS, PER_GOP, START_NS, STEP_NS, S, side

from fovideo.media.frames import FRAME
from fovideo.merge import Manifest, Plan, _rows, plan
from fovideo.merge.planning import common
from fovideo.segment import decode_table, encode_table
from fovideo.timeline.values import Gop

PLAN = sys.modules["fovideo.merge.planning.plan"]


def both(
    source: Manifest, target: Manifest, monkeypatch: pytest.MonkeyPatch, **how: object
) -> tuple[Plan, Plan, int]:
    """The plan with and without leaving out, and how many rows were left out."""
    left_out = 0
    real = common.without_common

    def counted(*args: object) -> object:
        nonlocal left_out
        result = real(*args)
        left_out = len(result[2].serials)
        return result

    with monkeypatch.context() as patch:
        patch.setattr(PLAN, "without_common", counted)
        quick = plan(source, target, **how)
    with monkeypatch.context() as patch:
        patch.setattr(common, "LEAST_ROWS", 1 << 40)
        whole = plan(source, target, **how)
    return quick, whole, left_out


@settings(max_examples=10, deadline=None)
@given(
    missing=st.sets(st.integers(0, 479), max_size=3),
    gap=st.tuples(st.integers(0, 450), st.integers(0, 30)),
    also=st.sets(st.integers(0, 479), max_size=2),
    drift_ppm=st.sampled_from([0, 20, -80]),
    offset_ns=st.sampled_from([0, 3_000_000, -40 * S]),
    window=st.sampled_from([None, (50, 400), (200, 220)]),
    repeated=st.sampled_from(["never", "some", "always"]),
)
def test_plans_are_the_same(
    missing: set[int],
    gap: tuple[int, int],
    also: set[int],
    drift_ppm: int,
    offset_ns: int,
    window: tuple[int, int] | None,
    repeated: str,
) -> None:
    digests = np.random.default_rng(1).integers(1, 1 << 63, (480, PER_GOP), dtype=np.uint64)
    if repeated == "some":
        digests[200:210] = digests[100]
    elif repeated == "always":
        digests[:] = digests[0]
        digests[:, -1] = np.arange(480)
    lost = missing | set(range(gap[0], gap[0] + gap[1]))
    source = side("a", [n for n in range(480) if n not in also], digests)
    target = side("b", [n for n in range(480) if n not in lost], digests, drift_ppm, offset_ns)
    how = {}
    if window is not None:
        how = {
            "from_ns": START_NS + offset_ns + window[0] * GOP_NS,
            "to_ns": START_NS + offset_ns + window[1] * GOP_NS,
        }
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(common, "MARGIN_NS", 64 * GOP_NS)
        monkeypatch.setattr(common, "LEAST_ROWS", 32)
        quick, whole, left_out = both(source, target, monkeypatch, **how)
    assert facts(quick) == facts(whole)
    for one, other in zip(quick.stretches, whole.stretches, strict=True):
        assert abs(one.span.from_ns - other.span.from_ns) < 2_000_000
    if repeated == "always":
        assert not left_out
    apart = sorted({-1, 480, *lost, *also})
    longest = max(after - before - 1 for before, after in pairwise(apart))
    if repeated == "never" and window is None and offset_ns >= 0 and longest > 2 * 64 + 2 * 32:
        assert left_out


def facts(made: Plan) -> object:
    """All of a plan but times that depend on how many frames told the clock."""
    return (
        made.duplicate_frames,
        made.duplicate_others,
        made.conflicting_frames,
        made.deferred_frames,
        made.settled,
        len(made.missing),
        [(each.kind, each.epoch, each.pieces, each.provenance.splice) for each in made.stretches],
    )


def test_a_second_merge_has_nothing_to_look_at(monkeypatch: pytest.MonkeyPatch) -> None:
    digests = np.random.default_rng(2).integers(1, 1 << 63, (600, PER_GOP), dtype=np.uint64)
    source = side("a", list(range(600)), digests)
    target = side("b", list(range(600)), digests)
    quick, whole, left_out = both(source, target, monkeypatch)
    assert left_out >= 600 - 2 * 181
    assert facts(quick) == facts(whole)
    assert not quick.stretches
    assert quick.duplicate_frames == 600 * PER_GOP


def test_one_frame_that_differs_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    digests = np.random.default_rng(3).integers(1, 1 << 63, (1100, PER_GOP), dtype=np.uint64)
    changed = digests.copy()
    changed[550, 7] ^= np.uint64(1)
    quick, whole, left_out = both(
        side("a", list(range(1100)), changed), side("b", list(range(1100)), digests), monkeypatch
    )
    assert left_out
    assert facts(quick) == facts(whole)
    assert sum(each.frames for each in quick.stretches) == 1


@given(
    counts=st.lists(st.integers(1, 40), max_size=8),
    seed=st.integers(0, 99),
    broken=st.sampled_from([None, b"", b"\x10", b"\x10\xff\xff\xff\xff", b"\x10\0\0\0\0"]),
)
def test_columns_are_what_the_rows_say(counts: list[int], seed: int, broken: bytes | None) -> None:
    from fovideo.media.nal import xxh64

    assume(counts)
    chance = np.random.default_rng(seed)
    rows, expected = [], []
    for serial, count in enumerate(counts):
        frames = np.zeros(count, FRAME)
        frames["digest"] = chance.integers(0, 1 << 64, count, dtype=np.uint64)
        frames["time_ns"] = frames["dts_ns"] = chance.integers(0, 1 << 60) + np.arange(count) * STEP_NS
        table = encode_table(frames)
        values = [int(each) for each in chance.integers(0, 1 << 40, 8)]
        if broken is not None and serial == 0:
            table, told = broken, [0, 0, 0]
        else:
            digests = decode_table(table)["digest"]
            told = [count, int(digests[0]), xxh64(digests.tobytes())]
        start, end, shift, provenance, epoch, number, interval, flags = values
        rows.append(
            Gop("gate", serial, start, end, shift, 1, 0, 1, provenance, epoch, number, interval, flags, table)
        )
        expected.append([start, end, interval, number, flags, provenance, epoch, shift, *told])
    out = np.zeros((len(rows), _rows.COLUMNS), np.int64, "F")
    _rows.columns(rows, out)
    assert out.astype(np.uint64).tolist() == expected
    with pytest.raises(ValueError, match="do not fit"):
        _rows.columns(rows, np.zeros((len(rows) + 1, _rows.COLUMNS), np.int64, "F"))


def test_frames_that_cannot_have_been_received_together_are_left_to_the_planner(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    digests = np.random.default_rng(4).integers(1, 1 << 63, (600, PER_GOP), dtype=np.uint64)
    source, target = side("a", list(range(600)), digests), side("b", list(range(600)), digests)
    rows = []
    for each in target.rows:
        table = decode_table(each.table)
        table["receipt_ns"] += 3600 * S
        rows.append(msgspec.structs.replace(each, table=encode_table(table)))
    quick, whole, left_out = both(source, replace(target, rows=tuple(rows)), monkeypatch)
    assert not left_out
    assert facts(quick) == facts(whole)


@given(st.lists(st.integers(-3, 6), max_size=20), st.lists(st.integers(-3, 6), max_size=20))
def test_partners_come_once_on_either_side(ours: list[int], theirs: list[int]) -> None:
    partner = np.empty(len(ours), np.int64)
    _rows.partners(np.array(ours, np.int64), np.array(theirs, np.int64), partner)
    assert partner.tolist() == [
        theirs.index(key) if ours.count(key) == theirs.count(key) == 1 else -1 for key in ours
    ]
