from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
from typing_extensions import Buffer

from fovideo.media.frames import FrameTable

ROW_BYTES: int
"""Bytes of a row, which is FRAME's item size."""

def table(frames: Buffer | FrameTable) -> bytes:
    """A contiguous frame table as it is on disk, its columns not packed: a group for each run of rows of one track.

    ValueError for what is no frame table.
    """

def decode(body: Buffer, frames: FrameTable) -> None:
    """Fill a contiguous frame table, but for the digests. ValueError says why `body` is none of its length."""

def lengths(tables: list[bytes], edges: npt.NDArray[np.int64]) -> int:
    """Fill `edges`, one more than tables, with how many rows lie before each table, as their heads say.

    Number of the first table that is none by its head; -1 = all are.
    """

def decode_tables(
    tables: list[bytes],
    unpack: Callable[[int, memoryview, int], bytes],
    edges: npt.NDArray[np.int64],
    frames: FrameTable,
) -> int:
    """Fill a contiguous frame table with the rows of all tables, digests too. edges: as of `lengths`.

    unpack: (packing, packed columns, rows) to columns; its errors come through. Number of the first table that
    is none; -1 = all are.
    """

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
