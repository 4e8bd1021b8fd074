"""How much memory there is, and the C library's allocator in a process of many threads that lives long."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from pathlib import Path

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENAS = -1, -3, -8  # of mallopt in glibc
# Freed and asked for again with each keyframe are 100 kB of parameter sets: less than what is given back.
_SETTINGS = ((_ARENAS, 2), (_TRIM_THRESHOLD, 1 << 20), (_MMAP_THRESHOLD, 128 << 10))


def keep_memory_small() -> bool:
    """Let the process give freed memory back, at a small cost in time. False where that cannot be said.

    glibc keeps a heap for every few threads and grows its own limits for returning memory: what opening a
    camera needs for a moment would stay, times the cameras. For the owner of a process, not for a library:
    it holds for all of the process.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return all(mallopt(name, value) == 1 for name, value in _SETTINGS)


def give_memory_back() -> bool:
    """Give back what is free between pieces that are in use: after much was opened. A few milliseconds.

    False where the C library does not do that. Harmless for whatever else is in the process.
    """
    try:
        return bool(ctypes.CDLL(None).malloc_trim(0))
    except (OSError, AttributeError, TypeError):
        return False


def usable_memory_bytes(
    *, groups: Path = Path("/proc/self/cgroup"), mounted: Path = Path("/sys/fs/cgroup")
) -> int:
    """Memory for this process: the machine's, or its control group's where that has less; 0 = unknown."""
    try:
        found = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return 0
    return min((found, *_limits(groups, mounted))) if found > 0 else 0


def _limits(groups: Path, mounted: Path) -> Iterator[int]:
    """Of the control groups that this process is in, of either version, as far as they have any."""
    try:
        lines = groups.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        root, name = (mounted / "memory", "memory.limit_in_bytes") if controllers else (mounted, "memory.max")
        place = root / path.lstrip("/")
        for folder in (place, *place.parents):
            try:
                text = (folder / name).read_text().strip()
            except OSError:
                text = ""
            if text.isdecimal() and int(text):
                yield int(text)
            if folder == root:
                break
