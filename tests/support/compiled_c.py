"""Small C programs over the headers of ext/include, built with a sanitizer and run."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

INCLUDE = Path(__file__).parents[2] / "ext" / "include"


def build(source: Path, target: Path, *flags: str) -> Path:
    """The program built from `source`; skips the test where there is no compiler that knows the flags."""
    compiler = next((path for name in ("gcc", "clang", "cc") if (path := shutil.which(name))), None)
    if compiler is None:
        pytest.skip("no C compiler on this machine")
    if not INCLUDE.is_dir():
        pytest.skip("the headers are not beside these tests")
    probe = target.with_suffix(".probe.c")
    probe.write_text("int main(void) { return 0; }\n")
    if subprocess.run([compiler, *flags, str(probe), "-o", str(target)], capture_output=True).returncode:
        pytest.skip(f"the compiler of this machine cannot build with {' '.join(flags)}")
    command = [compiler, "-std=c11", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-Wno-unused-function"]
    command += [*flags, "-I", str(INCLUDE), str(source), "-o", str(target), "-pthread"]
    built = subprocess.run(command, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    return target


def run(program: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run it to its end, without address randomisation where possible: older sanitizers need that."""
    command = [str(program), *map(str, arguments)]
    if setarch := shutil.which("setarch"):
        command = [setarch, "-R", *command]
    return subprocess.run(command, capture_output=True, text=True, timeout=100)
