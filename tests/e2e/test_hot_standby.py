"""Random kills of a server in hot standby: not one frame is lost. $FOVIDEO_STANDBY_KILLS: how many."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
KILLS = int(os.environ.get("FOVIDEO_STANDBY_KILLS", "3"))


@pytest.mark.e2e
@pytest.mark.slow
@pytest.mark.timeout(120 + 60 * KILLS)
def test_no_frame_is_lost_by_random_kills(tmp_path: Path) -> None:
    seed = os.environ.get("FOVIDEO_SEED") or str(int.from_bytes(os.urandom(3)))
    print(f"FOVIDEO_SEED={seed}")
    options = ["--kills", str(KILLS), "--seed", seed, "--docs", tmp_path, "--folder", tmp_path / "scratch"]
    command = [sys.executable, ROOT / "benchmarks" / "takeover.py", *map(str, options)]
    environ = {**os.environ, "PYTHONSAFEPATH": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environ)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "takeover.json").read_text())
    assert len(found["kills"]) == KILLS
    assert found["frames_sent"] > 100 * KILLS
    assert (found["frames_missing"], found["frames_twice"]) == (0, 0), found
