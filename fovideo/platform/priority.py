"""Which thread runs first where more want to than there are cores."""

from __future__ import annotations

import os
import sys
import threading

_URGENT = -10  # nice value: before what computes, behind what the system itself holds for urgent


def run_before_others() -> bool:
    """Let the calling thread run before others: what it reads cannot wait, and it is little work.

    False where that is not allowed (Linux: it needs CAP_SYS_NICE or a LimitNICE of the service), or where
    there is no such thing for one thread.
    """
    if sys.platform != "linux":
        return False  # POSIX would take the whole process for it
    try:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _URGENT)
    except OSError:
        return False
    return True
