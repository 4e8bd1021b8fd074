"""What stamping gives."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from fovideo.media.frames import FrameTable


class Backdate(msgspec.Struct, frozen=True):
    """All frames of `epoch` (of this session) shift by shift_ns. To be said before frame number `before` is
    written.
    """

    before: int
    epoch: int
    shift_ns: int


class Piece(msgspec.Struct, frozen=True):
    """Consecutive frames of one epoch, after the back-datings that come before them."""

    backdates: tuple[Backdate, ...]
    epoch: int
    frames: FrameTable
    positions: npt.NDArray[Any]


class Stamped(msgspec.Struct, frozen=True):
    """Frames in ring order: a prefix of what was given.

    frames: dtype FRAME. positions: ring position of each payload. epochs: epoch of each frame.
    consumed: how many of the given units are done with; give the others again, with what came since.
    """

    frames: FrameTable
    positions: npt.NDArray[Any]
    epochs: npt.NDArray[Any]
    backdates: tuple[Backdate, ...]
    consumed: int

    def pieces(self) -> Iterator[Piece]:
        """In the order in which to write. The last piece may hold back-datings only."""
        if not self.backdates and len(self.frames) and self.epochs[0] == self.epochs[-1]:
            yield Piece((), int(self.epochs[0]), self.frames, self.positions)  # epochs only rise
            return
        cuts = {int(number) + 1 for number in np.flatnonzero(np.diff(self.epochs))}
        cuts |= {backdate.before for backdate in self.backdates}
        begin = 0
        for end in [*sorted(cuts - {0, len(self.frames)}), len(self.frames)]:
            if end > begin:
                backdates = tuple(b for b in self.backdates if b.before == begin)
                yield Piece(
                    backdates, int(self.epochs[begin]), self.frames[begin:end], self.positions[begin:end]
                )
            begin = end
        tail = tuple(b for b in self.backdates if b.before == len(self.frames))
        if tail:
            yield Piece(tail, tail[-1].epoch, self.frames[:0], self.positions[:0])
