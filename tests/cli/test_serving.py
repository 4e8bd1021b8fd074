"""`serve` and `spare` as a program starts them: one document when they answer, a clean end when asked."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from free_ports import free_ports


@pytest.mark.parametrize(
    ("role", "name", "asked"), [("server", "rec-1", signal.SIGTERM), ("spare", "spare-1", signal.SIGINT)]
)
def test_started_by_a_program(tmp_path: Path, role: str, name: str, asked: signal.Signals) -> None:
    first, second = free_ports(2)
    (tmp_path / "site.toml").write_text(
        '[site]\nname = "t"\n'
        f'[[server]]\nname = "rec-1"\nlisten = "127.0.0.1:{first}"\nstore = "rec-1"\n'
        f'[[spare]]\nname = "spare-1"\nlisten = "127.0.0.1:{second}"\nstore = "spare-1"\n'
    )
    command = "serve" if role == "server" else "spare"
    process = subprocess.Popen(
        [sys.executable, "-m", "fovideo", command, tmp_path / "site.toml", f"--{role}", name, "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with process:
        try:
            assert process.stdout is not None
            hello = json.loads(process.stdout.readline())
            assert (hello["name"], hello["role"]) == (name, role)
            health = httpx.get(hello["url"] + "/v1/health", timeout=20).json()
            assert (health["name"], health["role"]) == (name, role)
            process.send_signal(asked)
            assert process.wait(30) == 0
        finally:
            process.kill()
