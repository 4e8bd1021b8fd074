"""A source with damaged files, its footage copied, or going either way over HTTP: all else arrives."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from served import open_store, record, remote, served

from fovideo.merge import MergeIncomplete, StreamReport, merge
from fovideo.store import Store

FRAMES = 400


def flip(segment: Path) -> None:
    data = bytearray(segment.read_bytes())
    data[len(data) // 2] ^= 0xFF
    segment.write_bytes(data)


def cut(segment: Path) -> None:
    data = segment.read_bytes()
    segment.write_bytes(data[: len(data) // 2])


def remove(segment: Path) -> None:
    segment.unlink()


def kept(spare: Store, server: Store) -> StreamReport:
    with pytest.raises(MergeIncomplete) as raised:
        merge(spare, server)
    return raised.value.report.streams[0]


def pushed(spare: Store, server: Store) -> StreamReport:
    with served(server) as http, remote(http.url) as target, pytest.raises(MergeIncomplete) as raised:
        merge(spare, target)
    return raised.value.report.streams[0]


def pulled(spare: Store, server: Store) -> StreamReport:
    with served(spare) as http, remote(http.url) as source, pytest.raises(MergeIncomplete) as raised:
        merge(source, server)
    return raised.value.report.streams[0]


@pytest.mark.parametrize("way", [kept, pushed, pulled])
@pytest.mark.parametrize("hurt", [flip, cut, remove])
@pytest.mark.parametrize("size", [300, 30_000], ids=["read row by row", "fetched at once"])
def test_all_but_what_is_damaged_arrives(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    way: Callable[[Store, Store], StreamReport],
    hurt: Callable[[Path], None],
    size: int,
) -> None:
    with open_store(tmp_path / "spare") as spare, open_store(tmp_path / "server") as server:
        record(server, 0, 50, size=size)
        record(spare, 25, FRAMES - 25, size=size, pending=True)
        segments = sorted((tmp_path / "spare").rglob("*.mp4"))
        hurt(segments[len(segments) // 2])
        report = way(spare, server)
        held = sum(info.frames for info in server.streams())
        assert report.verified
        assert report.inserted_frames == held - 50
        assert FRAMES - 100 <= held < FRAMES
        assert not [record for record in caplog.records if record.name == "uvicorn.error"]
        assert {missing.reason for missing in report.still_missing} == {"damaged"}
