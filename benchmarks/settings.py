"""How large the benchmarks are."""

from __future__ import annotations

from pathlib import Path

import msgspec


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """folder: scratch, on the disk to be measured. seconds: of a window of ingest.

    line, native_line: numbers of cameras; light_line: natively at half the rate, which a slow disk takes.

    merge_bytes: of what is merged. plan_frames: a side, beside a small plan. gops: rows of the index that is
    opened and sought in.
    """

    folder: Path
    rounds: int = 3
    cameras: int = 100
    line: tuple[int, ...] = (10, 50, 100, 200)
    native_line: tuple[int, ...] = (10, 50, 100, 200)
    light_line: tuple[int, ...] = ()
    seconds: float = 6.0
    warmup: float = 6.0
    merge_bytes: int = 1 << 29
    plan_frames: int = 10_000_000
    gops: int = 1_000_000
    records: int = 20_000
