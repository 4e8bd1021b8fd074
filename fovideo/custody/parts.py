"""Reading what a timeline says where it lies."""

from __future__ import annotations

from pathlib import Path

from fovideo.platform import read_range
from fovideo.timeline.endpoint import FileRange


def bytes_of(part: bytes | FileRange) -> bytes:
    """The bytes of a part, fewer if its file ends before. OSError where the file cannot be read."""
    return part if isinstance(part, bytes) else read_range(Path(part.path), part.offset, part.size_bytes)


def name_in(location: str, path: Path) -> str:
    """Name of a file for people: inside of its store, where it lies in there."""
    return path.relative_to(location).as_posix() if path.is_relative_to(location) else str(path)
