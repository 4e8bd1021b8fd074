"""Reading a segment file front to back, as recovery and checks do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fovideo.errors import SegmentDamaged
from fovideo.segment.fragment import FRAGMENT_UUID, Fragment, parse_fragment

if TYPE_CHECKING:
    from typing_extensions import Buffer


def scan(data: Buffer, offset: int) -> tuple[list[Fragment], int, str]:
    """All whole fragments from an offset on, the end of the last one, and why it ended.

    The reason is "" where the file ends with a whole fragment, else what SegmentDamaged says of the next one.
    """
    view = memoryview(data).cast("B")
    fragments: list[Fragment] = []
    while offset < len(view):
        try:
            fragment = parse_fragment(view, offset)
        except SegmentDamaged as error:
            return fragments, offset, str(error)
        fragments.append(fragment)
        offset += fragment.size_bytes
    return fragments, offset, ""


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
