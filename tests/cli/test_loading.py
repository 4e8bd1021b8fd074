"""A command loads only what it needs: what it does not is told by the names of modules, not by a time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from served import open_store, record

from fovideo.cli.main import COMMANDS

HEAVY = frozenset({"av", "httpx", "lmdb", "numpy", "starlette", "uvicorn", "cryptography", "zeep"})
RECORDING = {"lmdb", "numpy"}  # what every store needs


def loaded(*arguments: str | Path) -> set[str]:
    """All modules that a command has loaded at its end."""
    code = (
        "import sys\n"
        "from fovideo.cli.main import main\n"
        "try:\n"
        "    main()\n"
        "finally:\n"
        "    print(*sys.modules, file=sys.stderr)\n"
    )
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return set(subprocess.run(command, capture_output=True, text=True, timeout=60).stderr.split())


@pytest.mark.parametrize("arguments", [("--help",), ("--version",)])
def test_help_loads_no_command(arguments: tuple[str, ...]) -> None:
    modules = loaded(*arguments)
    assert "fovideo.cli.main" in modules
    assert not modules & HEAVY
    assert not modules & {f"fovideo.cli.{name}" for name in COMMANDS}


@pytest.mark.parametrize("command", ["timeline", "check", "merge"])
def test_a_folder_needs_neither_cameras_nor_the_network(tmp_path: Path, command: str) -> None:
    with open_store(tmp_path / "server") as store:
        record(store, 0, 20)
    places = [tmp_path / "server"]
    if command == "merge":
        with open_store(tmp_path / "spare") as store:
            record(store, 0, 40)
        places.insert(0, tmp_path / "spare")
    modules = loaded(command, *places)
    assert modules & HEAVY >= RECORDING
    assert not modules & {"av", "httpx", "starlette", "uvicorn", "fovideo.camera", "fovideo.peer"}


@pytest.mark.parametrize("name", COMMANDS)
def test_what_is_listed_is_what_a_command_says_of_itself(name: str) -> None:
    command = __import__(f"fovideo.cli.{name}", fromlist=["command"]).command
    first = command.help.partition("\n\n")[0]
    assert " ".join(first.split()) == COMMANDS[name]
