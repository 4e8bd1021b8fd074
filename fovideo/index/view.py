"""Reading the index: one consistent snapshot at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fovideo.decoding import msgpack_decoder
from fovideo.errors import NoSuchStream
from fovideo.index import rows
from fovideo.index.rows import SegmentRow, StreamRow
from fovideo.media.codec import Track
from fovideo.timeline.values import Gop, Loss, Provenance, StreamInfo

_decode_tracks = msgpack_decoder(tuple[Track, ...]).decode
_decode_int = msgpack_decoder(int).decode


class View:
    """Lookups in one transaction. Valid until that ends; everything returned is a copy."""

    def __init__(self, transaction: Any, tables: dict[str, Any]) -> None:
        self._txn = transaction
        self._tables = tables

    def _get(self, table: str, key: bytes) -> bytes | None:
        value: bytes | None = self._txn.get(key, db=self._tables[table])
        return value

    def _items(self, table: str, first: bytes, prefix: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """Entries with this prefix from key `first` on."""
        cursor = self._txn.cursor(self._tables[table])
        if not (cursor.set_range(first) if first else cursor.first()):
            return
        for key, value in cursor:
            if not key.startswith(prefix):
                return
            yield key, value

    def _reversed(self, table: str, stream_id: int) -> Iterator[tuple[bytes, bytes]]:
        """Entries of a stream from the last one back."""
        prefix = stream_id.to_bytes(4, "big")
        cursor = self._txn.cursor(self._tables[table])
        behind = cursor.set_range((stream_id + 1).to_bytes(4, "big"))
        found = cursor.prev() if behind else cursor.last()
        while found:
            key, value = cursor.item()
            if not key.startswith(prefix):
                return
            yield key, value
            found = cursor.prev()

    # Streams

    def stream(self, name: str) -> StreamRow:
        """Raises NoSuchStream."""
        row = self.find_stream(name)
        if row is None:
            raise NoSuchStream("no stream of that name", where=name)
        return row

    def find_stream(self, name: str) -> StreamRow | None:
        value = self._get("streams", name.encode())
        return None if value is None else rows.decode_stream(value)

    def streams(self) -> list[StreamRow]:
        """All streams, by name."""
        return [rows.decode_stream(value) for _, value in self._items("streams", b"")]

    def info(self, stream: StreamRow) -> StreamInfo:
        """What the surface says of a stream. live_edge_ns is as noted by the writer, however long ago."""
        start_ns, end_ns = self.bounds(stream)
        return StreamInfo(
            name=stream.name,
            tracks=self.tracks(stream, stream.tracks),
            frames=stream.frames,
            size_bytes=stream.size_bytes,
            start_ns=start_ns,
            end_ns=end_ns,
            live_edge_ns=stream.live_edge_ns,
            generation=stream.generation,
        )

    def bounds(self, stream: StreamRow) -> tuple[int, int]:
        """Start of the first row and end of the last, (0, 0) without rows."""
        first = next(self._items("gops", rows.gop_key(stream.id, 0, 0), stream.id.to_bytes(4, "big")), None)
        if first is None:
            return 0, 0
        _, start_ns, _ = rows.parse_gop_key(first[0])
        end_ns = 0
        for key, value in self._reversed("gops", stream.id):
            if end_ns and rows.parse_gop_key(key)[1] + stream.longest_ns <= end_ns:
                break
            end_ns = max(end_ns, rows.decode_gop(value).end_ns)
        return start_ns, end_ns

    def tracks(self, stream: StreamRow, number: int) -> tuple[Track, ...]:
        value = self._get("tracks", rows.numbered_key(stream.id, number))
        return () if value is None else _decode_tracks(value)

    def provenances(self, stream: StreamRow) -> dict[int, Provenance]:
        prefix = stream.id.to_bytes(4, "big")
        return {
            int.from_bytes(key[4:], "big"): rows.decode_provenance(value).provenance
            for key, value in self._items("provenances", prefix, prefix)
        }

    # GOPs

    def gops(self, stream: StreamRow, from_ns: int | None = None, to_ns: int | None = None) -> list[Gop]:
        """Rows whose [start_ns, end_ns) meets [from_ns, to_ns), by (start_ns, serial)."""
        first = 0 if from_ns is None else from_ns - stream.longest_ns
        stop = rows.numbered_key(stream.id + 1, 0) if to_ns is None else rows.gop_key(stream.id, to_ns, 0)
        result: list[Gop] = []
        cursor = self._txn.cursor(self._tables["gops"])
        if not cursor.set_range(rows.gop_key(stream.id, first, 0)):
            return result
        for key, value in cursor:
            if key >= stop:
                break
            row = rows.decode_gop(value)
            if from_ns is None or row.end_ns > from_ns:
                result.append(row)
        return result

    def gop(self, serial: int) -> Gop | None:
        key = self._get("serials", rows.number_key(serial))
        value = None if key is None else self._get("gops", key)
        return None if value is None else rows.decode_gop(value)

    def first_gop(self, stream: StreamRow, from_ns: int = 0, serial: int = 0) -> Gop | None:
        """First row at or behind (from_ns, serial)."""
        prefix = stream.id.to_bytes(4, "big")
        found = next(self._items("gops", rows.gop_key(stream.id, from_ns, serial), prefix), None)
        return None if found is None else rows.decode_gop(found[1])

    # Segments

    def segment(self, number: int) -> SegmentRow | None:
        value = self._get("segments", rows.number_key(number))
        return None if value is None else rows.decode_segment(value)

    def segments(self) -> Iterator[SegmentRow]:
        """All segments, by id."""
        for _, value in self._items("segments", b""):
            yield rows.decode_segment(value)

    def unsealed(self) -> list[SegmentRow]:
        """Segments that are open or doomed, by id."""
        found = [self.segment(rows.parse_number_key(key)) for key, _ in self._items("unsealed", b"")]
        return [row for row in found if row is not None]

    def oldest(self, *, pending: bool, limit: int) -> list[SegmentRow]:
        """Up to `limit` sealed segments with, or without, PENDING rows, by end_ns."""
        prefix = bytes((pending,))
        found: list[SegmentRow] = []
        for key, _ in self._items("ages", prefix, prefix):
            if len(found) == limit:
                break
            row = self.segment(rows.parse_age_key(key))
            if row is not None:
                found.append(row)
        return found

    def segment_gops(self, number: int) -> list[Gop]:
        """The rows of a segment, in file order."""
        first = rows.number_key(number * rows.SERIALS_PER_SEGMENT)
        last = rows.number_key((number + 1) * rows.SERIALS_PER_SEGMENT)
        result = []
        for serial, key in self._items("serials", first):
            if serial >= last:
                break
            value = self._get("gops", key)
            if value is not None:
                result.append(rows.decode_gop(value))
        return result

    # The rest

    def losses(self, stream: StreamRow, from_ns: int | None = None, to_ns: int | None = None) -> list[Loss]:
        """Losses that meet [from_ns, to_ns), by start."""
        prefix = stream.id.to_bytes(4, "big")
        result = []
        for _, value in self._items("losses", prefix, prefix):
            loss = rows.decode_loss(value)
            if to_ns is not None and loss.start_ns >= to_ns:
                break
            if from_ns is None or max(loss.end_ns, loss.start_ns + 1) > from_ns:
                result.append(loss)
        return result

    @property
    def transaction(self) -> int:
        """Number of the last transaction that changed the index; equal numbers mean equal contents."""
        return int(self._txn.id())

    def count(self, table: str) -> int:
        """Entries of a table."""
        return int(self._txn.stat(self._tables[table])["entries"])

    def number(self, name: str) -> int:
        """A counter of the store, 0 when never set."""
        value = self._get("meta", name.encode())
        return 0 if value is None else _decode_int(value)

    def meta(self, name: str) -> bytes | None:
        return self._get("meta", name.encode())

    def journal(self, key: str) -> bytes | None:
        return self._get("journal", key.encode())

    def journals(self, prefix: str = "") -> dict[str, bytes]:
        """Journal entries whose keys begin with the prefix, sorted."""
        start = prefix.encode()
        return {key.decode(): value for key, value in self._items("journal", start, start)}
