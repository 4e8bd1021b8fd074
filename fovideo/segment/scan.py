"""Reading a segment file front to back, as recovery and checks do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from fovideo.errors import SegmentDamaged
from fovideo.segment.fragment import FRAGMENT_UUID, Fragment, parse_fragment

if TYPE_CHECKING:
    from typing_extensions import Buffer


def fragments(data: Buffer, offset: int = 0, *, verify: bool = True) -> Iterator[Fragment]:
    """The fragments that a buffer holds from an offset to its end, as the bytes of a GOP row do.

    verify: check the CRC of the samples too. Raises SegmentDamaged at the first that is not whole and sound.
    """
    view = memoryview(data).cast("B")
    while offset < len(view):
        fragment = parse_fragment(view, offset, verify=verify)
        yield fragment
        offset += fragment.size_bytes


def scan(data: Buffer, offset: int) -> tuple[list[Fragment], int, str]:
    """All whole fragments from an offset on, the end of the last one, and why it ended.

    The reason is "" where the file ends with a whole fragment, else what SegmentDamaged says of the next one.
    """
    found: list[Fragment] = []
    try:
        for fragment in fragments(data, offset):
            found.append(fragment)
            offset += fragment.size_bytes
    except SegmentDamaged as error:
        return found, offset, str(error)
    return found, offset, ""


def next_fragment(data: Buffer, offset: int) -> int:
    """Offset of the next sound fragment at or behind an offset, or -1: where to go on behind damage."""
    view = memoryview(data).cast("B")
    mark = b"uuid" + FRAGMENT_UUID
    step = 1 << 20
    at = offset
    while at < len(view):
        window = bytes(view[at : at + step + len(mark)])
        found = window.find(mark)
        if found < 0:
            at += step
            continue
        start = at + found - 4
        if start >= offset:
            try:
                parse_fragment(view, start)
            except SegmentDamaged:
                pass
            else:
                return start
        at += found + 1
    return -1
