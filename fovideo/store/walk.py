"""Walking a segment file from front to back, past damage."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from fovideo.errors import SegmentDamaged
from fovideo.segment import Fragment, next_fragment, parse_fragment


class Damage(NamedTuple):
    """Bytes [offset, end) hold no sound fragment; none at all follows if `last`."""

    offset: int
    end: int
    reason: str
    last: bool


def walk(data: memoryview, offset: int) -> Iterator[Fragment | Damage]:
    """Every sound fragment from an offset on, and what lies between them."""
    while offset < len(data):
        try:
            fragment = parse_fragment(data, offset)
        except SegmentDamaged as error:
            found = next_fragment(data, offset + 1)
            end = found if found >= 0 else len(data)
            yield Damage(offset, end, error.what, found < 0)
            offset = end
        else:
            yield fragment
            offset += fragment.size_bytes
