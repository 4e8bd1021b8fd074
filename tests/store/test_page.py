"""docs/ref/store.md: its tables, its worked example and its folder are what the code makes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from footage import VIDEO, session, video

from fovideo.index import SERIALS_PER_SEGMENT, Index, SegmentRow, SegmentState, Update
from fovideo.index.env import TABLES
from fovideo.media.codec import Codec, Track
from fovideo.store import Store
from fovideo.store.breaks import LONGEST_HOLE_NS, LONGEST_ROW_NS, SOUND_ROW_NS
from fovideo.timeline.values import Gop, GopFlag, Loss, Provenance

PAGE = Path(__file__).parents[2] / "docs" / "ref" / "store.md"
START_NS = 1_790_000_000_000_000_000


@pytest.fixture(scope="module")
def page() -> str:
    return PAGE.read_text(encoding="utf-8")


def fill(update: Update) -> None:
    """One stream with one segment that holds one GOP."""
    stream = update.ensure_stream("gate")
    stream.tracks = update.number_of_tracks(stream, (Track(id=1, codec=Codec.H264),))
    provenance = update.number_of_provenance(stream, Provenance(recorder="rec-1", session="7"), refer=1)
    update.add_segment(
        SegmentRow(
            id=3,
            stream="gate",
            path="segments/gate/2026-09-21/141320.000-3.mp4",
            state=SegmentState.SEALED,
            provenance=provenance,
            tracks=stream.tracks,
            size_bytes=9000,
        )
    )
    update.put_gop(
        Gop(
            stream="gate",
            serial=3 * SERIALS_PER_SEGMENT,
            start_ns=START_NS,
            end_ns=START_NS + 1_000_000_000,
            shift_ns=0,
            segment=3,
            offset=1200,
            size_bytes=7800,
            provenance=provenance,
            epoch=0,
            frames=25,
            interval_ns=40_000_000,
            flags=GopFlag.KEY | GopFlag.COMPLETE,
            table=b"...",
        )
    )
    update.put_loss(stream, Loss(START_NS + 1_000_000_000, START_NS + 1_040_000_000, 1, "cut"))
    update.set_number("segments", 4097)


def test_the_worked_example(page: str, tmp_path: Path) -> None:
    told = re.findall(r"^\| (\w+) \| `([^`]*)` \| `([^`]*)` \|", page, re.MULTILINE)
    index = Index.open(tmp_path, create=True)
    index.update(fill)
    with index.view() as view:
        held = [(table, key.hex(), value.hex()) for table in TABLES for key, value in view._items(table, b"")]
    index.close()
    assert [(table, key.replace(" ", ""), value.replace(" ", "")) for table, key, value in told] == held


def test_all_tables_are_named(page: str) -> None:
    assert re.findall(r"^\| \*\*(\w+)\*\* \|", page, re.MULTILINE) == list(TABLES)


def test_the_limits_of_a_row(page: str) -> None:
    for limit_ns in (LONGEST_ROW_NS, LONGEST_HOLE_NS, SOUND_ROW_NS):
        assert f"{limit_ns // 1_000_000_000} s" in page


def test_the_folder(page: str, tmp_path: Path) -> None:
    with (
        Store.open(tmp_path / "s", write=True, create=True) as store,
        store.writer("gate", session()) as writer,
    ):
        writer.set_format([VIDEO])
        writer.append(*video(0, 25), epoch=0)
    names = [path.relative_to(tmp_path / "s").as_posix() for path in (tmp_path / "s").rglob("*")]
    assert names
    for name in names:
        assert name.split("/")[0] in page
    assert "segments/gate/2026-09-21/141320.000-1.mp4" in names
    assert "segments/gate/2026-09-21/141320.000-1.mp4" in page
