from collections.abc import Sequence

from typing_extensions import Buffer

from fovideo.media.frames import FrameTable

ROW_BYTES: int
"""Bytes of a row, which is FRAME's item size."""

def encode(frames: Buffer | FrameTable) -> bytes:
    """The columns of a contiguous frame table, a group for each run of rows of one track; without the digests."""

def decode(body: Buffer, frames: FrameTable) -> None:
    """Fill a contiguous frame table, but for the digests. ValueError says why `body` is none of its length."""

def boxes(
    frames: Buffer | FrameTable,
    tracks: Sequence[tuple[int, int, int, int, int, int]],
    data_bytes: int,
    sequence: int,
    base_ns: int,
) -> bytes:
    """`prft`, `moof` and the head of `mdat` for a contiguous frame table, each track's rows together.

    tracks: of each id, time scale, delay added to composition offsets (negative: all are 0), what tells how
    long a last sample lasts (0 video, 1 AAC, 2 PCM, 3 Opus), channels, and whether its rows are one sample.
    KeyError names the id of a track that is not among them.
    """
