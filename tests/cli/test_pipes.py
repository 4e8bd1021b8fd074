"""`fovideo ... | head`: who stops reading ends the command quietly, as SIGPIPE would."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from served import open_store, record


@pytest.mark.parametrize("arguments", [("gaps",), ("replay", "-o", "-")], ids=["text", "video"])
def test_nobody_reads(arguments: tuple[str, ...], tmp_path: Path) -> None:
    with open_store(tmp_path / "store") as store:
        record(store)
    name, *options = arguments
    read_end, write_end = os.pipe()
    os.close(read_end)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "fovideo", name, str(tmp_path / "store"), *options],
            stdout=write_end,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
        )
    finally:
        os.close(write_end)
    assert (done.returncode, done.stderr) == (141, "")


def test_nobody_reads_the_messages(tmp_path: Path) -> None:
    """The work is done all the same."""
    read_end, write_end = os.pipe()
    os.close(read_end)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "fovideo", "gaps", str(tmp_path / "none")],
            stdout=subprocess.PIPE,
            stderr=write_end,
            timeout=60,
        )
    finally:
        os.close(write_end)
    assert (done.returncode, done.stdout) == (3, b"")
