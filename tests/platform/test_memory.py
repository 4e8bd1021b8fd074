"""The allocator is told once, and elsewhere nothing happens."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fovideo.platform import keep_memory_small, usable_memory_bytes

_HOLD_AND_FREE = """
import threading
from pathlib import Path
from fovideo.platform import keep_memory_small
{tell}
def use():
    held = [bytes(200_000) for _ in range(20)] + [bytes(90_000) for _ in range(20)]
threads = [threading.Thread(target=use) for _ in range(40)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(*[line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if "RssAnon" in line])
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the C library is another one")
def test_a_process_of_many_threads_works_on_after_it() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _HOLD_AND_FREE.format(tell="keep_memory_small()")],
        check=True,
        capture_output=True,
        text=True,
    )
    assert int(done.stdout) > 0


def test_elsewhere_nothing_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    assert keep_memory_small() is False


@pytest.mark.skipif(not hasattr(os, "sysconf"), reason="memory is not told here")
def test_the_smallest_limit_of_the_control_groups_counts(tmp_path: Path) -> None:
    groups, mounted = tmp_path / "cgroup", tmp_path / "fs"
    machine = usable_memory_bytes(groups=tmp_path / "none", mounted=mounted)
    assert machine == os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    (mounted / "outer" / "inner").mkdir(parents=True)
    (mounted / "memory" / "old").mkdir(parents=True)
    groups.write_text("0::/outer/inner\n")
    assert usable_memory_bytes(groups=groups, mounted=mounted) == machine
    (mounted / "outer" / "inner" / "memory.max").write_text("max\n")
    (mounted / "outer" / "memory.max").write_text("100000\n")
    assert usable_memory_bytes(groups=groups, mounted=mounted) == 100_000
    groups.write_text("8:pids:/\n4:memory:/old\n0::/\n")
    (mounted / "memory" / "old" / "memory.limit_in_bytes").write_text("70000\n")
    assert usable_memory_bytes(groups=groups, mounted=mounted) == 70_000
