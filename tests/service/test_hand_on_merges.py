"""Pause, resume and end what a spare gives back, and what a command merges."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner
from free_ports import free_ports
from served import open_store, record
from site_text import camera, machine
from waiting import wait_until

from fovideo.cli import nearby
from fovideo.cli.main import fovideo as main
from fovideo.merge import MergeControl
from fovideo.merge.doing.running import MergeState, RunningMerge
from fovideo.peer import Control
from fovideo.service.serve import RecordingServer
from fovideo.service.spare import Spare
from fovideo.site import load_site
from fovideo.store import Store

PATIENCE_S = 60.0
HASTY = '[site]\nname = "plant"\n[detection]\nmerge_every = "100ms"\nquiet_after = "300ms"\n'


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[RecordingServer, Spare]]:
    """A spare that holds an outage of a server which is back; its camera does not answer."""
    ports = free_ports(3)
    text = HASTY + machine("server", "rec-1", ports[0])
    text += machine("spare", "spare-1", ports[1], 'merge_rate = "1kB"\n')
    (tmp_path / "site.toml").write_text(text + camera("gate", f"rtsp://127.0.0.1:{ports[2]}/none"))
    with open_store(tmp_path / "spare-1") as store:
        record(store, 0, 400, size=4000, pending=True)
    with open_store(tmp_path / "rec-1") as store:
        record(store, 0, 100, size=4000)
    loaded = load_site(tmp_path / "site.toml")
    with RecordingServer(loaded, "rec-1") as server, Spare(loaded, "spare-1") as spare:
        yield server, spare


def frames(station: RecordingServer | Spare) -> int:
    return sum(info.frames for info in station.store.streams())


def left(spare: Spare) -> int:
    return sum(row.frames for row in spare.store.unsettled())


def states(spare: Spare) -> list[str]:
    return [str(status.state) for status in spare.health().merges]


def test_what_a_spare_gives_back(site: tuple[RecordingServer, Spare]) -> None:
    """After a quarter of a megabyte it waits for minutes, so as to keep to its rate."""
    server, spare = site
    wait_until(lambda: frames(server) > 100, "the spare gives back", PATIENCE_S)
    wait_until(lambda: any(each.size_bytes for each in spare.health().merges), "it says so", PATIENCE_S)
    (status,) = spare.health().merges
    assert (status.id, status.source, status.target) == ("rec-1", "spare-1", "rec-1")
    assert (status.state, status.stream) == (MergeState.RUNNING, "gate")
    assert 0 < status.size_bytes < status.of_bytes
    with closing(Control(spare.url)) as control:
        control.pause("rec-1")
        assert states(spare) == ["paused"]
        assert spare.health().servers["rec-1"].paused
        control.pause("rec-1", False)
        assert states(spare) == ["running"]
        before = left(spare)
        control.cancel("rec-1")
        wait_until(lambda: left(spare) < before, "what is in is settled", PATIENCE_S)
        wait_until(lambda: states(spare) == ["paused"], "the next pass waits", PATIENCE_S)
        assert left(spare) == 400 - frames(server) > 0
        inserted = frames(server)
        control.pause("rec-1", False)
        wait_until(lambda: frames(server) > inserted, "it goes on", PATIENCE_S)


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, [*map(str, arguments)], standalone_mode=False)
    return (2, str(result.exception)) if result.exception else (result.return_value, result.output)


def test_it_is_paused_before_there_is_anything_to_give_back(tmp_path: Path) -> None:
    """And after a restart it is still."""
    ports = free_ports(4)
    text = HASTY
    for table, name, port in zip(
        ("server", "spare", "spare"), ("rec-1", "spare-1", "spare-2"), ports, strict=False
    ):
        text += machine(table, name, port)
    text += camera("gate", f"rtsp://127.0.0.1:{ports[3]}/none")
    path = tmp_path / "site.toml"
    path.write_text(text)
    site = load_site(path)
    with RecordingServer(site, "rec-1") as server:
        with Spare(site, "spare-1"), Spare(site, "spare-2"):
            assert run("merges", str(path))[1].strip() == "no merge runs"
            assert "spare-1/rec-1, spare-2/rec-1" in run("merges", str(path), "--pause")[1]
            code, said = run("merges", str(path), "--pause", "--merge", "spare-1/rec-1", "--json")
            assert (code, [each["state"] for each in json.loads(said)]) == (0, ["paused"])
            code, said = run("merges", str(path), "--pause", "--all", "--json")
            assert (code, len(json.loads(said))) == (0, 1), "what is paused already"
        with open_store(tmp_path / "spare-1") as store:
            record(store, 0, 400, pending=True)
        with Spare(site, "spare-1") as spare:
            assert states(spare) == ["paused"]
            assert spare.health().servers["rec-1"].paused
            wait_until(lambda: spare.health().merges[0].streams, "a pass has begun", PATIENCE_S)
            assert frames(server) == 0
            assert run("merges", spare.url, "--resume")[0] == 0
            wait_until(lambda: left(spare) == 0, "all is given back", PATIENCE_S)
            assert frames(server) == 400


def test_a_command_that_merges(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another command of the same user finds it, pauses it, and ends it."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    with open_store(tmp_path / "spare") as spare:
        record(spare, 0, 400, size=4000, pending=True)
    with open_store(tmp_path / "server") as server:
        record(server, 0, 100, size=4000)
    command = [sys.executable, "-m", "fovideo", "merge", str(tmp_path / "spare"), str(tmp_path / "server")]
    with subprocess.Popen(
        [*command, "--rate", "1kB", "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        wait_until(
            lambda: any(each.size_bytes for each in nearby.found().values()), "it is found", PATIENCE_S
        )
        (status,) = nearby.found().values()
        assert (status.source, status.target) == (str(tmp_path / "spare"), str(tmp_path / "server"))
        code, said = run("merges", "--pause", "--json")
        assert code == 0
        assert [each["state"] for each in json.loads(said)] == ["paused"]
        assert "paused" in run("merges")[1]
        code, said = run("merges", "--resume", "--merge", str(tmp_path / "server"), "--json")
        assert [each["state"] for each in json.loads(said)] == ["running"]
        assert "no such merge" in run("merges", "--cancel", "--merge", "other")[1]
        assert run("merges", "--cancel")[0] == 0
        printed, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 1, errors
    report = json.loads(printed)
    assert report["stopped"]
    assert report["streams"][0]["left_frames"] > 0
    assert nearby.found() == {}
    assert run("merges")[1].strip() == "no merge runs"
    with Store.open(tmp_path / "server") as store:
        assert store.streams()[0].frames == 400 - report["streams"][0]["left_frames"]


def test_what_a_killed_command_leaves_is_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    running = RunningMerge("one", "spare", "server", MergeControl())
    with nearby.offered(running):
        assert list(nearby.found()) == ["one"]
        path = tmp_path / "fovideo" / "one"
        address = path.read_bytes()
        path.write_bytes(address.replace(b'"secret":"', b'"secret":"x'))
        assert nearby.found() == {}, "who does not know the secret hears nothing"
        path.write_bytes(address)
    assert not path.exists()
    path.write_bytes(address)
    assert nearby.found() == {}
    assert not path.exists()
    (tmp_path / "fovideo").chmod(0o755)
    assert nearby.found() == {}
    with nearby.offered(running):
        pass


def test_where_to_look(tmp_path: Path) -> None:
    assert "neither a URL nor a SITE.toml" in run("merges", str(tmp_path / "none"))[1]
