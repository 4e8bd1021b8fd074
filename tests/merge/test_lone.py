"""Leaving out what only one side holds changes nothing of a plan but the work it takes."""

from __future__ import annotations

import sys
from dataclasses import replace

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sides import GOP_NS, PER_GOP, START_NS, S, side

from fovideo.merge import Manifest, Plan, plan
from fovideo.merge.placing.clock import Clock
from fovideo.merge.planning import lone
from fovideo.timeline.values import Correction, GopFlag, Provenance, Splice

PLAN = sys.modules["fovideo.merge.planning.plan"]
OUTLOOK = sys.modules["fovideo.merge.planning.outlook"]
DIGESTS = np.random.default_rng(3).integers(1, 1 << 63, (900, PER_GOP), dtype=np.uint64)


def both(source: Manifest, target: Manifest, **how: object) -> tuple[Plan, Plan, int]:
    """The plan with and without leaving out, and how many rows of the source were left out."""
    left_out = 0
    real = lone.without_lone

    def counted(*args: object) -> object:
        nonlocal left_out
        result = real(*args)
        left_out = sum(map(len, result[2].values()))
        return result

    how.setdefault("window_ns", 5 * S)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lone, "MARGIN_ROWS", 6)
        patch.setattr(lone, "MARGIN_NS", 6 * S)
        patch.setattr(lone, "LEAST_ROWS", 3)
        patch.setattr(PLAN, "without_lone", counted)
        quick = plan(fresh(source), fresh(target), **how)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PLAN, "without_lone", lambda source, target, *_: (source, target, {}))
        patch.setattr(
            OUTLOOK,
            "_joined",
            lambda target, _: [row for place, row in enumerate(target.rows) if not target.is_conflict(place)],
        )
        patch.setattr(OUTLOOK, "follows", lambda table: np.zeros(max(len(table) - 1, 0), bool))
        whole = plan(fresh(source), fresh(target), **how)
    return quick, whole, left_out


def fresh(manifest: Manifest) -> Manifest:
    return replace(manifest, _tables={})


@settings(max_examples=8, deadline=None)
@given(
    gaps=st.lists(st.tuples(st.integers(0, 290), st.integers(1, 150)), min_size=1, max_size=3),
    lacks=st.sets(st.integers(0, 299), max_size=3),
    drift_ppm=st.sampled_from([0, 20, -80]),
    offset_ns=st.sampled_from([0, 30_000_000, -1_500_000_000]),
    segments=st.sampled_from([1000, 40]),
    pieces=st.sets(st.integers(0, 299), max_size=2),
)
def test_a_plan_is_the_same(
    gaps: list[tuple[int, int]],
    lacks: set[int],
    drift_ppm: int,
    offset_ns: int,
    segments: int,
    pieces: set[int],
) -> None:
    numbers = [number for number in range(300) if number not in lacks]
    missing = {number for start, count in gaps for number in range(start, start + count)}
    source = side("a", numbers, DIGESTS)
    rows = [
        msgspec.structs.replace(row, segment=1 + place // segments) for place, row in enumerate(source.rows)
    ]
    for place in pieces:
        if place < len(rows):  # as if frames were missing inside
            rows[place] = msgspec.structs.replace(rows[place], flags=rows[place].flags | GopFlag.GAPS)
    source = replace(source, rows=tuple(rows))
    target = side("b", [n for n in range(300) if n not in missing], DIGESTS, drift_ppm, offset_ns)
    quick, whole, _ = both(source, target)
    assert quick == whole


def test_long_stretches_are_left_out() -> None:
    source = side("a", range(300), DIGESTS)
    target = side("b", [*range(20), *range(280, 300)], DIGESTS, 20)
    quick, whole, left_out = both(source, target)
    assert quick == whole
    assert left_out > 200
    assert sum(stretch.frames for stretch in quick.stretches) == 260 * PER_GOP


def test_a_target_without_anything() -> None:
    source = side("a", range(100), DIGESTS)
    for rows in ((), side("b", range(800, 820), DIGESTS).rows):
        target = replace(side("b", range(800, 820), DIGESTS), rows=rows)
        quick, whole, left_out = both(source, target)
        assert quick == whole
        assert left_out > 80
        assert len(quick.settled) == 100


def test_what_a_live_target_may_still_write_stays() -> None:
    source = side("a", range(300), DIGESTS)
    target = replace(side("b", range(20), DIGESTS), live_edge_ns=START_NS + 250 * GOP_NS)
    quick, whole, left_out = both(source, target)
    assert quick == whole
    assert 100 < left_out < 190
    assert quick.deferred_frames > 0


@pytest.mark.parametrize(
    "provenance",
    [
        {"correction": Correction(5_000_000)},
        {"correction": Correction(5_000_000, 300, START_NS)},
        {"splice": Splice.CONFLICT},
        {"splice": Splice.FOLLOWS | Splice.LEADS},
    ],
)
def test_footage_that_was_merged_before(provenance: dict[str, object]) -> None:
    source = side("a", range(200), DIGESTS)
    made = msgspec.structs.replace(source.provenances[1], inserted_from="c" * 32, **provenance)
    source = replace(source, provenances={1: made})
    quick, whole, left_out = both(source, side("b", range(10), DIGESTS))
    assert quick == whole
    plain = not made.splice & Splice.CONFLICT and not made.correction.drift_ppb
    assert bool(left_out) == plain


def test_another_session_in_between_stays() -> None:
    source = side("a", range(200), DIGESTS)
    other = Provenance(recorder="a", session="f" * 16, store="a" * 32)
    rows = [
        msgspec.structs.replace(row, provenance=2) if 80 <= place < 90 else row
        for place, row in enumerate(source.rows)
    ]
    source = replace(source, rows=tuple(rows), provenances={**source.provenances, 2: other})
    quick, whole, left_out = both(source, side("b", range(5), DIGESTS))
    assert quick == whole
    assert left_out > 100


def test_rows_are_cut_where_the_clock_changes() -> None:
    rows = side("a", range(100), DIGESTS).rows
    clock = Clock.of([(START_NS + 10 * GOP_NS, 0), (START_NS + 60 * GOP_NS, 3 * S)])
    parts = list(lone.alike(rows, clock))
    assert [row for part in parts for row in part] == list(rows)
    assert all(len({clock.piece(row.start_ns) for row in part}) == 1 for part in parts)
