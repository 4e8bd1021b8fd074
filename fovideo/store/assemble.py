"""From fragments to rows: which fragments of a segment form one row, and what the row says. No I/O.

A writer, an insertion, recovery and repair all use this on the same fragments and so arrive at the same rows.
"""

from __future__ import annotations

import msgspec

from fovideo.index import SERIALS_PER_SEGMENT
from fovideo.media._tables import has_gaps, last_steps, middle_step
from fovideo.media.codec import Codec
from fovideo.media.frames import FrameFlag, FrameTable, Summary, joined, summary
from fovideo.segment import Notes, SegmentHeader, decode_table, encode_table
from fovideo.store.breaks import LONGEST_HOLE_NS, Tail, breaks_row, primary_track
from fovideo.timeline.cover import longest_lost_step_ns, longest_step_ns
from fovideo.timeline.values import Gop, GopFlag

_HISTORY = 16
_NO_NOTES = Notes()


def shift_of(header: SegmentHeader, stored_ns: int) -> int:
    """What to add to the stored times of a row that starts at a stored time, as far as its file knows."""
    return header.shift_ns + header.provenance.correction.shift_ns(stored_ns + header.shift_ns)


class Noted(msgspec.Struct, frozen=True):
    """Notes of a fragment, to be applied to what was written before the row with this serial."""

    serial: int
    notes: Notes


class _Row:
    """A row that still grows."""

    __slots__ = ("epoch", "key", "mine", "offset", "serial", "size_bytes", "tables", "tail")

    def __init__(self, serial: int, offset: int, epoch: int) -> None:
        self.serial, self.offset, self.epoch = serial, offset, epoch
        self.size_bytes = 0
        self.tables: list[FrameTable] = []
        self.mine = 0  # frames of the primary track
        self.tail = Tail(epoch, 0, 0, False)
        self.key = False

    def copy(self) -> _Row:
        twin = _Row(self.serial, self.offset, self.epoch)
        twin.size_bytes, twin.key, twin.tables = self.size_bytes, self.key, self.tables.copy()
        twin.mine = self.mine
        tail = self.tail
        twin.tail = Tail(tail.epoch, tail.start_ns, tail.last_ns, tail.primary)
        return twin


class Assembler:
    """Makes the rows of one segment from its fragments, given in file order.

    changes(): rows that are new or have grown and notes, in the order in which the index must take them,
    since the last committed(). Their provenance number is left 0 for the index to fill in.
    """

    def __init__(self, header: SegmentHeader, segment: int, *, rows: int = 0, interval_ns: int = 0) -> None:
        self.header, self.segment = header, segment
        self.track = primary_track(header.tracks)
        self.rows = rows
        self.interval_ns = interval_ns
        self._history: list[int] = []
        self.first_epoch = self.last_epoch = -1
        self._row: _Row | None = None
        self._changes: list[Gop | Noted] = []
        self._grown = False

    def copy(self) -> Assembler:
        """A savepoint."""
        twin = object.__new__(Assembler)
        twin.__dict__.update(self.__dict__)
        twin._row = None if self._row is None else self._row.copy()
        twin._changes = self._changes.copy()
        return twin

    @property
    def tail(self) -> Tail | None:
        return None if self._row is None else self._row.tail

    def resume(self, gop: Gop) -> None:
        """Go on with a row of the index that is not COMPLETE."""
        row = _Row(gop.serial, gop.offset, gop.epoch)
        self._row = row
        frames = decode_table(gop.table)
        self._extend(row, frames, summary(frames, self.track.id), gop.size_bytes)
        row.key = bool(gop.flags & GopFlag.KEY)
        self.interval_ns = gop.interval_ns or self.interval_ns
        self._grown = False

    def add(
        self, offset: int, size_bytes: int, epoch: int, frames: FrameTable, notes: Notes = _NO_NOTES
    ) -> None:
        """The next fragment of the file. `frames` is kept, not copied; without any it belongs to no row."""
        inserted = bool(self.header.provenance.inserted_from)
        if inserted:
            epoch, notes = self.header.epoch, _NO_NOTES
        if self.first_epoch < 0:
            self.first_epoch = epoch
        self.last_epoch = max(self.last_epoch, epoch)
        if notes.backdates or not len(frames):
            self.end_row()
        if notes != _NO_NOTES:
            self._changes.append(Noted(self._serial(self.rows), notes))
        if not len(frames):
            return
        tail = None if self._row is None else self._row.tail
        known = summary(frames, self.track.id)
        if self._row is None or breaks_row(tail, known, epoch, self.track):
            self._end(known)
            self._row = _Row(self._serial(self.rows), offset, epoch)
            self.rows += 1
        self._extend(self._row, frames, known, size_bytes)
        self._grown = True

    def _serial(self, number: int) -> int:
        return self.segment * SERIALS_PER_SEGMENT + number

    def _extend(self, row: _Row, frames: FrameTable, known: Summary, size_bytes: int) -> None:
        row.size_bytes += size_bytes
        row.mine += known.mine
        row.tables.append(frames)
        tail = row.tail
        if known.mine:
            first, last = known.low_ns, known.high_ns
        elif known.rows and not tail.primary:
            first, last = known.all_low_ns, known.all_high_ns
        else:
            return
        if known.mine and not tail.primary:
            row.key = not self.track.codec.is_video or bool(known.first_flags & FrameFlag.KEY)
            tail.primary, tail.start_ns, tail.last_ns = True, first, last
        elif tail.start_ns or tail.last_ns:
            tail.start_ns, tail.last_ns = min(tail.start_ns, first), max(tail.last_ns, last)
        else:
            tail.start_ns, tail.last_ns = first, last

    def _end(self, following: Summary) -> None:
        row = self._row
        self.end_row()
        if row is None:
            return
        if following.mine:  # the last steps before the next row tell the interval of a short one
            self._history = last_steps(
                row.tables, self.track.id, following.first_dts_ns, LONGEST_HOLE_NS, self._history, _HISTORY
            )

    def end_row(self) -> None:
        """Nothing will be added to the current row any more: it is COMPLETE."""
        self._flush(complete=True)
        self._row = None

    def _flush(self, *, complete: bool = False) -> None:
        row = self._row
        if row is None or not (self._grown or complete):
            return
        self._grown = False
        if self._changes:
            last = self._changes[-1]
            if isinstance(last, Gop) and last.serial == row.serial:
                self._changes.pop()
        self._changes.append(self._gop(row, complete))

    def _gop(self, row: _Row, complete: bool) -> Gop:
        if len(row.tables) > 1:
            row.tables = [joined(row.tables)]
        frames = row.tables[0]
        track = self.track.id
        flags = GopFlag.KEY if row.key else 0
        flags |= GopFlag.COMPLETE if complete else 0
        flags |= GopFlag.PENDING if self.header.pending else 0
        if row.mine:
            self.interval_ns = self._interval(frames) or self.interval_ns
        longest_ns = longest_step_ns(self.interval_ns), longest_lost_step_ns(self.interval_ns)
        # Decode times that are not the sorted presentation times were fitted around frames of another row:
        # those are missing here.
        if has_gaps(frames, track, FrameFlag.LOST_BEFORE, *longest_ns):
            flags |= GopFlag.GAPS
        shift_ns = shift_of(self.header, row.tail.start_ns)
        return Gop(
            stream=self.header.stream,
            serial=row.serial,
            start_ns=row.tail.start_ns + shift_ns,
            end_ns=row.tail.last_ns + max(self.interval_ns, 1) + shift_ns,
            shift_ns=shift_ns,
            segment=self.segment,
            offset=row.offset,
            size_bytes=row.size_bytes,
            provenance=0,
            epoch=row.epoch,
            frames=row.mine,
            interval_ns=self.interval_ns,
            flags=flags,
            table=encode_table(frames, pack=complete),
        )

    def _interval(self, frames: FrameTable) -> int:
        """From the row's own frames, and where they are few, from those before it too."""
        interval_ns = middle_step(frames, self.track.id, self._history, _HISTORY)
        return max(interval_ns, LONGEST_HOLE_NS) if self.track.codec is Codec.ONVIF else interval_ns

    def changes(self) -> list[Gop | Noted]:
        self._flush()
        return self._changes.copy()

    def committed(self, count: int) -> None:
        """The first `count` changes are in the index."""
        del self._changes[:count]
