from typing_extensions import Buffer

from fovideo.media.frames import FrameTable

ROW_BYTES: int
"""Bytes of a row, which is FRAME's item size."""

def summary(frames: Buffer | FrameTable, track: int) -> tuple[int, ...]:
    """The fields of fovideo.media.frames.Summary, in their order. ValueError for what is no frame table."""

def flagged(frames: Buffer | FrameTable, track: int, flags: int) -> list[int]:
    """Numbers of the rows of a track that have one of these flags. ValueError for what is no frame table."""
