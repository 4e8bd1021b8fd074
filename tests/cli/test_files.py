"""The commands on video files and stores, as a user runs them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import av
import pytest
from command import fovideo, fovideo_json, one_line

from fovideo.replay import make_clip
from fovideo.times import parse_ns


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clip") / "gate.mp4"
    make_clip(path, seconds=4, gop=25, audio="aac", seed=7)
    return path


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, clip: Path) -> Path:
    path = tmp_path_factory.mktemp("store") / "rec"
    done = fovideo("record", path, f"gate={clip}", "--name", "rec-1")
    assert done.returncode == 0, done.stderr
    return path


@pytest.fixture
def own_store(tmp_path: Path, store: Path) -> Path:
    return Path(shutil.copytree(store, tmp_path / "own"))


def test_record_reports_what_it_wrote(tmp_path: Path, clip: Path) -> None:
    report = fovideo_json("record", tmp_path / "s", f"gate={clip}")
    (camera,) = report["cameras"]
    assert camera["name"] == "gate"
    assert camera["lost_frames"] == 0
    assert camera["frames"] >= 100


def test_recording_a_file_that_is_cut_short_says_so(tmp_path: Path, clip: Path) -> None:
    whole = tmp_path / "whole.mp4"
    assert fovideo("replay", clip, "-o", whole).returncode == 0
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 3])
    done = fovideo("record", tmp_path / "s", f"gate={cut}")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "cut short" in line
    assert fovideo("check", tmp_path / "s").returncode == 0


def test_timeline_json_has_the_promised_shape(store: Path) -> None:
    (stream,) = fovideo_json("timeline", store)["streams"]
    assert {"name", "codec", "frames", "bytes", "spans", "gaps"} <= stream.keys()
    assert (stream["name"], stream["codec"], stream["frames"]) == ("gate", "h264", 100)
    (span,) = stream["spans"]
    assert span["frames"] == 100
    assert span["provenance"] == "rec-1"
    assert parse_ns(span["to"]) - parse_ns(span["from"]) == 4_000_000_000
    assert stream["gaps"] == []


def test_timeline_of_a_stretch_counts_its_frames_exactly(store: Path) -> None:
    (stream,) = fovideo_json("timeline", store)["streams"]
    begin = stream["spans"][0]["from"]
    whole, _, fraction = begin.rstrip("Z").partition(".")
    fraction = (fraction or "0").ljust(9, "0")
    middle = f"{whole}.{fraction}Z"
    later = parse_ns(middle) + 1_500_000_000
    from fovideo.times import format_ns

    (part,) = fovideo_json("timeline", store, "--stream", "gate", "--from", format_ns(later))["streams"]
    assert part["frames"] in (62, 63)


def test_gaps_of_a_whole_recording(store: Path) -> None:
    assert fovideo_json("gaps", store)["streams"] == [{"name": "gate", "gaps": [], "held": []}]


def test_gaps_at_the_edges_of_a_window_count(store: Path) -> None:
    (stream,) = fovideo_json("timeline", store)["streams"]
    end = stream["spans"][0]["to"]
    (found,) = fovideo_json(
        "gaps", store, "--from", stream["spans"][0]["from"], "--to", "2200-01-01T00:00:00Z", status=1
    )["streams"]
    assert [gap["from"] for gap in found["gaps"]] == [end]


def test_merge_into_an_empty_store_then_again(tmp_path: Path, store: Path, clip: Path) -> None:
    target = tmp_path / "target"
    assert fovideo("record", target, f"other={clip}").returncode == 0
    planned = fovideo_json("merge", store, target, "--dry-run")
    assert planned["streams"][0]["inserted_frames"] == 100
    assert len(fovideo_json("timeline", target)["streams"]) == 1
    first = fovideo_json("merge", store, target)
    (stream,) = first["streams"]
    assert {
        "name",
        "inserted_frames",
        "duplicate_frames",
        "conflicting_frames",
        "missing",
        "clock_offset_ns",
    } <= set(stream)
    assert (stream["inserted_frames"], stream["duplicate_frames"]) == (100, 0)
    (stream,) = fovideo_json("merge", store, target)["streams"]
    assert (stream["inserted_frames"], stream["duplicate_frames"]) == (0, 100)
    assert fovideo("check", target).returncode == 0


def test_replay_to_a_file_and_to_stdout(tmp_path: Path, store: Path, clip: Path) -> None:
    out = tmp_path / "out.mp4"
    done = fovideo("replay", store, "gate", "-o", out)
    assert done.returncode == 0, done.stderr
    with av.open(str(out)) as opened:
        assert sum(1 for _ in opened.decode(video=0)) == 100
    again = tmp_path / "again.mp4"
    assert fovideo("replay", clip, "-o", again).returncode == 0
    assert again.stat().st_size > 1000


def test_replay_refuses_what_it_cannot_do(store: Path, tmp_path: Path) -> None:
    assert "where to" in one_line(fovideo("replay", store, "gate"))
    assert "no stream" in one_line(fovideo("replay", store, "nobody", "-o", tmp_path / "x.mp4"))
    assert "not an address" in one_line(fovideo("replay", store, "gate", "--serve", "http://127.0.0.1/x"))


def test_check_finds_and_repair_mends_a_lost_index(own_store: Path) -> None:
    shutil.rmtree(own_store / "index")
    broken = fovideo("check", own_store, "--json")
    assert broken.returncode == 1
    assert not json.loads(broken.stdout)["sound"]
    assert fovideo("check", own_store, "--repair").returncode == 0
    (stream,) = fovideo_json("timeline", own_store)["streams"]
    assert stream["frames"] == 100


def test_check_names_a_changed_byte(own_store: Path) -> None:
    segment = next((own_store / "segments").rglob("*.mp4"))
    data = bytearray(segment.read_bytes())
    data[len(data) // 2] ^= 1
    segment.write_bytes(data)
    done = fovideo("check", own_store)
    assert done.returncode == 1
    assert segment.name in done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["timeline", "gaps", "check"])
def test_a_foreign_folder_is_refused(tmp_path: Path, command: str) -> None:
    (tmp_path / "letter.txt").write_text("dear all")
    line = one_line(fovideo(command, tmp_path))
    assert str(tmp_path) in line
    assert (tmp_path / "letter.txt").read_text() == "dear all"
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def test_recording_into_a_foreign_folder_is_refused(tmp_path: Path, clip: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear all")
    one_line(fovideo("record", tmp_path, f"gate={clip}"))
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


@pytest.mark.parametrize(
    ("content", "name"),
    [(b"not a video\n" * 100, "note.txt"), (b"", "empty.mp4"), (bytes(range(256)) * 64, "noise.bin")],
)
def test_what_is_no_video_is_refused_in_one_line(
    tmp_path: Path, store: Path, content: bytes, name: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert name in one_line(fovideo("record", tmp_path / "s", f"gate={path}"))
    assert fovideo("check", tmp_path / "s").returncode == 0


def test_a_truncated_file_is_refused_or_recorded_as_far_as_it_goes(tmp_path: Path, clip: Path) -> None:
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
    done = fovideo("record", tmp_path / "s", f"gate={cut}")
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    assert fovideo("check", tmp_path / "s").returncode == 0


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["record", "s", "gate"], "NAME=URL"),
        (["record", "s", "gate=http://127.0.0.1/x"], "http"),
        (["record", "s", "../x=y.mp4"], "name"),
        (["record", "s", "gate=/no/such/file.mp4"], "no such file"),
        (["timeline", "nowhere"], "nowhere"),
        (["merge", "nowhere", "nowhere2"], "nowhere"),
        (["serve", "no-site.toml", "--server", "a"], "no-site.toml"),
    ],
)
def test_bad_arguments_get_one_line(
    tmp_path: Path, arguments: list[str], part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert part in one_line(fovideo(*arguments))


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["merge", "a"], "TARGET"),
        (["timeline", "a", "--nosuch"], "--nosuch"),
        (["nosuch"], "nosuch"),
        (["record", "s", "a=b", "--for", "soon"], "30s"),
        (["replay", "s", "n", "--speed", "slow", "-o", "x"], "not a speed"),
        (["serve", "site.toml"], "--server"),
    ],
)
def test_wrong_usage_gets_one_line(arguments: list[str], part: str) -> None:
    done = fovideo(*arguments)
    assert part in one_line(done)
    assert done.returncode == 2


def test_what_the_system_refuses_gets_one_line(tmp_path: Path, store: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "site.toml" in one_line(fovideo("serve", tmp_path / "site.toml" / "x", "--server", "a"))
    assert "x.mp4" in one_line(fovideo("replay", store, "gate", "-o", tmp_path / "no" / "x.mp4"))


def test_a_full_disk_gets_one_line_and_leaves_a_sound_store(tmp_path: Path, clip: Path) -> None:
    code = (
        "import fovideo.store.store as store\n"
        "from disks import FullDisk\n"
        "from fovideo.cli.main import main\n"
        "store.Files = lambda: FullDisk(100_000)\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "record", tmp_path / "s", f"gate={clip}"],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1] / "support")},
    )
    assert "no room" in one_line(done)
    assert done.returncode == 3
    assert fovideo("check", tmp_path / "s").returncode == 0


def test_times_without_a_zone_are_usage_errors(store: Path) -> None:
    done = fovideo("timeline", store, "--from", "2026-11-22 08:00:00")
    assert done.returncode == 2
    assert "RFC 3339" in done.stderr


def test_help_of_every_command() -> None:
    assert fovideo("--help").returncode == 0
    for name in ("record", "timeline", "gaps", "merge", "replay", "check", "serve", "spare", "demo"):
        assert fovideo(name, "--help").returncode == 0
