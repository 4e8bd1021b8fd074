"""How long a merge will take at least: by the rate asked for, and by how fast its source can be read."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from fovideo.errors import FovideoError
from fovideo.merge.doing.report import MergeReport
from fovideo.timeline.endpoint import FileRange, Timeline
from fovideo.times import NS_PER_S

_SAMPLE_BYTES = 32 << 20
_SAMPLE_NS = NS_PER_S


def seconds_at_least(
    source: Timeline,
    report: MergeReport,
    rate_bytes: int = 0,
    *,
    clock: Callable[[], int] = time.monotonic_ns,
) -> float:
    """Seconds for what a dry run reports. Reads a little of the footage to see how fast that goes."""
    total = sum(stream.inserted_bytes for stream in report.streams)
    if not total:
        return 0.0
    read_bytes, began_ns = 0, clock()
    for stream in report.streams:
        for span in stream.inserted:
            offset_ns = stream.clock_offset_ns
            for gop in source.gops(stream.name, span.from_ns - offset_ns, span.to_ns - offset_ns):
                if read_bytes >= _SAMPLE_BYTES or clock() - began_ns > _SAMPLE_NS:
                    break
                try:
                    read_bytes += _size_read(source.read(stream.name, gop))
                except (FovideoError, OSError):
                    continue
    read_s = total * (clock() - began_ns) / read_bytes / NS_PER_S if read_bytes else 0.0
    return max(read_s, total / rate_bytes if rate_bytes else 0.0)


def _size_read(part: bytes | FileRange) -> int:
    if isinstance(part, bytes):
        return len(part)
    with Path(part.path).open("rb") as file:
        file.seek(part.offset)
        return len(file.read(part.size_bytes))
