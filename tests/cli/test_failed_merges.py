"""What `fovideo merge` prints when an error ends it: the report of what is in, then one line; exit code 3."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from command import fovideo, fovideo_json
from disks import FullDisk
from served import open_store, record, served
from waiting import wait_until

from fovideo.merge import Pace
from fovideo.merge.doing.running import MergeState
from fovideo.peer import Credentials, Pull
from fovideo.service.pulls import Pulls, Source
from fovideo.store import Store

ROOM_BYTES = 1_200_000
RATE = "800kB"  # so that insertions are small


@pytest.fixture
def sides(tmp_path: Path) -> Iterator[tuple[Path, Store]]:
    """A spare, and a server without room for all of it."""
    with open_store(tmp_path / "spare") as spare:
        record(spare, 0, 400, size=4000, pending=True)
        record(spare, 0, 50, stream="yard", pending=True)
    with open_store(tmp_path / "server") as server:
        record(server, 0, 100, size=4000)
        yield tmp_path / "spare", server


def told(done: subprocess.CompletedProcess[str]) -> str:
    """The one line on stderr."""
    (line,) = done.stderr.strip().splitlines()
    assert done.returncode == 3
    return line


def frames(store: Store) -> int:
    return sum(info.frames for info in store.streams())


def test_a_target_that_fills_up(sides: tuple[Path, Store], monkeypatch: pytest.MonkeyPatch) -> None:
    folder, server = sides
    with served(server) as http:
        monkeypatch.setattr(server._committer, "files", FullDisk(ROOM_BYTES))
        failed = fovideo("merge", folder, http.url, "--rate", RATE, "--json")
        assert "no room on the disk" in told(failed)
        report = json.loads(failed.stdout)
        (gate,) = report["streams"]
        assert (report["stopped"], report["not_begun"]) == (True, ["yard"])
        assert gate["inserted_frames"] > 0
        assert gate["inserted_frames"] + gate["left_frames"] == 300
        assert frames(server) == 100 + gate["inserted_frames"]
        again = fovideo("merge", folder, http.url, "--rate", RATE)
        assert "no room on the disk" in told(again)
        assert not again.stdout  # nothing went in
        monkeypatch.undo()
        whole = fovideo_json("merge", folder, http.url)
        assert whole["streams"][0]["inserted_frames"] == gate["left_frames"]
    assert frames(server) == 450


def test_a_pull_that_fails(sides: tuple[Path, Store], monkeypatch: pytest.MonkeyPatch) -> None:
    """What is in by then is kept with it."""
    folder, server = sides
    with Store.open(folder) as spare, served(spare) as http:
        monkeypatch.setattr(server._committer, "files", FullDisk(ROOM_BYTES))
        monkeypatch.setattr(Pace, "step_bytes", lambda self, live, largest=0: 400_000)
        pulls = Pulls("rec-1", server, lambda name: Source(name, http.url, Credentials()))
        pulls.order(Pull(id="a", source="spare"))
        wait_until(lambda: pulls.result("a").status.ended, "the pull has ended", 60)
        result = pulls.result("a")
        pulls.close()
    assert result.status.state is MergeState.FAILED
    assert "no room on the disk" in result.status.error
    assert result.report is not None
    (gate,) = result.report.streams
    assert 0 < gate.inserted_frames == frames(server) - 100
    assert result.report.not_begun == ("yard",)
