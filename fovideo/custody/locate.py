"""Locating a change by its CRC: which bytes differ, and what they were. Pure.

A CRC is linear: the difference of two CRCs depends on the difference of the data alone. Run backwards over
the zeros behind a short change, it becomes that change itself. What is found is a guess until a hash of the
corrected data proves it.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

LONGEST_BYTES = 3
"""Longer changes fit the CRC at too many places."""


class Change(NamedTuple):
    """Bytes at an offset, and what to xor them with to get the former ones."""

    offset: int
    mask: bytes


def short_changes(size: int, expected_crc: int, found_crc: int) -> list[Change]:
    """Changes of up to LONGEST_BYTES neighbouring bytes in `size` bytes that explain these CRC-32C, shortest
    first.
    """
    return sorted(_candidates(size, expected_crc ^ found_crc), key=lambda change: len(change.mask))


def _candidates(size: int, syndrome: int) -> Iterator[Change]:
    if not syndrome:
        return
    limit = 1 << 8 * LONGEST_BYTES
    back = _back()
    for offset in range(size - 1, -1, -1):
        syndrome = back[syndrome >> 24] ^ (syndrome << 8 & 0xFFFFFFFF)
        # Now it is the state before the byte at `offset`, with nothing but zeros from there on.
        if syndrome < limit and syndrome & 0xFF:
            mask = syndrome.to_bytes(4, "little").rstrip(b"\0")
            if offset + len(mask) <= size:
                yield Change(offset, mask)


@cache
def _back() -> tuple[int, ...]:
    """By the top byte of a state: what one zero byte taken back adds to the state shifted left by 8."""
    table = [0] * 256
    for number in range(256):
        value = number
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table[value >> 24] = (value << 8 & 0xFFFFFFFF) ^ number
    return tuple(table)
