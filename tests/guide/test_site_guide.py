"""The guide works as it is written: its shell blocks run, in order, as one session."""

from __future__ import annotations

import configparser
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from free_ports import free_ports

from fovideo.site import load_site

PAGE = (Path(__file__).parents[2] / "docs/guide/site.md").read_text(encoding="utf-8")


def blocks(kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", PAGE, re.S)


@pytest.mark.e2e
@pytest.mark.timeout(300)
def test_its_blocks_run(tmp_path: Path) -> None:
    script = "\n".join(blocks("sh"))
    ports = ("8554", "8555", "8750", "8760")
    for port, free in zip(ports, free_ports(len(ports)), strict=True):
        script = script.replace(port, str(free))
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        [
            "bash",
            "-e",
            "-c",
            f"trap 'kill -9 $(cat {tmp_path}/plant/*pid*) 2>/dev/null || true' EXIT\n{script}\ntrap - EXIT",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ, "PATH": path, "COLUMNS": "200"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    said = done.stdout
    assert "2 of 2 machines answer, 2 of 2 cameras deliver, 0 problems" in said
    assert "standing in" in said
    assert said.count("all is well") == 3
    assert "gate  no gaps" in said
    assert "drill of rec-1 by spare-1: passed" in said
    assert "rec-1: drained" in said
    assert "court" in said.rpartition("all is well")[0].rpartition("site plant")[2]


def test_its_tables_are_right(tmp_path: Path) -> None:
    site = '[[server]]\nname = "rec-1"\nlisten = "127.0.0.1:1"\nstore = "x"\n'
    for table in blocks("toml"):
        (tmp_path / "site.toml").write_text(f'[site]\nname = "plant"\n{table}\n{site}')
        assert load_site(tmp_path / "site.toml").webhooks


def test_its_units_can_be_read() -> None:
    units = [configparser.ConfigParser(interpolation=None, strict=False) for _ in blocks("ini")]
    for unit, text in zip(units, blocks("ini"), strict=True):
        unit.optionxform = str  # type: ignore[assignment]
        unit.read_string(text)
    assert units[0]["Service"]["Type"] == "notify"
    assert "--server %i" in units[0]["Service"]["ExecStart"]
