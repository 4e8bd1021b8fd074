"""Durations for people."""

from __future__ import annotations

import pytest

from fovideo.times import NS_PER_MS, NS_PER_S, format_duration

HOUR_NS = 3600 * NS_PER_S


@pytest.mark.parametrize(
    ("duration_ns", "text"),
    [
        (840 * NS_PER_MS, "840 ms"),
        (12_500 * NS_PER_MS, "12.5 s"),
        (200 * NS_PER_S, "3 min 20 s"),
        (2 * HOUR_NS + 300 * NS_PER_S, "2 h 05 min"),
        (47 * HOUR_NS, "47 h 00 min"),
        (100 * HOUR_NS, "4 d 04 h"),
        (75_313 * HOUR_NS, "8.6 years"),
    ],
)
def test_a_duration_is_told_in_units_that_fit(duration_ns: int, text: str) -> None:
    assert format_duration(duration_ns) == text
    assert format_duration(-duration_ns) == f"-{text}"
