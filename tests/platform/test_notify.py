"""The service manager hears what it is told; without one nothing happens."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from fovideo.platform import ServiceManager

pytestmark = pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="this system has no unix sockets")


@pytest.fixture
def heard(tmp_path: Path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as wire:
        wire.bind(str(tmp_path / "notify"))
        wire.settimeout(5)
        yield wire


def test_all_words(heard: socket.socket, tmp_path: Path) -> None:
    manager = ServiceManager({"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "3000000"})
    assert manager.watchdog_s == 3
    assert manager.ready("recording 3 cameras\nand more")
    assert heard.recv(4096) == b"READY=1\nSTATUS=recording 3 cameras"
    assert manager.reloading()
    first, second = heard.recv(4096).split(b"\n")
    assert first == b"RELOADING=1"
    assert second.startswith(b"MONOTONIC_USEC=")
    assert manager.alive()
    assert heard.recv(4096) == b"WATCHDOG=1"
    assert manager.stopping()
    assert heard.recv(4096) == b"STOPPING=1"


def test_abstract_addresses() -> None:
    name = f"fovideo-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as wire:
        try:
            wire.bind("\0" + name)
        except OSError:
            pytest.skip("abstract addresses are Linux's")
        wire.settimeout(5)
        assert ServiceManager({"NOTIFY_SOCKET": "@" + name}).ready()
        assert wire.recv(100) == b"READY=1"


@pytest.mark.parametrize(
    "environ",
    [{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "/nowhere/notify", "WATCHDOG_USEC": "x"}],
)
def test_nobody_listens(environ: dict[str, str]) -> None:
    manager = ServiceManager(environ)
    assert not manager.ready()
    assert manager.watchdog_s == 0


def test_the_watchdog_of_another_process(tmp_path: Path) -> None:
    environ = {"NOTIFY_SOCKET": str(tmp_path), "WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "1"}
    assert ServiceManager(environ).watchdog_s == 0
