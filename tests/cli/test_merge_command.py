"""`fovideo merge` as an operator uses it: saved plans, a rate, a clean stop, files and cameras as sources."""

from __future__ import annotations

import errno
import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import msgspec
import pytest
from command import fovideo, fovideo_json, one_line
from served import open_store, record, served, stretch_of
from waiting import wait_until

from fovideo.cli.merge_source import Wanted, open_source
from fovideo.errors import StoreError
from fovideo.merge import merge
from fovideo.replay import make_clip
from fovideo.store import Store
from fovideo.timeline.endpoint import Stretch

T0_NS = 1_790_000_000_000_000_000


@pytest.fixture
def sides(tmp_path: Path) -> tuple[Path, Path]:
    """A spare with a GOP in common with a server, and more."""
    with open_store(tmp_path / "spare") as spare:
        record(spare, 0, 400, size=4000, pending=True)
    with open_store(tmp_path / "server") as server:
        record(server, 0, 100, size=4000)
    return tmp_path / "spare", tmp_path / "server"


def frames(store: Path) -> int:
    with Store.open(store) as opened:
        return sum(info.frames for info in opened.streams())


@pytest.mark.parametrize("planned", [False, True])
def test_what_is_damaged_keeps_nothing_else_back(sides: tuple[Path, Path], planned: bool) -> None:
    with open_store(sides[0]) as spare:
        record(spare, 0, 50, stream="yard", pending=True)
    plan = sides[0] / "plan.json"
    if planned:
        fovideo_json("merge", *sides, "--save-plan", plan)
    segment = max((sides[0] / "segments" / "gate").rglob("*.mp4"))
    data = bytearray(segment.read_bytes())
    data[len(data) // 2] ^= 0xFF
    segment.write_bytes(data)
    failed = fovideo("merge", *(["--plan", plan] if planned else sides))
    assert failed.returncode == 3
    assert "yard\n  inserted 50 frames" in failed.stdout
    (line,) = failed.stderr.strip().splitlines()
    assert segment.name in line
    left_out = int(re.fullmatch(r".*: (\d+) frames of gate are damaged and left out, .*", line)[1])
    assert "fovideo check --repair" in line
    assert frames(sides[1]) == 450 - left_out
    assert 0 < left_out < 50
    if planned:
        return
    alone = fovideo("merge", *sides, "--stream", "gate", "--json")
    assert alone.returncode == 3
    assert segment.name in one_line(alone)
    (gate,) = json.loads(alone.stdout)["streams"]
    assert {gap["reason"] for gap in gate["still_missing"]} == {"damaged"}
    fovideo("check", sides[0], "--repair")
    whole = fovideo_json("merge", *sides, status=1)
    assert [each["name"] for each in whole["streams"]] == ["gate", "yard"]
    assert {gap["reason"] for gap in whole["streams"][0]["still_missing"]} == {"damaged"}


def test_a_plan_is_saved_looked_at_and_done(tmp_path: Path, sides: tuple[Path, Path]) -> None:
    plan = tmp_path / "plan.json"
    said = fovideo_json("merge", *sides, "--save-plan", plan)
    dry = fovideo_json("merge", *sides, "--dry-run")
    assert frames(sides[1]) == 100
    assert said["frames"] == dry["streams"][0]["inserted_frames"] == 300
    assert said["bytes"] == dry["streams"][0]["inserted_bytes"]
    assert dry["takes_at_least_s"] > 0
    read = json.loads(plan.read_text())
    assert read["summary"][0]["frames"] == 300
    assert read["summary"][0]["fill"][0]["from"].startswith("2026-")
    assert "there already" in one_line(fovideo("merge", *sides, "--save-plan", plan))
    done = fovideo_json("merge", "--plan", plan)
    assert done["streams"][0]["inserted_frames"] == 300
    assert frames(sides[1]) == 400
    with open_store(sides[1]) as server:
        record(server, 500, 10)
        server.insert(changed(server))
    assert "changed since the plan" in one_line(fovideo("merge", "--plan", plan))
    assert "plan" in one_line(fovideo("merge", "--plan", plan, "--stream", "gate"))


def changed(server: Store) -> Stretch:
    """As another merge changes it, in the midst of what was planned."""
    rows = server.gops("gate")
    row = rows[len(rows) // 2]
    stretch = stretch_of(server, [row])
    provenance = msgspec.structs.replace(stretch.provenance, inserted_ns=time.time_ns())
    return msgspec.structs.replace(stretch, provenance=provenance)


def test_a_plan_that_is_killed_goes_on(tmp_path: Path, sides: tuple[Path, Path]) -> None:
    """SIGKILL after the first insertion, while it waits so as to keep to its rate."""
    plan = tmp_path / "plan.json"
    fovideo_json("merge", *sides, "--save-plan", plan)
    command = [sys.executable, "-m", "fovideo", "merge", "--plan", str(plan), "--rate", "1kB"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        wait_until(lambda: frames(sides[1]) > 100, "something is inserted", 60)
        process.kill()
    there = frames(sides[1])
    assert there < 400
    done = fovideo_json("merge", "--plan", plan)
    assert done["streams"][0]["inserted_frames"] == 400 - there
    assert frames(sides[1]) == 400
    with Store.open(sides[1]) as store:
        assert len({int(d) for row in store.gops("gate") for d in store.frames("gate", row)["digest"]}) == 400


def test_a_plan_for_other_stores_is_refused(tmp_path: Path, sides: tuple[Path, Path]) -> None:
    plan = tmp_path / "plan.json"
    fovideo_json("merge", *sides, "--save-plan", plan)
    with open_store(tmp_path / "other") as other:
        record(other)
    line = one_line(fovideo("merge", sides[0], tmp_path / "other", "--plan", plan))
    assert "not the target that was planned with" in line
    assert frames(tmp_path / "other") == 200


@pytest.mark.parametrize("asked", [signal.SIGINT, signal.SIGTERM])
def test_stopped_and_run_again(sides: tuple[Path, Path], asked: signal.Signals) -> None:
    """A push that is slow by its rate is stopped while it runs."""
    with Store.open(sides[1], write=True) as target, served(target) as http:
        command = [
            sys.executable,
            "-m",
            "fovideo",
            "-v",
            "merge",
            str(sides[0]),
            http.url,
            "--rate",
            "600kB",
            "--json",
        ]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            while target.streams()[0].frames == 100:
                assert process.poll() is None, process.stderr.read() if process.stderr else ""
            process.send_signal(asked)
            printed, said = process.communicate(timeout=60)
        assert process.returncode == 1, said
        report = json.loads(printed)
        (stream,) = report["streams"]
        assert report["stopped"]
        assert stream["left_frames"] > 0
        assert stream["inserted_frames"] + stream["left_frames"] == 300
        assert target.streams()[0].frames == 100 + stream["inserted_frames"]
        again = fovideo_json("merge", sides[0], http.url)
        assert again["streams"][0]["inserted_frames"] == stream["left_frames"]
        assert target.streams()[0].frames == 400


def test_a_file_fills_a_gap(tmp_path: Path) -> None:
    """The camera's card gives the file of a day of which the server lacks the middle."""
    clip = tmp_path / "gate.mp4"
    make_clip(clip, width=160, height=96, seconds=12, gop=25, seed=3)
    start = "2026-11-22T08:30:00Z"
    for name, span in (("a", "08:30:04Z"), ("b", None)):
        store = tmp_path / name
        Store.open(store, write=True, create=True).close()
        extra = ("--to", f"2026-11-22T{span}") if span else ("--from", "2026-11-22T08:30:08Z")
        fovideo("merge", clip, store, "--stream", "gate", "--at", start, *extra)
    fovideo_json("merge", tmp_path / "b", tmp_path / "a", status=1)
    (stream,) = fovideo_json("timeline", tmp_path / "a")["streams"]
    assert stream["gaps"]
    report = fovideo_json("merge", clip, tmp_path / "a", "--stream", "gate", "--at", start)
    assert report["streams"][0]["inserted_frames"] > 0
    (stream,) = fovideo_json("timeline", tmp_path / "a")["streams"]
    assert (stream["frames"], stream["gaps"]) == (300, [])
    assert (
        fovideo_json("merge", clip, tmp_path / "a", "--stream", "gate", "--at", start)["streams"][0][
            "inserted_frames"
        ]
        == 0
    )
    assert fovideo("replay", tmp_path / "a", "gate", "-o", tmp_path / "out.mp4").returncode == 0
    with av.open(str(tmp_path / "out.mp4")) as opened:
        assert sum(1 for _ in opened.decode(video=0)) == 300


def test_sources_that_need_more(tmp_path: Path) -> None:
    target = tmp_path / "target"
    Store.open(target, write=True, create=True).close()
    clip = tmp_path / "gate.mp4"
    make_clip(clip, width=160, height=96, seconds=1, gop=10, seed=3)
    assert "--stream" in one_line(fovideo("merge", clip, target))
    assert "--at" in one_line(fovideo("merge", clip, target, "--stream", "gate"))
    (tmp_path / "text").write_text("no video")
    assert "text" in one_line(
        fovideo("merge", tmp_path / "text", target, "--stream", "gate", "--at", "2026-11-22T08:30:00Z")
    )
    line = one_line(fovideo("merge", "rtsp://u:hush@127.0.0.1:9/x", target, "--stream", "gate"))
    assert "--from and --to" in line
    assert "hush" not in line
    assert "not a span" in one_line_usage(fovideo("merge", target, target, "--first", "now"))


def one_line_usage(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 2
    return done.stderr


def test_a_store_and_itself(sides: tuple[Path, Path]) -> None:
    same = f"{sides[0]}/../{sides[0].name}"
    assert "source and target are the same store" in one_line(fovideo("merge", sides[0], same))


def test_a_rate_of_nothing_is_not_no_rate(sides: tuple[Path, Path]) -> None:
    assert "less than a byte" in one_line(fovideo("merge", *sides, "--rate", "0.5"))


def test_of_an_empty_store_something_is_said(tmp_path: Path, sides: tuple[Path, Path]) -> None:
    open_store(tmp_path / "empty").close()
    done = fovideo("merge", tmp_path / "empty", sides[1])
    assert done.returncode == 0
    assert "holds no streams" in " ".join(done.stdout.split())
    assert fovideo("gaps", tmp_path / "empty").stdout == "no streams\n"


def test_a_name_that_the_source_lacks(tmp_path: Path, sides: tuple[Path, Path]) -> None:
    for more in ((), ("--save-plan", tmp_path / "plan.json")):
        told = one_line(fovideo("merge", *sides, "--stream", "gat", *more))
        assert "no stream 'gat' (streams there: gate)" in told


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES])
def test_a_source_that_can_only_be_read(
    sides: tuple[Path, Path], number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It merely does not learn what was merged."""

    def refusing(location: str, *, write: bool = False) -> Store:
        if write:
            raise StoreError("cannot be written to") from OSError(number, "not here")
        return Store.open(location)

    monkeypatch.setattr("fovideo.cli.merge_source.open_timeline", refusing)
    with (
        open_source(Wanted(str(sides[0]), None, None, None, None), write=True) as source,
        Store.open(sides[1], write=True) as target,
    ):
        (stream,) = merge(source, target).streams
    assert (stream.inserted_frames, stream.settled_rows) == (300, 0)
