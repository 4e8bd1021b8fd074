"""Keys and rows of the index tables. Layout: docs/ref/store.md."""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import Final

import msgspec

from fovideo.decoding import msgpack_decoder
from fovideo.timeline.values import Gop, Loss, Provenance

LATEST_NS: Final = (1 << 63) - 1
SERIALS_PER_SEGMENT: Final = 1 << 24
"""A row's serial = segment id * SERIALS_PER_SEGMENT + its number in the file, so they are neighbours."""

_GOP = struct.Struct(">IQQ")
_LOSS = struct.Struct(">IQQ")
_NUMBERED = struct.Struct(">IQ")
_AGE = struct.Struct(">BQQ")
_NUMBER = struct.Struct(">Q")


class SegmentState(IntEnum):
    """Life of a segment."""

    OPEN = 1  # a writer appends to it (or did, when the process died)
    SEALED = 2  # will never change
    DOOMED = 3  # expired: no row names it any more, the file is about to be removed


class StreamRow(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One stream. Counters are kept up in the transaction that changes what they count.

    id: key of its other rows. tracks: number of the latest tracks. longest_ns: no row of the stream covers
    more (how far back a seek must look). interval_ns: latest known frame interval.
    next_number: next free provenance or tracks number.
    live_edge_ns, live_wall_ns: end of durable footage, and the wall clock when it became so; 0 = not live.
    """

    id: int
    name: str
    tracks: int = 0
    frames: int = 0
    size_bytes: int = 0
    generation: int = 0
    longest_ns: int = 0
    interval_ns: int = 0
    next_number: int = 1
    live_edge_ns: int = 0
    live_wall_ns: int = 0


class SegmentRow(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One segment file.

    path: relative to the store's folder, with "/". size_bytes: end of its last indexed fragment.
    start_ns, end_ns: bounds of its rows, effective. rows: rows ever made for it (the next one's number).
    pending: how many of its rows are PENDING. provenance, tracks: numbers within the stream.
    previous: segment before it in the same session, 0 = none. last_epoch: latest epoch in it.
    """

    id: int
    stream: str
    path: str
    state: SegmentState
    provenance: int
    tracks: int
    size_bytes: int
    start_ns: int = 0
    end_ns: int = 0
    rows: int = 0
    pending: int = 0
    previous: int = 0
    last_epoch: int = 0


class ProvenanceRow(msgspec.Struct, kw_only=True):
    """A provenance and how many segments of the stream refer to it."""

    provenance: Provenance
    segments: int


def gop_key(stream_id: int, start_ns: int, serial: int) -> bytes:
    return _GOP.pack(stream_id, max(start_ns, 0), serial)


def parse_gop_key(key: bytes) -> tuple[int, int, int]:
    """Stream id, start_ns, serial."""
    stream_id, start_ns, serial = _GOP.unpack(key)
    return stream_id, start_ns, serial


def loss_key(stream_id: int, loss: Loss) -> bytes:
    return _LOSS.pack(stream_id, max(loss.start_ns, 0), max(loss.end_ns, 0)) + loss.reason.encode()[:64]


def numbered_key(stream_id: int, number: int) -> bytes:
    """Key of a provenance or tracks row; also the lower bound of a stream's rows when number is 0."""
    return _NUMBERED.pack(stream_id, number)


def age_key(segment: SegmentRow) -> bytes | None:
    """Key of a sealed segment in the order in which retention frees them: those with PENDING rows last."""
    if segment.state is not SegmentState.SEALED:
        return None
    return _AGE.pack(segment.pending > 0, max(segment.end_ns, 0), segment.id)


def parse_age_key(key: bytes) -> int:
    """Segment id."""
    return int(_AGE.unpack(key)[2])


def number_key(number: int) -> bytes:
    return _NUMBER.pack(number)


def parse_number_key(key: bytes) -> int:
    return int(_NUMBER.unpack(key)[0])


def segment_of(serial: int) -> int:
    """Segment id of a row's serial."""
    return serial // SERIALS_PER_SEGMENT


encode = msgspec.msgpack.Encoder().encode
decode_gop = msgpack_decoder(Gop).decode
decode_stream = msgpack_decoder(StreamRow).decode
decode_segment = msgpack_decoder(SegmentRow).decode
decode_provenance = msgpack_decoder(ProvenanceRow).decode
decode_loss = msgpack_decoder(Loss).decode
