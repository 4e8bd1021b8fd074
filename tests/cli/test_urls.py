"""The commands with the URL of a running server where a store stands."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import av
import pytest
from command import fovideo, fovideo_json, one_line
from free_ports import free_ports
from waiting import wait_until

from fovideo.replay import LoopSource, RtspServer, make_clip
from fovideo.service.serve import RecordingServer
from fovideo.site import load_site
from fovideo.store import Store

TOKEN = "open sesame"


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clip") / "gate.mp4"
    make_clip(path, width=160, height=96, seconds=2, gop=10, seed=3)
    return path


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A server without cameras, with a token that the environment gives."""
    (port,) = free_ports(1)
    (tmp_path / "site.toml").write_text(
        f'[site]\nname = "t"\n[[server]]\nname = "rec-1"\nlisten = "127.0.0.1:{port}"\n'
        f'store = "rec-1"\ntoken = "{TOKEN}"\n'
    )
    monkeypatch.setenv("FOVIDEO_TOKEN", TOKEN)
    with RecordingServer(load_site(tmp_path / "site.toml"), "rec-1") as server:
        yield server.url


def test_everything_works_on_a_url(tmp_path: Path, url: str, clip: Path) -> None:
    report = fovideo_json("record", url, f"gate={clip}")
    assert report["cameras"][0]["lost_frames"] == 0
    (stream,) = fovideo_json("timeline", url)["streams"]
    assert (stream["name"], stream["frames"], stream["gaps"]) == ("gate", 50, [])
    assert fovideo("gaps", url, "--stream", "gate").returncode == 0
    assert fovideo_json("check", url)["sound"]

    out = tmp_path / "out.mp4"
    assert fovideo("replay", url, "gate", "-o", out).returncode == 0
    with av.open(str(out)) as opened:
        assert sum(1 for _ in opened.decode(video=0)) == 50

    local = tmp_path / "local"
    Store.open(local, write=True, create=True).close()
    (pulled,) = fovideo_json("merge", url, local)["streams"]
    assert pulled["inserted_frames"] == 50
    (pushed,) = fovideo_json("merge", local, url)["streams"]
    assert (pushed["inserted_frames"], pushed["duplicate_frames"]) == (0, 50)
    assert "same store" in one_line(fovideo("merge", url, url))


def test_a_wrong_token_is_refused_and_not_shown(url: str, clip: Path) -> None:
    for arguments in (("timeline", url), ("record", url, f"gate={clip}"), ("check", url)):
        line = one_line(fovideo(*arguments, FOVIDEO_TOKEN="not-the-token"))
        assert "token" in line
        assert "not-the-token" not in line
        assert TOKEN not in line


def test_a_server_in_use_is_not_repaired(url: str, tmp_path: Path) -> None:
    assert "stop its server" in one_line(fovideo("check", url, "--repair"))
    busy = one_line(fovideo("check", tmp_path / "rec-1", "--repair"))
    assert str(os.getpid()) in busy


def test_nobody_there() -> None:
    (port,) = free_ports(1)
    assert str(port) in one_line(fovideo("timeline", f"http://127.0.0.1:{port}"))


def test_bad_cameras_get_one_line_each(tmp_path: Path, clip: Path) -> None:
    (port,) = free_ports(1)
    assert "nohost.invalid" in one_line(fovideo("record", tmp_path / "s", "x=rtsp://nohost.invalid/a"))
    refused = one_line(fovideo("record", tmp_path / "s", f"x=rtsp://u:hush@127.0.0.1:{port}/a"))
    assert "hush" not in refused
    with RtspServer(user="admin", password="right") as server:
        server.add_stream("cam", LoopSource(clip))
        for user in ("admin:wrong", "admin:wrong%20word"):
            line = one_line(fovideo("record", tmp_path / "s", f"x=rtsp://{user}@127.0.0.1:{server.port}/cam"))
            assert "wrong" not in line
            assert "401" in line or "credentials" in line or "password" in line
        line = one_line(
            fovideo("record", tmp_path / "s", f"x=rtsp://admin:right@127.0.0.1:{server.port}/nothing")
        )
        assert "no such stream" in line
    assert fovideo("check", tmp_path / "s").returncode == 0


def test_a_live_camera_for_a_while(tmp_path: Path, clip: Path) -> None:
    with RtspServer() as server:
        address = server.add_stream("cam", LoopSource(clip))
        for transport in ("tcp", "udp"):
            report = fovideo_json(
                "record", tmp_path / transport, f"gate={address}", "--for", "2s", "--transport", transport
            )
            assert report["cameras"][0]["frames"] > 20
            (stream,) = fovideo_json("timeline", tmp_path / transport)["streams"]
            assert report["cameras"][0]["frames"] == stream["frames"]
            assert fovideo("check", tmp_path / transport).returncode == 0


def test_a_store_whose_writer_was_killed_says_in_one_line_what_was_cut(tmp_path: Path, clip: Path) -> None:
    path = tmp_path / "s"
    with RtspServer() as server:
        address = server.add_stream("cam", LoopSource(clip))
        process = subprocess.Popen([sys.executable, "-m", "fovideo", "record", path, f"gate={address}"])
        try:
            wait_until(lambda: list(path.glob("segments/*/*/*.mp4")), "a segment", 30)
        finally:
            process.kill()
            process.wait()
    (segment,) = path.glob("segments/*/*/*.mp4")
    with segment.open("ab") as file:
        file.write(b"torn")
    done = fovideo("record", path, f"other={clip}")
    assert done.returncode == 0
    (line,) = done.stderr.splitlines()
    assert "4 bytes" in line
    assert segment.name in line
    assert fovideo("check", path).returncode == 0
