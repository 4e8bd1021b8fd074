"""Room on a disk."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import NamedTuple


class DiskSpace(NamedTuple):
    """Bytes of the file system; free: what an unprivileged process may still write."""

    total_bytes: int
    free_bytes: int


def disk_space(path: Path) -> DiskSpace:
    """Room on the file system of `path`, which exists."""
    usage = shutil.disk_usage(path)
    return DiskSpace(usage.total, usage.free)
