"""Putting what an assembler made of a segment into the index."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from fovideo.index import SegmentRow, SegmentState, Update
from fovideo.segment import SegmentHeader
from fovideo.store.assemble import Noted
from fovideo.timeline.values import Gop


def name_segment(
    update: Update,
    header: SegmentHeader,
    number: int,
    name: str,
    size_bytes: int,
    *,
    previous: int,
    sealed: bool,
) -> SegmentRow:
    """The row of a segment, made if there is none, with its present size and state."""
    row = update.segment(number)
    if row is None:
        stream = update.ensure_stream(header.stream)
        tracks = update.number_of_tracks(stream, header.tracks)
        if not header.provenance.inserted_from or not stream.tracks:
            stream.tracks = tracks
        row = update.add_segment(
            SegmentRow(
                id=number,
                stream=header.stream,
                path=name,
                state=SegmentState.OPEN,
                provenance=update.number_of_provenance(stream, header.provenance, refer=1),
                tracks=tracks,
                size_bytes=size_bytes,
                previous=previous,
            )
        )
    row.size_bytes = size_bytes
    row.state = SegmentState.SEALED if sealed else SegmentState.OPEN
    return row


def apply_changes(
    update: Update, segment: SegmentRow, changes: Sequence[Gop | Noted], last_epoch: int
) -> None:
    """Take the changes in their order: each note changes what was written before it."""
    segment.last_epoch = max(segment.last_epoch, last_epoch)
    for change in changes:
        if isinstance(change, Gop):
            update.put_gop(msgspec.structs.replace(change, provenance=segment.provenance))
            continue
        stream = update.stream(segment.stream)
        for loss in change.notes.losses:
            update.put_loss(stream, loss)
        for epoch, shift_ns in change.notes.backdates:
            update.backdate(segment, change.serial, epoch, shift_ns)
