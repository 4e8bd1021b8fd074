"""`serve` and `spare` as a service manager runs them: started, reloaded, watched, and a clean end."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from free_ports import free_ports


def write_site(folder: Path, more: str = "") -> Path:
    path = folder / "site.toml"
    if not path.exists():
        first, second = free_ports(2)
        path.write_text(
            '[site]\nname = "t"\n'
            f'[[server]]\nname = "rec-1"\nlisten = "127.0.0.1:{first}"\nstore = "rec-1"\n'
            f'[[spare]]\nname = "spare-1"\nlisten = "127.0.0.1:{second}"\nstore = "spare-1"\n'
        )
    path.write_text(path.read_text() + more)
    return path


@contextmanager
def running(folder: Path, role: str, name: str, **environ: str) -> Iterator[subprocess.Popen[str]]:
    command = "serve" if role == "server" else "spare"
    process = subprocess.Popen(
        [sys.executable, "-m", "fovideo", command, write_site(folder), f"--{role}", name, "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environ},
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def said(process: subprocess.Popen[str], begin: str) -> str:
    """The next line on stderr that begins so."""
    assert process.stderr is not None
    return next(line for line in process.stderr if line.startswith(begin))


@pytest.mark.parametrize(
    ("role", "name", "asked"), [("server", "rec-1", signal.SIGTERM), ("spare", "spare-1", signal.SIGINT)]
)
def test_started_by_a_program(tmp_path: Path, role: str, name: str, asked: signal.Signals) -> None:
    with running(tmp_path, role, name) as process:
        assert process.stdout is not None
        hello = json.loads(process.stdout.readline())
        assert (hello["name"], hello["role"]) == (name, role)
        health = httpx.get(hello["url"] + "/v1/health", timeout=20).json()
        assert (health["name"], health["role"]) == (name, role)
        process.send_signal(asked)
        assert process.wait(30) == 0


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="this system has no SIGHUP")
def test_the_service_manager_hears_of_it_all(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as wire:
        wire.bind(str(tmp_path / "notify"))
        wire.settimeout(30)

        def hear(word: str) -> None:
            while not wire.recv(4096).decode().startswith(word):
                pass

        environ = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "600000"}
        with running(tmp_path, "server", "rec-1", **environ) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            hear("READY=1")
            hear("WATCHDOG=1")
            url = json.loads(process.stdout.readline())["url"]
            write_site(tmp_path, '[[camera]]\nname = "gate"\nserver = "rec-1"\nurl = "none.mp4"\n')
            process.send_signal(signal.SIGHUP)
            hear("RELOADING=1")
            hear("READY=1")
            assert said(process, "rec-1: reloaded") == "rec-1: reloaded: added gate\n"
            assert list(httpx.get(url + "/v1/health", timeout=20).json()["cameras"]) == ["gate"]
            write_site(tmp_path, '[[camera]]\nname = "gate"\n')
            process.send_signal(signal.SIGHUP)
            hear("RELOADING=1")
            hear("READY=1")
            assert "gate" in said(process, "rec-1: not reloaded")
            assert list(httpx.get(url + "/v1/health", timeout=20).json()["cameras"]) == ["gate"]
            process.send_signal(signal.SIGTERM)
            hear("STOPPING=1")
            assert process.wait(30) == 0
