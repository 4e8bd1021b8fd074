"""The allocator is told once, and elsewhere nothing happens."""

from __future__ import annotations

import subprocess
import sys

import pytest

from fovideo.platform import keep_memory_small

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
