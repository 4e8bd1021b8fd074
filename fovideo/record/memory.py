"""How cameras share the memory for frames that are not durable yet. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

LEAST_BYTES: Final = 1 << 20
"""What a camera has in any case, so that a keyframe fits."""


def shares(wanted: Mapping[str, int], memory_bytes: int) -> dict[str, int]:
    """What each camera may hold, of what it wants by itself.

    wanted: size of each ring, bytes. memory_bytes: for all of them together, 0 = as much as they want. Where
    they want more each gets less by the same ratio, but never less than LEAST_BYTES.
    """
    total = sum(wanted.values())
    if not memory_bytes or total <= memory_bytes:
        return dict(wanted)
    return {name: max(size * memory_bytes // total, min(size, LEAST_BYTES)) for name, size in wanted.items()}
