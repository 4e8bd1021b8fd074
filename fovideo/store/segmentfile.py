"""A segment file that is being written."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from fovideo.media.frames import FrameTable, joined
from fovideo.segment import Notes, Room, SegmentHeader, compose_fragment, compose_together, encode_header
from fovideo.store.assemble import Assembler
from fovideo.store.behind import Behind
from fovideo.store.files import Files

_NO_NOTES = Notes()


class Piece(NamedTuple):
    """Frames of one fragment, each track's together, with their payloads (referred to, not copied)."""

    epoch: int
    frames: FrameTable
    payloads: Sequence[Any]
    notes: Notes


class Savepoint(NamedTuple):
    """State of a segment file to go back to."""

    size_bytes: int
    sequence: int
    unsafe: int
    assembler: Assembler


class SegmentFile:
    """Appends fragments to one file and keeps account of what is durable.

    size_bytes: end of the last whole fragment. safe_bytes: up to where it is durable.
    unsafe: pieces written since the file was last made durable; kept so that they can be written elsewhere.
    named: the index knows the segment. placed: it has its final place.
    previous: segment of the same session before this one, 0 = none.
    """

    def __init__(
        self,
        files: Files,
        path: Path,
        name: str,
        number: int,
        header: SegmentHeader,
        previous: int = 0,
        room: Room | None = None,
    ) -> None:
        """room: memory to compose fragments in, which files that are written by turns share."""
        self.files, self.path, self.name, self.number, self.header = files, path, name, number, header
        self.assembler = Assembler(header, number)
        self._room = room or Room()
        self.sequence = 0
        self.size_bytes = self.safe_bytes = 0
        self.unsafe: list[Piece] = []
        self.named = self.placed = False
        self.sealed = False
        self.previous = previous
        self._safe: Savepoint | None = None
        self._begin = encode_header(header)
        self.fd = files.create(path)

    @property
    def dirty(self) -> bool:
        return self.size_bytes > self.safe_bytes

    def append(self, piece: Piece, behind: Behind | None = None) -> None:
        """Write a fragment. On OSError the file ends as before.

        behind: the disk has it while the caller goes on; an error is then the caller's to undo (restore).
        """
        whole = compose_fragment(
            self._room if behind is None else behind.room(),
            b"" if self.size_bytes else self._begin,
            self.size_bytes,
            self.header,
            self.sequence + 1,
            piece.epoch,
            piece.frames,
            piece.payloads,
            piece.notes,
        )
        offset = self.size_bytes or len(self._begin)
        end = self.size_bytes + len(whole)
        if behind is not None:
            behind.write(self.files, self.fd, whole, self.size_bytes)
        else:
            self._put(whole)
        self.sequence += 1
        self.assembler.add(offset, end - offset, piece.epoch, piece.frames, piece.notes)
        self.size_bytes = end
        self.unsafe.append(piece)

    def append_together(
        self, epoch: int, frames: FrameTable, payloads: Sequence[Any], starts: Sequence[int], data_bytes: int
    ) -> bool:
        """As append for each piece, in one write. starts: number of each piece's first frame, 0 first.
        data_bytes: of all frames.

        False where they can only be composed one by one; then, and on OSError, the file ends as before.
        """
        begin = b"" if self.size_bytes else self._begin
        frames = joined([frames])  # the caller's may change
        made = compose_together(
            self._room,
            begin,
            self.size_bytes,
            self.header,
            self.sequence + 1,
            epoch,
            frames,
            payloads,
            starts,
            data_bytes,
        )
        if made is None:
            return False
        whole, sizes = made
        self._put(whole)
        self.size_bytes += len(begin)
        self.sequence += len(starts)
        for start, stop, size in zip(starts, (*starts[1:], len(frames)), sizes, strict=True):
            table = frames[start:stop]
            self.assembler.add(self.size_bytes, size, epoch, table)
            self.size_bytes += size
            self.unsafe.append(Piece(epoch, table, payloads[start:stop], _NO_NOTES))
        return True

    def _put(self, whole: memoryview) -> None:
        try:
            self.files.write(self.fd, [whole], self.size_bytes)
        except OSError:
            self._cut()
            raise

    def savepoint(self) -> Savepoint:
        return Savepoint(self.size_bytes, self.sequence, len(self.unsafe), self.assembler.copy())

    def restore(self, point: Savepoint) -> None:
        """Back to a savepoint, with what was appended since cut off."""
        self.size_bytes, self.sequence, unsafe, self.assembler = point
        del self.unsafe[unsafe:]
        self._cut()

    def _cut(self) -> None:
        try:
            self.files.truncate(self.fd, self.size_bytes)
        except OSError:
            pass  # what lies behind size_bytes is written over, or cut at the next opening

    def begin_sync(self) -> None:
        """Let the disk begin with what is to be made durable."""
        self.files.start_writing(self.fd, self.safe_bytes, self.size_bytes - self.safe_bytes)

    def synced(self) -> None:
        """Everything appended has been made durable."""
        self.safe_bytes = self.size_bytes
        self.unsafe.clear()
        self._safe = self.savepoint()

    def give_up(self) -> None:
        """Making it durable failed: nothing is known of what was written since it last succeeded.

        Back to there, and never again a try on this file.
        """
        if self._safe is not None:
            self.restore(self._safe)
        self.seal()

    def acknowledge(self, changes: int) -> None:
        """The index has taken the first `changes` changes of the assembler."""
        self.assembler.committed(changes)
        self.named = True
        if self._safe is not None:
            self._safe.assembler.committed(changes)

    def seal(self) -> None:
        """Nothing will be appended any more."""
        self.sealed = True
        self.assembler.end_row()

    def close(self) -> None:
        if self.fd >= 0:
            self.files.close(self.fd)
            self.fd = -1
