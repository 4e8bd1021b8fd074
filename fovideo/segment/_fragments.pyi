from collections.abc import Sequence

from typing_extensions import Buffer

from fovideo.media.frames import FrameTable

PLAIN_ROWS: int
"""Rows from which on a frame table is packed, which is not for here."""

def limit(rows: int) -> int:
    """Bytes that a fragment of so many rows has before its samples, at most."""

def compose(
    out: Buffer,
    at: int,
    frames: Buffer | FrameTable,
    payloads: Sequence[Buffer],
    starts: Sequence[int],
    tracks: Sequence[tuple[int, int, int, int, int, int]],
    video: int,
    sequence: int,
    base_ns: int,
    epoch: int,
) -> list[int] | None:
    """Fragments of consecutive frames, one behind the other, from byte `at` of `out` on; their sizes.

    starts: number of the first frame of each fragment, the first is 0. tracks: see fovideo.segment.moof. video: id of the
    track whose keyframes begin GOPs, 0 = none. sequence: of the first fragment.
    None for what only fovideo.segment.compose_fragment knows, or refuses: documents, tables that are packed, tracks that
    alternate within a fragment or are unknown, sizes that do not fit. `out` may be written to all the same.
    ValueError: no frame table with as many rows as payloads, or no room (bytes of the samples, and `limit` a fragment).
    """
