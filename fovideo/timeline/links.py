"""Links: names of two frames of which the second continues the first. Pure.

A name is made of the digests of both, so it holds on every recorder of an encoder, wherever merges bring
either frame, and whatever comes between them.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

import numpy as np

_ALL = (1 << 64) - 1


def link(before: int, after: int) -> int:
    """Name of a frame and the one that continues it, by their digests: 32 bits."""
    mixed = (before * 0x9E3779B97F4A7C15 + after * 0xC2B2AE3D27D4EB4F + 0x165667B19E3779F9) & _ALL
    mixed ^= mixed >> 29
    return (mixed * 0xBF58476D1CE4E5B9 & _ALL) >> 32


def packed(names: Iterable[int]) -> bytes:
    """As of Provenance.links: the names in order, each once, 4 bytes each, the lowest first."""
    return np.array(sorted(set(names)), "<u4").tobytes()


@lru_cache(4096)
def unpacked(links: bytes) -> frozenset[int]:
    """The names that were packed. What lies behind the last whole one is left out."""
    return frozenset(np.frombuffer(links, "<u4", len(links) // 4).tolist())
