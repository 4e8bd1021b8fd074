"""Whether this process may let libavformat read cameras in bursts (docs/design/ingest.md)."""

from __future__ import annotations

import os

_allowed = False


def allow_bursts() -> bool:
    """Let live cameras on TCP be read in bursts, which halves what reading them by libavformat costs.

    It takes a hook in libavformat's table of imports, for all of the process. So it is for the owner of a
    process, not for a library; the commands do it unless FOVIDEO_BURSTS=0 is in the environment. False
    where that forbids it.
    """
    global _allowed
    _allowed = os.environ.get("FOVIDEO_BURSTS") != "0"
    return _allowed


def bursts_allowed() -> bool:
    """Whether allow_bursts was called, and nothing forbade it."""
    return _allowed
