"""The flow under random programs of packets, with the compiler's sanitizers; fuzz_flow.c says how."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
INCLUDE = HERE.parents[2] / "ext" / "include"
RUNS = int(os.environ.get("FOVIDEO_FUZZ_RUNS", "2000"))
FLAGS = ["-g", "-O1", "-std=gnu11", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]


@pytest.fixture(scope="module")
def fuzzer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("gcc") or shutil.which("cc") or shutil.which("clang")
    if compiler is None or not INCLUDE.is_dir():
        pytest.skip("no C compiler, or no sources")
    out = tmp_path_factory.mktemp("fuzz") / "fuzz_flow"
    done = subprocess.run(
        [compiler, *FLAGS, "-I", INCLUDE, HERE / "fuzz_flow.c", "-o", out],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        if "sanitize" in done.stderr or "asan" in done.stderr:
            pytest.skip("the compiler has no sanitizers")
        pytest.fail(done.stderr)
    return out


@pytest.mark.parametrize("seed", [1, 2])
def test_no_program_of_packets_breaks_a_flow_or_its_ring(fuzzer: Path, seed: int) -> None:
    environment = os.environ | {"ASAN_OPTIONS": "detect_leaks=1", "UBSAN_OPTIONS": "print_stacktrace=1"}
    command = [fuzzer, str(seed), str(RUNS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=110)
    assert done.returncode == 0, done.stderr[-4000:]
