"""Bursts are for who allowed them, and give way to somebody else who leads libavformat's calls on."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from compiled_c import build, run

from fovideo.platform import allow_bursts, bursts, bursts_allowed

SOURCE = Path(__file__).with_name("burst_check.c")


@pytest.mark.parametrize(("said", "allowed"), [(None, True), ("1", True), ("0", False)])
def test_the_environment_forbids_them(
    monkeypatch: pytest.MonkeyPatch, said: str | None, allowed: bool
) -> None:
    monkeypatch.setattr(bursts, "_allowed", False)
    monkeypatch.delenv("FOVIDEO_BURSTS", raising=False)
    assert not bursts_allowed()
    if said is not None:
        monkeypatch.setenv("FOVIDEO_BURSTS", said)
    assert allow_bursts() is allowed
    assert bursts_allowed() is allowed


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    if not sys.platform.startswith("linux"):
        pytest.skip("bursts are read on Linux only")
    folder = tmp_path_factory.mktemp("bursts")
    peer = build(
        SOURCE, folder / "peer.so", "-D_GNU_SOURCE", "-DPEER", "-shared", "-fPIC", "-Wl,-z,lazy,-z,norelro"
    )
    return build(SOURCE, folder / "check", "-D_GNU_SOURCE"), peer


@pytest.mark.parametrize("when", ["begun", "before"])
def test_somebody_else_leads_the_calls_on(programs: tuple[Path, Path], when: str) -> None:
    """No byte that was taken in is passed over, and nothing more is taken in."""
    program, peer = programs
    result = run(program, peer, when)
    assert result.returncode == 0, result.stdout + result.stderr
