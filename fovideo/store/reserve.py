"""Room kept back on the disk, so that a full store can still be opened and freed."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Final

log = logging.getLogger(__name__)

RESERVE_BYTES: Final = 1 << 20
_CHUNK_BYTES = 1 << 16


class Reserve:
    """A file of noise that is given up when the index needs its room. Loss of it harms nothing."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def fill(self) -> None:
        """Make the file as large as it should be, or as the disk allows."""
        try:
            size = self.path.stat().st_size if self.path.exists() else 0
            if size >= RESERVE_BYTES:
                return
            with self.path.open("ab", buffering=0) as file:
                while size < RESERVE_BYTES:
                    size += file.write(os.urandom(_CHUNK_BYTES)) or 0
        except OSError as error:
            log.debug("%s is not filled: %s", self.path, error)

    def give_up(self) -> bool:
        """Remove the file; whether that made room."""
        try:
            size = self.path.stat().st_size
            self.path.unlink()
        except OSError:
            return False
        log.info("the disk is full; using the reserve in %s", self.path)
        return size > 0
