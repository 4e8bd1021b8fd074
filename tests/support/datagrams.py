"""UDP owes nothing: on a busy machine the kernel drops datagrams that nobody fetches, and counts them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec

P = ParamSpec("P")
_TIMES = 3


def dropped() -> int:
    """Datagrams that the kernel has received and not delivered since it runs; 0 where it does not tell."""
    try:
        lines = Path("/proc/net/snmp").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    names, values = (line.split()[1:] for line in lines if line.startswith("Udp:"))
    told = dict(zip(names, map(int, values), strict=True))
    return told["InErrors"] + told["SndbufErrors"]


def excused_by_drops(test: Callable[P, None]) -> Callable[P, None]:
    """A test that is run anew, twice at the most, where it failed while the kernel dropped datagrams."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        for left in reversed(range(_TIMES)):
            before = dropped()
            try:
                return test(*args, **kwargs)
            except AssertionError:
                if not left or dropped() == before:
                    raise
        return None

    return run
