"""Standard descriptors that a parent closed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HOLD = """
import json, os, sys
from fovideo.platform import hold_standard_descriptors
for number in {closed}: os.close(number)
hold_standard_descriptors()
opened = os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY)
print("to nobody", file=sys.stderr, flush=True)
sys.stdout.write("to nobody"); sys.stdout.flush()
os.write(opened, json.dumps([opened, os.readlink("/proc/self/fd/0")]).encode())
"""


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1, 2), ()])
def test_no_file_takes_the_number_of_one_that_is_closed(tmp_path: Path, closed: tuple[int, ...]) -> None:
    if not Path("/proc/self/fd").exists():
        pytest.skip("the system does not list a process's descriptors")
    path = tmp_path / "x"
    done = subprocess.run(
        [sys.executable, "-c", HOLD.format(closed=closed), path],
        stdin=subprocess.DEVNULL,
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr
    number, stdin = json.loads(path.read_text())
    assert number > 2
    assert stdin == os.devnull


@pytest.mark.skipif(os.name != "posix", reason="closing a child's descriptors is for POSIX")
def test_a_command_started_without_them_writes_a_sound_store(tmp_path: Path) -> None:
    made = "from fovideo.replay import make_clip; make_clip('clip.mp4', seconds=2)"
    subprocess.run([sys.executable, "-c", made], cwd=tmp_path, check=True)
    command = '"$0" -m fovideo -vv record store gate=clip.mp4 <&- >&- 2>&-'
    assert subprocess.run(["sh", "-c", command, sys.executable], cwd=tmp_path, timeout=60).returncode == 0
    check = subprocess.run([sys.executable, "-m", "fovideo", "check", "store"], cwd=tmp_path, timeout=60)
    assert check.returncode == 0


def test_as_many_files_as_the_system_lets() -> None:
    resource = pytest.importorskip("resource")
    program = (
        "import resource as r; h = r.getrlimit(r.RLIMIT_NOFILE)[1]; r.setrlimit(r.RLIMIT_NOFILE, (256, h));"
        "from fovideo.platform import allow_descriptors; print(allow_descriptors() == h)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] > 0
