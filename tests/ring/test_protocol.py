"""The index protocol holds in every interleaving; the explorer that says so finds every planted mistake."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest
from ring_protocol import Protocol, ProtocolViolation, explore


@pytest.mark.parametrize("capacity", [1, 2, 3, 4])
@pytest.mark.parametrize("batch", [1, 2])
def test_mapped_twice(capacity: int, batch: int) -> None:
    """Records of all sizes up to the capacity, in every order, for more than two laps of the ring."""
    for sizes in itertools.product({1, 2, capacity} & set(range(1, capacity + 1)), repeat=5):
        # What the consumer holds together must fit together with what comes, else both wait for each other.
        if batch == 1 or 2 * max(sizes) <= capacity:
            assert explore(Protocol(capacity, sizes, batch=batch)) > 10


@pytest.mark.parametrize("capacity", [2, 4])
def test_padded(capacity: int) -> None:
    """Without the double mapping: records up to half of the capacity, contiguous by skip records."""
    for sizes in itertools.product(range(1, capacity // 2 + 1), repeat=6):
        assert explore(Protocol(capacity, sizes, padded=True)) > 10


@pytest.mark.parametrize(("padded", "batch"), [(False, 1), (False, 2), (True, 1)])
def test_records_that_are_published_together(padded: bool, batch: int) -> None:
    for sizes in itertools.product((1, 2), repeat=6):
        assert explore(Protocol(4, sizes, padded=padded, batch=batch, staged=3)) > 10


@pytest.mark.parametrize(("capacity", "count", "batch"), [(4, 5, 1), (5, 4, 1), (7, 4, 2)])
def test_rewinding(capacity: int, count: int, batch: int) -> None:
    """Back to place 0 whenever that is allowed, and over what is held when the consumer stops.

    What is free may lie in two pieces, so a consumer that holds on to records needs a larger ring.
    """
    for sizes in itertools.product((1, 2), repeat=count):
        assert explore(Protocol(capacity, sizes, batch=batch, rewinds=True)) > 10


@pytest.mark.parametrize(
    "mistake",
    [
        "rewinds_over",
        "passes_short",
        "headless",
        "passes_end",
        "tail_release",
        "tail_acquire",
        "head_release",
    ],
)
def test_every_mistake_of_rewinding_is_found(mistake: str) -> None:
    right = Protocol(4, (1,) * 6, rewinds=True)
    explore(right)
    with pytest.raises(ProtocolViolation):
        explore(replace(right, **{mistake: mistake.startswith(("rewinds", "passes", "headless"))}))


MISTAKES: list[dict[str, Any]] = [
    {"head_release": False},
    {"head_acquire": False},
    {"tail_release": False},
    {"tail_acquire": False},
    {"slack": 1},
    {"early_head": True},
    {"early_tail": True},
    {"stale": True},
]


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: next(iter(mistake)))
@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("staged", [1, 2])
def test_every_mistake_is_found(mistake: dict[str, Any], padded: bool, staged: int) -> None:
    right = Protocol(4, (2, 1, 2, 2, 2), padded=padded, staged=staged)
    explore(right)
    with pytest.raises(ProtocolViolation):
        explore(replace(right, **mistake))


def test_records_larger_than_half_a_padded_ring_would_wait_for_ever() -> None:
    """Why fov_ring_limit is half of the capacity there."""
    with pytest.raises(ProtocolViolation, match="nobody can go on"):
        explore(Protocol(4, (2, 3), padded=True))
