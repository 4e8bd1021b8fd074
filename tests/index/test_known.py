"""What one update hands to the next, so that it need not look it up, changes nothing in the index."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from index_rows import add_segment, gop

from fovideo.index import SERIALS_PER_SEGMENT, Index, SegmentState, Update
from fovideo.index.env import TABLES
from fovideo.timeline.values import GopFlag

SEGMENTS, ROWS = st.integers(1, 3), st.integers(0, 3)
FLAGS = st.sampled_from([0, GopFlag.COMPLETE, GopFlag.PENDING, GopFlag.COMPLETE | GopFlag.PENDING])
STEPS = st.one_of(
    st.tuples(st.just("put"), SEGMENTS, ROWS, st.integers(0, 4), st.integers(1, 30), FLAGS),
    st.tuples(st.just("drop"), SEGMENTS, ROWS),
    st.tuples(st.just("shift"), SEGMENTS, ROWS, st.integers(-3, 3)),
    st.tuples(st.just("state"), SEGMENTS, st.sampled_from(SegmentState)),
    st.tuples(st.just("forget"), SEGMENTS),
)
UPDATES = st.lists(
    st.tuples(st.integers(0, 1), st.booleans(), st.lists(STEPS, max_size=5)), min_size=1, max_size=12
)


class Stopped(Exception):
    pass


def perform(update: Update, steps: list[tuple[object, ...]]) -> None:
    for kind, number, *args in steps:
        segment = add_segment(update, number)
        if kind == "put":
            row, start, frames, flags = args
            serial = number * SERIALS_PER_SEGMENT + row
            update.put_gop(gop(serial, start, frames=frames, size=10 * frames, flags=flags))
        elif kind == "drop":
            update.drop_gop(number * SERIALS_PER_SEGMENT + args[0])
        elif kind == "shift":
            update.backdate(segment, number * SERIALS_PER_SEGMENT + args[0], 0, args[1] * 10**9)
        elif kind == "state":
            segment.state = args[0]
        else:
            for known in update.segment_gops(number):
                update.drop_gop(known.serial)
            update.drop_segment(number)


def everything(index: Index) -> dict[str, list[tuple[bytes, bytes]]]:
    with index.view() as view:
        return {table: list(view._items(table, b"")) for table in TABLES}


@settings(max_examples=30, deadline=None)
@given(UPDATES)
def test_known_is_as_looked_up(
    tmp_path_factory: pytest.TempPathFactory,
    script: list[tuple[int, bool, list[tuple[object, ...]]]],
) -> None:
    """Two hands on one index, by turns, and updates that fail; beside it one where nothing is ever known."""
    folder = tmp_path_factory.mktemp("known")
    hands = [Index.open(folder / "a", create=True), Index.open(folder / "a")]
    plain = Index.open(folder / "b", create=True)
    try:
        for hand, fails, steps in script:

            def apply(update: Update, fails: bool = fails, steps: list[tuple[object, ...]] = steps) -> None:
                perform(update, steps)
                if fails:
                    raise Stopped

            for index in (hands[hand], plain):
                plain._known = None
                try:
                    index.update(apply)
                except Stopped:
                    assert fails
            assert everything(hands[1 - hand]) == everything(plain)
    finally:
        for index in (*hands, plain):
            index.close()


def test_what_is_known_is_not_looked_up(tmp_path: Path) -> None:
    """A row that grows, its segment and stream are written without a look; after another hand, with one."""
    looked: list[str] = []

    def grow(update: Update) -> None:
        get = update._get

        def seen(table: str, key: bytes) -> bytes | None:
            looked.append(table)
            return get(table, key)

        update._get = seen  # type: ignore[method-assign]
        update.put_gop(gop(SERIALS_PER_SEGMENT, 0, frames=len(looked) + 1))

    index, other = Index.open(tmp_path, create=True), Index.open(tmp_path)
    index.update(lambda update: add_segment(update, 1) and None)
    index.update(grow)
    looked.clear()
    index.update(grow)
    assert not looked
    other.update(lambda update: update.set_meta("a", b"b"))
    index.update(grow)
    assert sorted(looked) == ["gops", "segments", "serials", "streams"]
    with index.view() as view:
        assert view.stream("s1").frames == view.segment_gops(1)[0].frames
    other.close()
    index.close()
