"""The end of a segment file whose writer died: what is whole there, and what is torn."""

from __future__ import annotations

from pathlib import Path

import msgspec

from fovideo.index import SERIALS_PER_SEGMENT
from fovideo.media.frames import FrameTable
from fovideo.segment import SegmentHeader, read_header, scan
from fovideo.store.assemble import Assembler, shift_of
from fovideo.store.mapped import mapped
from fovideo.store.torn import torn_frames
from fovideo.timeline.values import Gop, GopFlag, Loss


class FileTail(msgspec.Struct):
    """size_bytes: end of the last whole fragment. added, added_frames: fragments, and frames of the primary
    track, behind what the index knew. torn_bytes: what follows, and must be cut off; loss: what that held, if
    its remains tell. gone: rows of the index that reach beyond the end of the file.
    """

    header: SegmentHeader
    assembler: Assembler
    size_bytes: int
    added: int
    added_frames: int
    torn_bytes: int
    reason: str
    loss: Loss | None
    gone: list[Gop]


def look(
    path: Path, number: int, *, indexed_bytes: int = 0, rows: list[Gop] | None = None, made: int = 0
) -> FileTail:
    """Read a file from its indexed end on; 0 = from its first fragment.

    rows: what the index says of it, in file order; made: rows ever made for it.
    Raises SegmentDamaged for a file without a header, OSError.
    """
    rows = rows or []
    with mapped(path) as data:
        header, first = read_header(data, verify=False)
        start, length = indexed_bytes or first, len(data)
        kept = [gop for gop in rows if gop.offset + gop.size_bytes <= length]
        assembler = Assembler(header, number, rows=made)
        if len(kept) < len(rows):
            # The disk lost what it had called durable: back to where file and index agree.
            start = rows[len(kept)].offset
            assembler.rows = rows[len(kept)].serial % SERIALS_PER_SEGMENT
        elif rows and not rows[-1].flags & GopFlag.COMPLETE:
            assembler.resume(rows[-1])
        fragments, end, reason = scan(data, min(start, length))
        lost = torn_frames(data, end) if end < length else None
    frames = 0
    for fragment in fragments:
        assembler.add(fragment.offset, fragment.size_bytes, fragment.epoch, fragment.frames, fragment.notes)
        frames += int((fragment.frames["track"] == assembler.track.id).sum())
    assembler.end_row()
    return FileTail(
        header=header,
        assembler=assembler,
        size_bytes=end,
        added=len(fragments),
        added_frames=frames,
        torn_bytes=length - end,
        reason=reason,
        loss=_loss_of(header, assembler, lost),
        gone=rows[len(kept) :],
    )


def _loss_of(header: SegmentHeader, assembler: Assembler, lost: FrameTable | None) -> Loss | None:
    if lost is None:
        return None
    mine = lost[lost["track"] == assembler.track.id]
    if not len(mine):
        return None
    shift_ns = shift_of(header, header.start_ns)
    start, end = int(mine["dts_ns"].min()) + shift_ns, int(mine["dts_ns"].max()) + shift_ns
    return Loss(start, end + max(assembler.interval_ns, 1), len(mine), "cut")
