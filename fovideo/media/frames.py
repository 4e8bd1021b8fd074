"""Frame tables: what is known of each access unit (or audio frame, or metadata document), as numpy columns.

A frame table is a structured array of FRAME, in decode order per track. It is the one form in which frames
are handed between ingest, segment, index, timeline and merge.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

FRAME = np.dtype(
    [
        ("time_ns", "<i8"),  # wall clock of presentation (capture), ns since the Unix epoch
        ("dts_ns", "<i8"),  # wall clock of decoding: never decreases in decode order; no B-frames: time_ns
        ("receipt_ns", "<i8"),  # receipt: recorder's wall clock at session start + monotonic progress
        ("error_ns", "<i8"),  # bound of |time_ns - truth|
        ("digest", "<u8"),  # XXH64 of the VCL NAL units (length-prefixed); of the whole payload if not video
        ("size", "<u4"),  # bytes of the sample as stored (video: NAL units with 4-byte lengths)
        ("track", "u1"),  # Track.id
        ("flags", "u1"),  # FrameFlag bits
        ("clock", "u1"),  # Clock
    ],
    align=False,
)

FrameTable: TypeAlias = npt.NDArray[Any]
"""1-d structured array of dtype FRAME."""


class Clock(IntEnum):
    """Where a frame's wall clock comes from, best first."""

    SENDER_REPORT = 1  # RTCP sender report: the camera's own clock
    CONTAINER = 2  # the file or replay source carried absolute times
    LOCAL = 3  # receipt on this machine


class FrameFlag:
    """Bits of FRAME["flags"]."""

    KEY = 1  # random access point: IDR / IRAP (video); every audio frame and metadata document
    PARAMS = 2  # the access unit carries parameter sets in band
    LOST_BEFORE = 4  # frames right before this one are known to be lost
    CORRUPT = 8  # the transport says that part of this access unit is missing


def empty_frames(count: int = 0) -> FrameTable:
    """Zeroed frame table of `count` rows."""
    return np.zeros(count, dtype=FRAME)
