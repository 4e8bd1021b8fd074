"""What a lane gives to its store: an order of steps, each of which the store takes wholly or not at all."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from fovideo.media.codec import Track
from fovideo.media.frames import FrameTable
from fovideo.ring import Ring
from fovideo.timeline.values import Loss, Provenance

if TYPE_CHECKING:
    from fovideo.store import Store, StreamWriter

_log = logging.getLogger(__name__)


class Output:
    """Steps wait for `perform`. One that the store refuses, and those behind it, stay for later.

    Payloads stay in the ring until the store has committed them: it writes them again if the disk fails.
    """

    def __init__(self, stream: str, store: Store, ring: Ring, on_loss: Callable[[Loss], None]) -> None:
        self._stream, self._store, self._ring, self._on_loss = stream, store, ring, on_loss
        self._steps: deque[Callable[[], None]] = deque()
        self._writer: StreamWriter | None = None
        self._frames = self._bytes = 0
        self.last_time_ns = 0
        self.frames = self.bytes = self.lost_frames = 0

    @property
    def waiting(self) -> bool:
        """Steps are left."""
        return bool(self._steps)

    @property
    def active(self) -> bool:
        """A commit of the store matters."""
        return self._writer is not None or self.waiting or self._frames > 0

    def open(self, provenance: Provenance, tracks: tuple[Track, ...], *, pending: bool) -> None:
        """What follows is of another session, or another takeover."""
        self._steps.append(partial(self._open, provenance, pending))
        self.set_format(tracks)

    def set_format(self, tracks: tuple[Track, ...]) -> None:
        self._steps.append(partial(self._set_format, tracks))

    def append(self, frames: FrameTable, positions: npt.NDArray[np.int64], epoch: int) -> None:
        """Frames whose payloads lie at these positions of the ring."""
        self._steps.append(partial(self._append, frames, positions, epoch))

    def backdate(self, epoch: int, shift_ns: int) -> None:
        self._steps.append(partial(self._backdate, epoch, shift_ns))

    def lose(self, loss: Loss) -> None:
        self._steps.append(partial(self._lose, loss))

    def close(self) -> None:
        """The session is over, or what follows is not written."""
        self._steps.append(self._close)

    def perform(self) -> None:
        """Take the steps. Raises StoreError when the store refuses one."""
        while self._steps:
            self._steps[0]()
            self._steps.popleft()

    def committed(self) -> None:
        """The store has made durable what it took."""
        self.frames += self._frames
        self.bytes += self._bytes
        self._frames = self._bytes = 0

    def abandon(self) -> int:
        """Forget all steps and let go of the writer; how many frames were among the steps."""
        lost = sum(
            len(step.args[0])
            for step in self._steps
            if isinstance(step, partial) and step.func == self._append
        )
        self._steps.clear()
        writer, self._writer = self._writer, None
        try:
            if writer is not None:
                writer.close()
        except Exception:
            _log.exception("%s: the writer cannot be closed", self._stream)
        return lost

    def _open(self, provenance: Provenance, pending: bool) -> None:
        self._close()
        self._writer = self._store.writer(self._stream, provenance, pending=pending)

    def _close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _set_format(self, tracks: tuple[Track, ...]) -> None:
        if self._writer is not None:
            self._writer.set_format(tracks)

    def _append(self, frames: FrameTable, positions: npt.NDArray[np.int64], epoch: int) -> None:
        assert self._writer is not None
        payloads = self._ring.payloads(positions, frames)
        known = self._writer.append(frames, payloads, epoch=epoch)
        self._frames += known.rows
        self._bytes += known.bytes
        self.last_time_ns = known.latest_ns

    def _backdate(self, epoch: int, shift_ns: int) -> None:
        if self._writer is not None:
            self._writer.backdate(epoch, shift_ns)

    def _lose(self, loss: Loss) -> None:
        if self._writer is not None:
            self._writer.loss(loss)
        self.lost_frames += loss.frames
        self._on_loss(loss)
