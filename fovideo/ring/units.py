"""What a camera puts into a ring: units, as numpy rows."""

from __future__ import annotations

from enum import IntEnum
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

NO_TIME = -(2**63)
"""A time that is not known (UNIT["pts_ns"], UNIT["wall_ns"])."""


class Kind(IntEnum):
    """What a record of the ring is."""

    RAW = 0  # bytes pushed with Ring.push: only position, end and size are set
    FRAME = 1  # an access unit, audio frame or metadata document
    FORMAT = 2  # session starts or tracks change; payload: msgpack
    END = 3  # session over


UNIT = np.dtype(
    [
        ("pts_ns", "<i8"),  # media clock, NO_TIME = none
        ("wall_ns", "<i8"),  # wall clock by the sender report, NO_TIME = none
        ("receipt_ns", "<i8"),  # monotonic clock at receipt
        ("value", "<i8"),  # frames: number of frames of the track that were dropped right before; else free
        ("digest", "<u8"),  # XXH64 of the VCL NAL units as stored; of the whole payload if not video
        ("position", "<i8"),  # of the payload in the ring: Ring.payload(position, size)
        ("end", "<i8"),  # of the record: start of the next one, and what to release when done
        ("size", "<u4"),  # bytes of the payload as stored
        ("session", "<u4"),
        ("kind", "u1"),  # Kind
        ("track", "u1"),  # Track.id
        ("flags", "u1"),  # FrameFlag bits
    ],
    align=True,
)
"""One row per record, as the producer saw it."""

Units: TypeAlias = npt.NDArray[Any]
"""1-d structured array of dtype UNIT."""
