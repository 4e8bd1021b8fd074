from collections.abc import Sequence

from typing_extensions import Buffer

from fovideo.media.frames import FrameTable

ROW_BYTES: int
"""Bytes of a row, which is FRAME's item size."""

def summary(frames: Buffer | FrameTable, track: int) -> tuple[int, ...]:
    """The fields of fovideo.media.frames.Summary, in their order. ValueError for what is no frame table."""

def flagged(frames: Buffer | FrameTable, track: int, flags: int) -> list[int]:
    """Numbers of the rows of a track that have one of these flags. ValueError for what is no frame table."""

def middle_step(frames: Buffer | FrameTable, track: int, before: Sequence[int], least: int) -> int:
    """Lower median of the positive steps of a track's dts_ns; 0 if there is none.

    before: steps that came before those of the table. At least `least` steps are looked at if there are as
    many, the last ones; all of the table.
    """

def last_steps(
    tables: Sequence[FrameTable], track: int, next_ns: int, longest: int, before: Sequence[int], most: int
) -> list[int]:
    """The last steps, at most so many, of a track's dts_ns through the tables up to next_ns.

    before: steps that came before. Those longer than `longest`, either way, are left out.
    """

def has_gaps(
    frames: Buffer | FrameTable, track: int, lost_flag: int, longest_ns: int, longest_lost_ns: int
) -> bool:
    """Whether frames of a track are missing among its rows.

    Decode times are not the sorted presentation times, or a step of those is longer than longest_ns, or than
    longest_lost_ns before the frame of a number whose flags have lost_flag.
    """
