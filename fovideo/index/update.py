"""Changing the index: one transaction that keeps rows and the counters over them together."""

from __future__ import annotations

from typing import Any

import msgspec

from fovideo.index import rows
from fovideo.index.rows import ProvenanceRow, SegmentRow, SegmentState, StreamRow
from fovideo.index.view import View
from fovideo.media.codec import Track
from fovideo.timeline.values import Gop, GopFlag, Loss, Provenance


def shifted(gop: Gop, shift_ns: int) -> Gop:
    """The row with its effective times moved."""
    return msgspec.structs.replace(
        gop,
        start_ns=gop.start_ns + shift_ns,
        end_ns=gop.end_ns + shift_ns,
        shift_ns=gop.shift_ns + shift_ns,
    )


class Known:
    """What a transaction had in hand when it was over. As long as no other one has changed the index since,
    the next one need not look for it.

    growing: of rows that are not COMPLETE, by serial: key, frames, bytes and flags.
    """

    __slots__ = ("ages", "growing", "segments", "sizes", "states", "streams", "transaction")

    def __init__(self, transaction: int) -> None:
        self.transaction = transaction
        self.streams: dict[str, StreamRow] = {}
        self.segments: dict[int, SegmentRow] = {}
        self.sizes: dict[int, int] = {}
        self.ages: dict[int, bytes | None] = {}
        self.states: dict[int, SegmentState] = {}
        self.growing: dict[int, tuple[bytes, int, int, int]] = {}


class Update(View):
    """Lookups and changes in one write transaction. Stream and segment rows handed out are live: change them
    in place, they are written when the transaction ends (`flush`).
    """

    def __init__(self, transaction: Any, tables: dict[str, Any], known: Known | None = None) -> None:
        """known: of an earlier update. It is used if that was the last one, and must not be used again."""
        super().__init__(transaction, tables)
        number = self.transaction
        if known is None or known.transaction + 1 != number:
            known = Known(0)
        self._before = known
        self.known = now = Known(number)
        self._streams, self._segments = now.streams, now.segments
        self._sizes, self._ages, self._states, self._growing = now.sizes, now.ages, now.states, now.growing

    def _put(self, table: str, key: bytes, value: bytes) -> None:
        self._txn.put(key, value, db=self._tables[table])

    def _delete(self, table: str, key: bytes) -> None:
        self._txn.delete(key, db=self._tables[table])

    def flush(self) -> None:
        """Write the rows that were handed out. Called by Index.update at the end."""
        for stream in self._streams.values():
            self._put("streams", stream.name.encode(), rows.encode(stream))
        grown = 0
        for number, segment in self._segments.items():
            key = rows.number_key(number)
            self._put("segments", key, rows.encode(segment))
            if segment.state is not self._states.get(number):
                self._states[number] = segment.state
                if segment.state is SegmentState.SEALED:
                    self._delete("unsealed", key)
                else:
                    self._put("unsealed", key, b"")
            grown += segment.size_bytes - self._sizes[number]
            self._sizes[number] = segment.size_bytes
            self._age(number, rows.age_key(segment))
        if grown:
            self.set_number("bytes", self.number("bytes") + grown)

    def _age(self, number: int, key: bytes | None) -> None:
        old = self._ages.get(number)
        if old != key:
            if old is not None:
                self._delete("ages", old)
            if key is not None:
                self._put("ages", key, b"")
            self._ages[number] = key

    # Streams

    def find_stream(self, name: str) -> StreamRow | None:
        row = self._streams.get(name)
        if row is None:
            row = self._before.streams.get(name) or super().find_stream(name)
            if row is not None:
                self._streams[name] = row
        return row

    def ensure_stream(self, name: str) -> StreamRow:
        """The stream of that name, made if there is none."""
        row = self.find_stream(name)
        if row is None:
            number = self.number("streams") + 1
            self.set_number("streams", number)
            row = self._streams[name] = StreamRow(id=number, name=name)
        return row

    def number_of_provenance(self, stream: StreamRow, provenance: Provenance, *, refer: int = 0) -> int:
        """Number of this provenance within the stream, new if it is; `refer` is added to its segments."""
        for key, value in self._reversed("provenances", stream.id):  # most often the latest
            known = rows.decode_provenance(value)
            if known.provenance == provenance:
                self._put(
                    "provenances",
                    key,
                    rows.encode(ProvenanceRow(provenance=provenance, segments=known.segments + refer)),
                )
                return int.from_bytes(key[4:], "big")
        number = self._next_number(stream)
        row = ProvenanceRow(provenance=provenance, segments=refer)
        self._put("provenances", rows.numbered_key(stream.id, number), rows.encode(row))
        return number

    def number_of_tracks(self, stream: StreamRow, tracks: tuple[Track, ...]) -> int:
        """Number of these tracks within the stream, new if they are."""
        if stream.tracks and self.tracks(stream, stream.tracks) == tracks:
            return stream.tracks
        wanted = rows.encode(tracks)
        for key, value in self._items("tracks", prefix := stream.id.to_bytes(4, "big"), prefix):
            if value == wanted:
                return int.from_bytes(key[4:], "big")
        number = self._next_number(stream)
        self._put("tracks", rows.numbered_key(stream.id, number), wanted)
        return number

    def _next_number(self, stream: StreamRow) -> int:
        stream.next_number += 1
        return stream.next_number - 1

    # Segments

    def segment(self, number: int) -> SegmentRow | None:
        row = self._segments.get(number)
        if row is None:
            row = self._before.segments.pop(number, None) or super().segment(number)
            if row is not None:
                self._segments[number] = row
                self._sizes[number] = row.size_bytes
                self._ages[number] = rows.age_key(row)
                self._states[number] = row.state
        return row

    def add_segment(self, row: SegmentRow) -> SegmentRow:
        """Add a segment without rows, or take the one that is there."""
        known = self.segment(row.id)
        if known is not None:
            return known
        self._segments[row.id] = row
        self._sizes[row.id] = 0
        return row

    def drop_segment(self, number: int) -> None:
        """Forget a segment; its rows must be gone."""
        row = self.segment(number)
        if row is None:
            return
        self.set_number("bytes", self.number("bytes") - self._sizes.pop(number))
        self._age(number, None)
        del self._segments[number]
        self._states.pop(number, None)
        self._delete("segments", rows.number_key(number))
        self._delete("unsealed", rows.number_key(number))
        stream = self.find_stream(row.stream)
        if stream is not None:
            self._unrefer(stream, row.provenance)

    def _unrefer(self, stream: StreamRow, number: int) -> None:
        key = rows.numbered_key(stream.id, number)
        value = self._get("provenances", key)
        if value is None:
            return
        known = rows.decode_provenance(value)
        if known.segments <= 1:
            self._delete("provenances", key)
        else:
            left = ProvenanceRow(provenance=known.provenance, segments=known.segments - 1)
            self._put("provenances", key, rows.encode(left))

    # GOPs

    def put_gop(self, gop: Gop) -> None:
        """Add a row, or replace the one with its serial, and count it. Its segment must be there."""
        stream = self.stream(gop.stream)
        segment = self.segment(gop.segment)
        assert segment is not None
        key = rows.gop_key(stream.id, gop.start_ns, gop.serial)
        number = rows.number_key(gop.serial)
        grown = self._growing.pop(gop.serial, None) or self._before.growing.pop(gop.serial, None)
        if grown is not None and grown[0] == key:
            self._count_off(grown[1], grown[2], grown[3], stream, segment)
        elif grown is None and gop.serial % rows.SERIALS_PER_SEGMENT >= segment.rows:
            self._put("serials", number, key)  # there was none of this number
        else:
            known = self._get("serials", number)
            if known == key:
                self._uncount(self._get("gops", key), stream, segment)
            else:
                if known is not None:
                    self._remove(gop.serial, stream, segment)
                self._put("serials", number, key)
        self._put("gops", key, rows.encode(gop))
        if not gop.flags & GopFlag.COMPLETE:
            self._growing[gop.serial] = key, gop.frames, gop.size_bytes, gop.flags
        stream.frames += gop.frames
        stream.size_bytes += gop.size_bytes
        stream.longest_ns = max(stream.longest_ns, gop.end_ns - gop.start_ns)
        stream.interval_ns = gop.interval_ns or stream.interval_ns
        segment.pending += bool(gop.flags & GopFlag.PENDING)
        segment.start_ns = min(segment.start_ns, gop.start_ns) if segment.end_ns else gop.start_ns
        segment.end_ns = max(segment.end_ns, gop.end_ns)
        segment.rows = max(segment.rows, gop.serial % rows.SERIALS_PER_SEGMENT + 1)

    def backdate(self, segment: SegmentRow, serial: int, epoch: int, shift_ns: int) -> int:
        """Shift the rows of an epoch that were written before a row, in its session; returns how many."""
        count = 0
        at: SegmentRow | None = segment
        while at is not None and (at is segment or at.last_epoch >= epoch):
            for gop in self.segment_gops(at.id):
                if gop.epoch == epoch and gop.serial < serial:
                    self.put_gop(shifted(gop, shift_ns))
                    count += 1
            at = self.segment(at.previous) if at.previous else None
        if count:
            self.stream(segment.stream).generation += 1
        return count

    def drop_gop(self, serial: int) -> Gop | None:
        """Remove a row; returns it."""
        row = self.gop(serial)
        if row is None:
            return None
        segment = self.segment(row.segment)
        assert segment is not None
        return self._remove(serial, self.stream(row.stream), segment)

    def _remove(self, serial: int, stream: StreamRow, segment: SegmentRow) -> Gop | None:
        number = rows.number_key(serial)
        self._growing.pop(serial, None)
        self._before.growing.pop(serial, None)
        key = self._get("serials", number)
        if key is None:
            return None
        value = self._txn.pop(key, db=self._tables["gops"])
        self._delete("serials", number)
        return self._uncount(value, stream, segment)

    def _uncount(self, value: bytes | None, stream: StreamRow, segment: SegmentRow) -> Gop | None:
        if value is None:
            return None
        old = rows.decode_gop(value)
        self._count_off(old.frames, old.size_bytes, old.flags, stream, segment)
        return old

    def _count_off(
        self, frames: int, size_bytes: int, flags: int, stream: StreamRow, segment: SegmentRow
    ) -> None:
        stream.frames -= frames
        stream.size_bytes -= size_bytes
        segment.pending -= bool(flags & GopFlag.PENDING)

    # The rest

    def put_loss(self, stream: StreamRow, loss: Loss) -> None:
        """Add a loss; the same one twice is one."""
        self._put("losses", rows.loss_key(stream.id, loss), rows.encode(loss))

    def drop_losses(self, stream: StreamRow, before_ns: int, keep: str) -> None:
        """Forget losses that ended before a time, but for those of reason `keep`."""
        for loss in self.losses(stream, None, before_ns):
            if loss.end_ns <= before_ns and loss.reason != keep:
                self._delete("losses", rows.loss_key(stream.id, loss))

    def set_number(self, name: str, value: int) -> None:
        self._put("meta", name.encode(), rows.encode(value))

    def set_meta(self, name: str, value: bytes | None) -> None:
        if value is None:
            self._delete("meta", name.encode())
        else:
            self._put("meta", name.encode(), value)

    def set_journal(self, key: str, value: bytes | None) -> None:
        """Note progress of a merge under a key (at most 500 bytes); None removes it."""
        if value is None:
            self._delete("journal", key.encode())
        else:
            self._put("journal", key.encode(), value)
