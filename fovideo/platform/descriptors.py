"""Descriptors of a process: how many it may have, and the first three, which must be there."""

from __future__ import annotations

import contextlib
import os
import sys


def allow_descriptors() -> int:
    """Let the process open as many files as the system lets it; how many, 0 = unknown.

    A camera takes three and more (connection, ring, segment file); the usual limit is 1,024. For the owner
    of a process: what it starts has the same limit.
    """
    try:
        import resource
    except ImportError:
        return 0
    now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if now != most:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def hold_standard_descriptors() -> None:
    """Point those of standard input, output and error that are closed at the null device.

    A daemon's parent may have closed them. The next file that is opened takes the lowest free number, and
    what any library then writes to "standard error" lands in that file: a segment, or the index. For the
    owner of a process, before all else.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != number:  # only POSIX gives the lowest free one
                os.dup2(opened, number)
                os.close(opened)
    sys.stdin = sys.stdin or os.fdopen(0, "r", closefd=False)
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)
