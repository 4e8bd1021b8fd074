"""NAL code on any bytes under address and undefined-behaviour sanitizers, without Python in the process.

FOVIDEO_NAL_ROUNDS (default 100000) is the number of inputs.
"""

from __future__ import annotations

import os
from pathlib import Path

from compiled_c import build, run

SOURCE = Path(__file__).with_name("nal_check.c")
ROUNDS = os.environ.get("FOVIDEO_NAL_ROUNDS", "100000")


def test_no_byte_is_read_or_written_outside(tmp_path: Path) -> None:
    program = build(SOURCE, tmp_path / "check", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
    result = run(program, ROUNDS, 20261122)
    assert result.returncode == 0, result.stderr
