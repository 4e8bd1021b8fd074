"""Fencing numbers: they rise, and no two spares ever use the same. Pure."""

from __future__ import annotations

SPARES = 64
"""How many spares a site may have: the step of the numbers where there are several."""


def following(number: int, slot: int = 0, step: int = 1) -> int:
    """The next number above `number` that belongs to a slot (its remainder by step).

    A spare alone counts 1, 2, 3. Of several each has its slot, so even spares that cannot ask anybody, as
    during a loss of etcd, never use the number of another.
    """
    return number + 1 + (slot - number - 1) % step
