"""What the remains of a torn fragment still tell."""

from __future__ import annotations

from fovideo.errors import SegmentDamaged
from fovideo.media.frames import FrameTable
from fovideo.segment import decode_table
from fovideo.segment.fragment import FRAGMENT_UUID, HEAD, Head, head_crc


def torn_frames(data: memoryview, offset: int) -> FrameTable | None:
    """Frame table of the fragment that is torn at an offset, None where its head did not survive."""
    if len(data) - offset < HEAD.size:
        return None
    head = Head._make(HEAD.unpack_from(data, offset))
    if head.uuid != FRAGMENT_UUID or len(data) - offset < head.head_bytes or head.head_bytes < HEAD.size:
        return None
    if head_crc(data[offset : offset + head.head_bytes]) != head.head_crc:
        return None
    try:
        return decode_table(data[offset + HEAD.size : offset + HEAD.size + head.table_bytes])
    except SegmentDamaged:
        return None
