"""Descriptors 0, 1 and 2: whoever opens a file while one is missing gets its number."""

from __future__ import annotations

import os
import sys


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
