"""Writing one camera session into a store."""

from __future__ import annotations

import errno
import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fovideo.errors import StoreError, StoreFull, UsageError
from fovideo.media.codec import Track
from fovideo.media.frames import FrameFlag, FrameTable, Summary, empty_frames, joined, summary
from fovideo.segment import Notes, SegmentHeader
from fovideo.store.behind import Behind
from fovideo.store.breaks import cut, primary_track
from fovideo.store.segmentfile import Piece, SegmentFile
from fovideo.timeline.values import Loss, Provenance

if TYPE_CHECKING:
    from fovideo.store.commit import Committer

_NO_NOTES = Notes()
_MUCH_BYTES = 4 << 20


class StreamWriter:
    """Appends the frames of one session (one provenance) to a stream. Made by Store.writer.

    What is appended is durable and visible after the next Store.commit; until that has returned, the payloads
    must stay as they are, since they are written again if the disk fails. Thread-safe.
    """

    def __init__(self, committer: Committer, stream: str, provenance: Provenance, *, pending: bool) -> None:
        self.stream, self.provenance, self.pending = stream, provenance, pending
        self.tracks: tuple[Track, ...] = ()
        self.durable_to_ns = 0
        self.closed = False
        self.previous = 0
        self.backlog: list[Piece] = []
        self.losses: list[Loss] = []
        self._primary: Track  # of the tracks, once they are known
        self._committer = committer
        self._file: SegmentFile | None = None
        self._backdates: list[tuple[int, int]] = []
        self._untold: list[Loss] = []
        self._started_ns = 0

    def __enter__(self) -> StreamWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        self._committer.commit()

    def set_format(self, tracks: Sequence[Track]) -> None:
        """The tracks of what follows; other than before, they begin a new segment. REQUIRED before append."""
        if not tracks:
            raise UsageError("a stream needs a track")
        with self._committer.lock:
            new = tuple(sorted(tracks, key=lambda track: track.id))
            if new != self.tracks:
                self._seal()
                self.tracks, self._primary = new, primary_track(new)

    def append(self, frames: FrameTable, payloads: Sequence[Any], *, epoch: int) -> Summary:
        """Frames (stored times, decode order within each track) with their samples. Returns what was taken,
        with regard to the stream's primary track.

        Raises StoreFull or StoreError; then nothing of this call has been taken.
        """
        with self._committer.lock:
            self._require_open()
            if not self.tracks:
                raise UsageError("append before set_format")
            if len(frames) != len(payloads):
                raise UsageError(f"{len(frames)} frames with {len(payloads)} payloads")
            primary = self._primary
            known = summary(frames, primary.id)
            if not known.rows:
                return known
            self.flush_backlog()
            if not self._append_plainly(frames, payloads, epoch, known):
                self._write_all(self._pieces(frames, payloads, epoch, primary, known))
            self._backdates.clear()
            self._untold.clear()
            return known

    def backdate(self, epoch: int, shift_ns: int) -> None:
        """Add shift_ns to the times of all frames of this epoch appended so far."""
        with self._committer.lock:
            self._require_open()
            self._backdates.append((epoch, shift_ns))

    def loss(self, loss: Loss) -> None:
        """Note frames that were lost; visible with the next commit."""
        with self._committer.lock:
            self._require_open()
            self._untold.append(loss)
            self.losses.append(loss)

    def close(self) -> None:
        """End of the session: seals the segment. Durable after the next Store.commit. May be called twice."""
        with self._committer.lock:
            if self.closed:
                return
            if self._file is not None and (self._backdates or self._untold):
                self._write_all([Piece(self._last_epoch(), empty_frames(), (), self._notes())])
            self._backdates.clear()
            self._untold.clear()
            self._seal()
            self._committer.ended(self)
            self.closed = True

    def _require_open(self) -> None:
        if self.closed:
            raise UsageError("the writer is closed")

    def _last_epoch(self) -> int:
        return max(self._file.assembler.last_epoch, 0) if self._file is not None else 0

    def _notes(self) -> Notes:
        return Notes(tuple(self._backdates), tuple(self._untold))

    def _append_plainly(
        self, frames: FrameTable, payloads: Sequence[Any], epoch: int, known: Summary
    ) -> bool:
        """Append to the present segment with one write, where none of the frames can need another one.

        False for what has to be looked at piece by piece; nothing has been done then.
        """
        file = self._file
        if file is None or file.sealed or self._backdates or self._untold:
            return False
        primary, tail = file.assembler.track, file.assembler.tail
        if not known.rising or known.bytes >= _MUCH_BYTES:
            return False
        if tail is not None and tail.primary and known.mine and known.first_dts_ns < tail.last_ns:
            return False
        options = self._committer.options
        if (
            file.size_bytes + known.bytes >= options.segment_bytes
            or known.all_high_ns - self._started_ns >= options.segment_duration_ns
        ):
            return False
        starts = [0, *cut(tail, frames, epoch, primary, known)]
        try:
            return file.append_together(epoch, frames, payloads, starts, known.bytes)
        except OSError as error:
            raise disk_error(error, str(self._committer.folder.root)) from error

    def _pieces(
        self, frames: FrameTable, payloads: Sequence[Any], epoch: int, primary: Track, known: Summary
    ) -> list[Piece]:
        notes = self._notes()
        tail = self._file.assembler.tail if self._file is not None and not notes.backdates else None
        starts = [0, *cut(tail, frames, epoch, primary, known), len(frames)]
        pieces = []
        for start, stop in itertools.pairwise(starts):
            table, parts = frames[start:stop], payloads[start:stop]
            if not summary(table, primary.id).ordered:
                order = table["track"].argsort(kind="stable")
                table, parts = table[order], [parts[number] for number in order.tolist()]
            pieces.append(Piece(epoch, joined([table]), parts, notes))
            notes = _NO_NOTES
        return pieces

    def _write_all(self, pieces: list[Piece]) -> None:
        """All of the pieces, or none."""
        file, sealed = self._file, self._file is not None and self._file.sealed
        point = None
        if file is not None and (len(pieces) > 1 or self._is_over(file, pieces[0])):
            point = file.savepoint()  # else a failure changes nothing
        behind = None
        if len(pieces) > 1 and sum(summary(piece.frames, 0).bytes for piece in pieces) >= _MUCH_BYTES:
            behind = self._committer.behind
        made: list[SegmentFile] = []
        previous, started_ns = self.previous, self._started_ns
        try:
            for piece in pieces:
                self._write(piece, made, behind)
            if behind is not None:
                behind.wait()
        except BaseException as error:
            if behind is not None:
                behind.settle()
            for new in made:
                self._committer.abandon(new)
            self._file, self.previous, self._started_ns = file, previous, started_ns
            if file is not None and point is not None:
                file.restore(point)
                file.sealed = sealed
            if isinstance(error, OSError) and not isinstance(error, StoreError):
                raise disk_error(error, str(self._committer.folder.root)) from error
            raise

    def _write(self, piece: Piece, made: list[SegmentFile], behind: Behind | None) -> None:
        file = self._file
        if file is None or self._is_over(file, piece):
            self._seal()
            file = self._begin(piece)
            made.append(file)
        file.append(piece, behind)

    def _is_over(self, file: SegmentFile, piece: Piece) -> bool:
        """Whether this piece must or should begin a new segment."""
        frames = piece.frames
        if file.sealed:
            return True
        track = primary_track(self.tracks)
        known = summary(frames, track.id)
        tail = file.assembler.tail
        if known.mine and tail is not None and tail.primary and known.first_dts_ns < tail.last_ns:
            return True  # the clock went back: players want times of a file to rise
        options = self._committer.options
        full = file.size_bytes / options.segment_bytes
        if known.rows:
            full = max(full, (known.all_high_ns - self._started_ns) / options.segment_duration_ns)
        if full < 1:
            return False
        starts = known.mine > 0 and (not track.codec.is_video or bool(known.first_flags & FrameFlag.KEY))
        return starts or full >= 2

    def _begin(self, piece: Piece) -> SegmentFile:
        first_ns = int(piece.frames["dts_ns"].min()) if len(piece.frames) else self._started_ns
        header = SegmentHeader(
            stream=self.stream,
            tracks=self.tracks,
            provenance=self.provenance,
            base_ns=first_ns,
            start_ns=first_ns,
            epoch=piece.epoch,
            pending=self.pending,
        )
        file = self._committer.create(header, self, self.previous)
        self._file, self.previous, self._started_ns = file, file.number, first_ns
        return file

    def _seal(self) -> None:
        if self._file is not None:
            self._file.seal()
            self._file = None

    def rewrite(self, file: SegmentFile) -> None:
        """The disk failed to make part of a file durable: write that part again, into another segment."""
        pieces = file.unsafe.copy()
        file.give_up()
        if self._file is file:
            self._file = None
        later, self._file = self._file, None
        try:
            self._write_all(pieces)
        except BaseException:
            self.backlog = pieces + self.backlog
            raise
        finally:
            if later is not None or self.closed:
                self._seal()
                self._file = later

    def keep(self, file: SegmentFile) -> None:
        """The disk failed again: what is not durable waits for the next commit."""
        pieces = file.unsafe.copy()
        file.give_up()
        if self._file is file:
            self._file = None
        self.backlog = pieces + self.backlog

    def flush_backlog(self) -> None:
        """Write what an earlier failure left over."""
        pieces, self.backlog = self.backlog, []
        if not pieces:
            return
        try:
            self._write_all(pieces)
        except BaseException:
            self.backlog = pieces
            raise
        if self.closed:
            self._seal()

    def told(self, edge_ns: int) -> None:
        """The committer reports how far the stream is durable."""
        self.durable_to_ns = max(self.durable_to_ns, edge_ns)


def disk_error(error: OSError, where: str) -> StoreError:
    """An error of the file system in fovideo's terms."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return StoreFull("no room on the disk", where=where, hint="free some space, or set a quota")
    if error.errno == errno.EROFS:
        hint = "a disk with errors is made so: see the system's log, then mount it for writing"
        return StoreError("the file system can only be read", where=where, hint=hint)
    hint = "see the system's log, then run fovideo check on the store" if error.errno == errno.EIO else ""
    return StoreError(f"the disk failed: {error.strerror or error}", where=where, hint=hint)
