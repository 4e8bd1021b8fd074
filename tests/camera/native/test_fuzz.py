"""The flow under random programs of packets, the loop under many threads, with the compiler's sanitizers."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from compiled_c import build, run

RUNS = int(os.environ.get("FOVIDEO_FUZZ_RUNS", "2000"))


@pytest.fixture(scope="module")
def fuzzer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    source, target = Path(__file__).with_name("fuzz_flow.c"), tmp_path_factory.mktemp("fuzz") / "fuzz_flow"
    return build(source, target, "-fsanitize=address,undefined", "-fno-sanitize-recover=all")


@pytest.mark.parametrize("seed", [1, 2])
def test_no_program_of_packets_breaks_a_flow_or_its_ring(fuzzer: Path, seed: int) -> None:
    done = run(fuzzer, seed, RUNS)
    assert done.returncode == 0, done.stderr[-4000:]


@pytest.mark.skipif(sys.platform != "linux", reason="written for POSIX threads and semaphores")
def test_no_thread_races_with_the_event_loop(tmp_path: Path) -> None:
    program = build(Path(__file__).with_name("race_loop.c"), tmp_path / "race_loop", "-fsanitize=thread")
    done = run(program, 15)
    assert done.returncode == 0, done.stderr[-4000:]
