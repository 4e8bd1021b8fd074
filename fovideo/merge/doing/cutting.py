"""Bytes of a planned piece: a source row as it stands, or fragments cut down to some of its frames."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fovideo.errors import StoreDamaged
from fovideo.media.codec import Track
from fovideo.merge.values import Piece
from fovideo.platform import read_range
from fovideo.segment import SegmentHeader, encode_fragment, parse_fragment, samples
from fovideo.timeline.endpoint import FileRange, Timeline
from fovideo.timeline.values import Gop, Provenance


def piece_bytes(
    source: Timeline, row: Gop, piece: Piece, tracks: tuple[Track, ...], provenance: Provenance
) -> bytes | FileRange:
    """What to hand to Timeline.insert for a piece. Whole rows stay where they are until the target copies
    them.
    """
    data = source.read(row.stream, row)
    if not piece.rows:
        return data
    if isinstance(data, FileRange):
        data = read_range(Path(data.path), data.offset, data.size_bytes)
    return cut_down(data, row, piece, tracks, provenance)


def cut_down(data: bytes, row: Gop, piece: Piece, tracks: tuple[Track, ...], provenance: Provenance) -> bytes:
    """Fragments with only those rows of the row's frame table. Samples are unchanged; fragments of which all
    frames stay are, too. Raises SegmentDamaged or StoreDamaged where the bytes are not what the index says.
    """
    wanted = np.array(piece.rows, np.int64)
    parts: list[bytes] = []
    offset = first = 0
    while offset < len(data):
        fragment = parse_fragment(data, offset)
        count = len(fragment.frames)
        inside = (wanted >= first) & (wanted < first + count)
        mine = wanted[inside] - first
        frames = fragment.frames[mine]
        if piece.dts_ns:
            frames["dts_ns"] = np.array(piece.dts_ns, np.int64)[inside]
        if len(mine) == count and (frames["dts_ns"] == fragment.frames["dts_ns"]).all():
            parts.append(data[offset : offset + fragment.size_bytes])
        elif len(mine):
            header = SegmentHeader(
                stream=row.stream,
                tracks=tracks,
                provenance=provenance,
                base_ns=fragment.base_ns,
                start_ns=fragment.base_ns,
                epoch=fragment.epoch,
            )
            payloads = samples(fragment, data, offset)
            chosen = [payloads[at] for at in mine.tolist()]
            parts += [
                bytes(part)
                for part in encode_fragment(header, len(parts) + 1, fragment.epoch, frames, chosen)
            ]
        first += count
        offset += fragment.size_bytes
    if len(wanted) and int(wanted[-1]) >= first:
        raise StoreDamaged(
            f"a row of {row.stream} holds {first} frames, fewer than its index says",
            hint="run fovideo check --repair",
        )
    return b"".join(parts)
