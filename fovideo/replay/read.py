"""Reading footage: the frames of a stretch as packets, in decode order, across rows, sessions and splices."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fovideo.errors import FovideoError, NothingThere, SegmentDamaged, StoreError
from fovideo.media.codec import Track
from fovideo.media.frames import FrameFlag, FrameTable
from fovideo.platform import read_range
from fovideo.replay.rows import Rows
from fovideo.segment import parse_fragment, samples
from fovideo.timeline.choose import Choice
from fovideo.timeline.cover import DEFAULT_INTERVAL_NS, longest_step_ns
from fovideo.timeline.endpoint import FileRange, Timeline
from fovideo.timeline.held import Chain
from fovideo.timeline.order import effective, play_order
from fovideo.timeline.values import Gop

log = logging.getLogger(__name__)

_EVER_NS = 1 << 62


class Packet(NamedTuple):
    """One access unit, audio frame or metadata document.

    time_ns, dts_ns: effective wall clock of presentation and decoding, ns since the Unix epoch.
    track: Track.id. key: decoding can start here. flags: FrameFlag bits.
    payload: video as NAL units with 4-byte lengths, else the frame or document.
    tracks: decoder configuration under which it was recorded.
    """

    time_ns: int
    dts_ns: int
    track: int
    key: bool
    payload: bytes
    flags: int
    tracks: tuple[Track, ...]


class _Read(NamedTuple):
    """A packet, its digest and the row it lies in."""

    packet: Packet
    digest: int
    row: Gop


def read_packets(
    timeline: Timeline,
    stream: str,
    from_ns: int | None = None,
    to_ns: int | None = None,
    *,
    tracks: Collection[int] | None = None,
    decodable: bool = True,
    on_damage: Callable[[FovideoError], None] | None = None,
) -> Iterator[Packet]:
    """The frames that cover [from_ns, to_ns) in decode order; None = from the beginning, to the end.

    Starts at the last keyframe at or before from_ns (after it, where from_ns lies in a gap).
    tracks: ids of the tracks to read, None = all.
    decodable: leave out frames whose references are known to be elsewhere: those before the first keyframe of
        a session that continues nothing. False yields every frame that is shown.
    on_damage: called for a row that can't be read, which is then skipped; None raises instead.
    Raises NoSuchStream. Nothing in the stretch gives no packets.
    """
    rows = Rows(timeline, stream)
    end_ns = _EVER_NS if to_ns is None else to_ns
    begin_ns = rows.info.start_ns if from_ns is None else rows.start_before(from_ns)
    primary = min((track.id for track in rows.info.tracks), default=1)
    read = _frames(rows, begin_ns, min(end_ns, rows.info.end_ns), on_damage)
    if decodable:
        read = _decodable(read, rows, primary)
    packets: Iterator[Packet] = (
        each.packet for each in read if each.packet.dts_ns < end_ns or each.packet.time_ns < end_ns
    )
    if from_ns is not None:
        packets = _from(packets, from_ns, primary)
    if tracks is not None:
        packets = (packet for packet in packets if packet.track in tracks)
    return packets


def _frames(
    rows: Rows, from_ns: int, to_ns: int, on_damage: Callable[[FovideoError], None] | None
) -> Iterator[_Read]:
    known: dict[tuple[int, int], tuple[Track, ...]] = {}
    for group in rows.groups(from_ns, to_ns):
        held: list[tuple[Choice, FrameTable, Sequence[bytes]]] = []
        for choice in group:
            row = choice.gop
            try:
                if (row.segment, row.provenance) not in known:
                    known[row.segment, row.provenance] = rows.timeline.tracks(rows.stream, row)
                held.append((choice, *_load(rows, row)))
            except NothingThere:
                log.debug("row %d of %s expired while it was read", row.serial, rows.stream)
            except (SegmentDamaged, StoreError) as error:
                if on_damage is None:
                    raise
                on_damage(error)
        ends = [choice.end_ns if choice.end_ns < choice.gop.end_ns else _EVER_NS for choice, _, _ in held]
        for number, place in play_order([table for _, table, _ in held], ends).tolist():
            choice, table, payloads = held[number]
            row, frame = choice.gop, table[place]
            flags = int(frame["flags"])
            packet = Packet(
                int(frame["time_ns"]),
                int(frame["dts_ns"]),
                int(frame["track"]),
                bool(flags & FrameFlag.KEY),
                payloads[place],
                flags,
                known[row.segment, row.provenance],
            )
            yield _Read(packet, int(frame["digest"]), row)


def _load(rows: Rows, row: Gop) -> tuple[FrameTable, list[bytes]]:
    """Frame table (effective times) and payloads of a row."""
    part = rows.timeline.read(rows.stream, row)
    try:
        data = _bytes(part) if isinstance(part, FileRange) else part
    except FileNotFoundError:
        rows.timeline.read(rows.stream, row)  # NothingThere when retention was faster
        raise StoreError("a segment file is missing", where=_place(part), hint="run fovideo check") from None
    tables, payloads, offset = [], [], 0
    try:
        while offset < len(data):
            fragment = parse_fragment(data, offset)
            tables.append(fragment.frames)
            payloads += [bytes(payload) for payload in samples(fragment, data, offset)]
            offset += fragment.size_bytes
    except SegmentDamaged as error:
        raise SegmentDamaged(
            error.what, where=_place(part) or rows.timeline.location, hint="run fovideo check"
        ) from None
    return effective(np.concatenate(tables), row.shift_ns), payloads


def _place(part: bytes | FileRange) -> str:
    return part.path if isinstance(part, FileRange) else ""


def _bytes(part: FileRange) -> bytes:
    try:
        data = read_range(Path(part.path), part.offset, part.size_bytes)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise StoreError(f"cannot read ({error.strerror})", where=part.path) from None
    if len(data) != part.size_bytes:
        raise SegmentDamaged(f"{part.size_bytes - len(data)} bytes are missing", where=part.path)
    return data


def _decodable(read: Iterator[_Read], rows: Rows, primary: int) -> Iterator[_Read]:
    chain = Chain(rows.provenance)
    for each in read:
        packet = each.packet
        if packet.track != primary:
            if chain.started:
                yield each
        elif chain.shows(each.row, each.digest, packet.dts_ns, key=packet.key):
            yield each


def _from(packets: Iterator[Packet], from_ns: int, primary: int) -> Iterator[Packet]:
    """From the last keyframe at or before from_ns on, unless that one's footage ends before it."""
    held: list[Packet] = []
    step_ns = DEFAULT_INTERVAL_NS
    last_ns: int | None = None
    for packet in packets:
        if packet.track == primary:
            after_gap = last_ns is not None and packet.dts_ns - last_ns > longest_step_ns(step_ns)
            if packet.key and (packet.time_ns <= from_ns or after_gap):
                held.clear()
            if packet.time_ns >= from_ns:
                yield from held
                yield packet
                yield from packets
                return
            if last_ns is not None and packet.dts_ns > last_ns:
                step_ns = packet.dts_ns - last_ns
            last_ns = packet.dts_ns
        held.append(packet)
    if last_ns is not None and from_ns <= last_ns + longest_step_ns(step_ns):
        yield from held
