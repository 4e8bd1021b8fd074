"""The machine's clocks, handed in."""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec


class Clocks(msgspec.Struct, frozen=True):
    """monotonic_ns and wall_ns: what time.monotonic_ns and time.time_ns give."""

    monotonic_ns: Callable[[], int] = time.monotonic_ns
    wall_ns: Callable[[], int] = time.time_ns
