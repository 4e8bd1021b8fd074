"""Manifests of two recorders of one camera, as an index gives them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fovideo.media.frames import FRAME, FrameFlag
from fovideo.merge import Manifest
from fovideo.segment import encode_table
from fovideo.timeline.values import Gop, GopFlag, Provenance

START_NS, STEP_NS, PER_GOP = 1_790_000_000_000_000_000, 40_000_000, 25
GOP_NS = STEP_NS * PER_GOP
S = 1_000_000_000


def row(serial: int, number: int, digests: np.ndarray, shift_ns: int, provenance: int = 1) -> Gop:
    """GOP number.. of the camera, on a recorder whose clock is ahead by shift_ns."""
    table = np.zeros(PER_GOP, FRAME)
    start_ns = START_NS + number * GOP_NS + shift_ns
    table["time_ns"] = table["dts_ns"] = start_ns + np.arange(PER_GOP) * STEP_NS
    table["receipt_ns"] = START_NS + number * GOP_NS + np.arange(PER_GOP) * STEP_NS + 1_000_000
    table["digest"], table["size"], table["track"], table["clock"] = digests, 1000, 1, 1
    table["error_ns"] = S
    table["flags"][0] = FrameFlag.KEY
    flags, packed = GopFlag.KEY | GopFlag.COMPLETE, encode_table(table)
    end_ns, at = start_ns + GOP_NS, serial * 25_000
    return Gop(
        "gate", serial, start_ns, end_ns, 0, 1, at, 25_000, provenance, 0, PER_GOP, STEP_NS, flags, packed
    )


def side(
    name: str, numbers: Sequence[int], digests: np.ndarray, drift_ppm: int = 0, offset_ns: int = 0
) -> Manifest:
    rows = tuple(
        row(serial, number, digests[number], offset_ns + number * GOP_NS * drift_ppm // 1_000_000)
        for serial, number in enumerate(numbers)
    )
    provenance = Provenance(recorder=name, session=name * 16, store=name * 32)
    return Manifest(name * 32, "gate", rows, {1: provenance}, generation=1)
