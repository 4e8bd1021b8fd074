from typing import Self, final

from typing_extensions import Buffer

from fovideo.media.frames import FrameTable

UNIT_BYTES: int
"""Bytes of a row of units, which is UNIT's item size."""

FRAME_BYTES: int
"""Bytes of a row of frames, which is FRAME's item size."""

@final
class Steady:
    """A batch of units, and where the rows of its frames go; holds all three while it lives."""

    def __new__(
        cls, units: Buffer | FrameTable, frames: Buffer | FrameTable, positions: Buffer | FrameTable
    ) -> Self: ...
    def run(
        self,
        begin: int,
        at: int,
        settings: tuple[int, ...],
        fixed: tuple[int, ...],
        state: tuple[int, ...],
    ) -> tuple[int, int, tuple[int, ...]]:
        """Stamp units from number `begin` on as long as their clock goes on as it did.

        at: number of the first row to write; there must be room for all units that are left, else ValueError.
        settings, fixed, state: see PrimaryClock.pass_steady. Returns the unit that is next, the number of
        frames, and the state after them. Numbers too large to compute with leave everything as it is.
        """
