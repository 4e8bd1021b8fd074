from typing_extensions import Buffer

from fovideo.media.frames import FrameTable

ROW_BYTES: int
"""Bytes of a row, which is FRAME's item size."""

def encode(frames: Buffer | FrameTable) -> bytes:
    """The columns of a contiguous frame table, a group for each run of rows of one track; without the digests."""

def decode(body: Buffer, frames: FrameTable) -> None:
    """Fill a contiguous frame table, but for the digests. ValueError says why `body` is none of its length."""

def trun_rows(
    frames: Buffer | FrameTable, base_ns: int, timescale: int, delay: int, sync: int, other: int
) -> tuple[int, bytes]:
    """First decode tick, and a row of four big-endian i4 a sample: duration (0 for the last), size, flags, offset.

    delay: added to composition offsets; negative: they are all 0. sync, other: flags of keyframes and others.
    """
