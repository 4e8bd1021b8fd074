"""What opening and checking a store report."""

from __future__ import annotations

import msgspec


class Cut(msgspec.Struct, frozen=True):
    """Bytes behind the last whole fragment that were cut off a segment file.

    path: relative to the store. frames: how many they held, as far as their remains tell (0 = unknown).
    """

    path: str
    stream: str
    size_bytes: int
    frames: int
    reason: str


class Recovery(msgspec.Struct):
    """What had to be done when the store was opened after its writer died.

    segments: looked through. recovered_frames: whole and durable, but not yet in the index; they are now.
    cuts: torn ends. dropped_insertions: insertions that were under way; a merge does them again.
    missing: segment files that are gone.
    """

    segments: int = 0
    recovered_frames: int = 0
    cuts: list[Cut] = []
    dropped_insertions: int = 0
    missing: list[str] = []

    @property
    def clean(self) -> bool:
        """Nothing had to be done."""
        return not (
            self.segments or self.recovered_frames or self.cuts or self.dropped_insertions or self.missing
        )
