"""The guide to embedding is one program, which runs as it is written."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from served import open_store, record

PAGE = Path(__file__).parents[2] / "docs/guide/embedding.md"


def test_its_program_runs(tmp_path: Path) -> None:
    with open_store(tmp_path / "rec-1") as server, open_store(tmp_path / "spare-1") as spare:
        record(server, 0, 100)
        record(server, 300, 100)
        record(spare, 50, 300, pending=True)
    code = "\n".join(re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S))
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=110
    )
    assert done.returncode == 0, done.stderr
    said = done.stdout
    assert "gate 200 frames" in said
    assert said.count("never recorded") == 1
    assert sum(map(int, re.findall(r"^fill \S+Z (\d+) frames \d+ bytes$", said, re.M))) == 200
    assert re.search(r"^(\d+) of \1 bytes", said, re.M)
    assert "200 frames; still missing: []" in said
    assert re.search(r"^whole [1-9]\d+ bytes$", said, re.M)
