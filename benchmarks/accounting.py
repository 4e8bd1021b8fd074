"""What processes cost, from the kernel's own accounting: CPU by the scheduler's clock, memory as PSS."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

_SCHEDULER_CLOCK = 2


def cpu_ns(pids: Iterable[int]) -> int:
    """User and system time of live processes with all of their threads, ns, to the scheduler's precision."""
    return sum(time.clock_gettime_ns((~pid << 3) | _SCHEDULER_CLOCK) for pid in pids)


def pss_bytes(pids: Iterable[int]) -> int:
    """Proportional set size: private memory, and shared memory divided by those who share it."""
    total = 0
    for pid in pids:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        total += next(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:")) * 1024
    return total


def shared_pss_bytes(pids: Iterable[int]) -> int:
    """The part of PSS that lies in shared memory (rings are there)."""
    total = 0
    for pid in pids:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        total += (
            sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss_Shmem:")) * 1024
        )
    return total


def written_bytes(pids: Iterable[int]) -> int:
    """Bytes that the processes caused to be written to disk."""
    total = 0
    for pid in pids:
        text = Path(f"/proc/{pid}/io").read_text()
        total += next(int(line.split()[1]) for line in text.splitlines() if line.startswith("write_bytes:"))
    return total


def context_switches(pid: int) -> int:
    """Voluntary and other switches of all live threads."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        for line in (task / "status").read_text().splitlines():
            if "ctxt_switches" in line:
                total += int(line.split()[1])
    return total
