"""Runs the `fovideo` command as a user would, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any


def fovideo(*arguments: str | Path, timeout: float = 60, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run to its end; stdout and stderr as text."""
    return subprocess.run(
        [sys.executable, "-m", "fovideo", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=timeout,
        env={**os.environ, **environ},
    )


def fovideo_json(*arguments: str | Path, status: int = 0, timeout: float = 120, **environ: str) -> Any:
    """Run with --json; the parsed document. Asserts the exit status."""
    done = fovideo(*arguments, "--json", timeout=timeout, **environ)
    assert done.returncode == status, (done.returncode, done.stdout[-1000:], done.stderr)
    return json.loads(done.stdout)


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    """The single line of error that a failed command printed; no traceback, nothing on stdout."""
    assert done.returncode not in (0, 1), (done.returncode, done.stderr)
    lines = done.stderr.strip().splitlines()
    assert "Traceback" not in done.stderr
    assert len(lines) == 1, done.stderr
    return lines[0]
