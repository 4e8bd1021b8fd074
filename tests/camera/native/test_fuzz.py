"""The flow under random programs of packets, with the compiler's sanitizers; fuzz_flow.c says how."""

from __future__ import annotations

import os
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
