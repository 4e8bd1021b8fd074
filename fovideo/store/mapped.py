"""Files as bytes, mapped instead of read."""

from __future__ import annotations

import contextlib
import mmap
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def mapped(path: Path) -> Iterator[memoryview]:
    """The bytes of a file; an empty view for an empty file. Valid inside the context."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if not size:
            yield memoryview(b"")
            return
        data = mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ)
    view = memoryview(data)
    try:
        yield view
    finally:
        view.release()
        with contextlib.suppress(BufferError):  # an error on its way may still refer to a part of it
            data.close()
