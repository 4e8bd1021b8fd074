"""A+B wherever a store is read: what both hold, each frame once, before any merge."""

from __future__ import annotations

from pathlib import Path

import pytest
from command import fovideo, fovideo_json, one_line
from custody_world import outage
from served import served

from fovideo.store import Store


@pytest.fixture
def both(tmp_path: Path) -> str:
    for store in outage(tmp_path):
        store.close()
    return f"{tmp_path / 'server'}+{tmp_path / 'spare'}"


def test_timeline_gaps_and_replay(both: str, tmp_path: Path) -> None:
    server = tmp_path / "server"
    (alone,) = fovideo_json("timeline", server)["streams"]
    (seen,) = fovideo_json("timeline", both)["streams"]
    assert (alone["frames"], len(alone["gaps"])) == (60, 1)
    assert (seen["frames"], seen["gaps"]) == (100, [])
    assert {span["provenance"] for span in seen["spans"]} == {"rec-1", "spare-1 (to merge)"}
    assert fovideo("gaps", server).returncode == 1
    assert fovideo("gaps", both).returncode == 0
    clip = fovideo_json("replay", both, "gate", "-o", tmp_path / "clip.mp4")
    assert clip["video_frames"] == 100
    (after,) = fovideo_json("timeline", server)["streams"]
    assert after == alone


def test_a_union_with_a_running_server(both: str, tmp_path: Path) -> None:
    with Store.open(tmp_path / "spare") as spare, served(spare, token="t") as http:
        (seen,) = fovideo_json("timeline", f"{tmp_path / 'server'}+{http.url}", FOVIDEO_TOKEN="t")["streams"]
    assert (seen["frames"], seen["gaps"]) == (100, [])


def test_a_union_cannot_be_merged_into(both: str, tmp_path: Path) -> None:
    assert "a union cannot be written to" in one_line(fovideo("merge", tmp_path / "spare", both))
