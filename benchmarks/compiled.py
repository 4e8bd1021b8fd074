"""Programs in C that benchmarks need, compiled when first asked for."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def queues(folder: Path) -> Path | None:
    """The program of native/queues.c, None where there is no C compiler."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        return None
    program = folder / "queues"
    source = ROOT / "benchmarks" / "native" / "queues.c"
    headers = ROOT / "ext" / "include"
    newest = max(each.stat().st_mtime for each in (*headers.glob("*.h"), *source.parent.iterdir()))
    if not program.exists() or program.stat().st_mtime < newest:
        folder.mkdir(parents=True, exist_ok=True)
        include = [f"-I{headers}", f"-I{source.parent}"]
        subprocess.run(
            [compiler, "-O3", "-std=gnu11", *include, str(source), "-o", str(program), "-lpthread"],
            check=True,
        )
    return program


def seconds(program: Path, queue: str, how: str, size: int, count: int) -> float:
    """Run the program once: seconds for `count` records of `size` bytes."""
    done = subprocess.run(
        [program, queue, how, str(size), str(count)], check=True, capture_output=True, text=True
    )
    return float(done.stdout)
