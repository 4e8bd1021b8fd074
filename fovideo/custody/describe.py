"""From the bytes of a row to its entry: what is hashed, and how. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from itertools import groupby, islice
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

from fovideo.custody.entries import BLOCK_BYTES, GopEntry
from fovideo.errors import SegmentDamaged
from fovideo.media.codec import METADATA_TRACK
from fovideo.media.frames import FrameTable
from fovideo.media.nal import crc32c
from fovideo.segment import Fragment, parse_fragment
from fovideo.timeline.values import Gop

if TYPE_CHECKING:
    from typing_extensions import Buffer

Runs: TypeAlias = tuple[tuple[int, int], ...]


class Layout(NamedTuple):
    """How the bytes of a row are made up. fragments, sizes: as in GopEntry. samples: a row of the frame table
    for each sample. table: the whole frame table.
    """

    fragments: tuple[tuple[int, int], ...]
    sizes: tuple[int, ...]
    samples: FrameTable
    table: FrameTable

    def columns(self, stored_ns: int) -> tuple[Runs, tuple[int, ...], tuple[int, ...]]:
        """tracks, times and dts as in GopEntry. stored_ns: stored start of the row."""
        tracks = tuple((track, len(list(run))) for track, run in groupby(self.samples["track"].tolist()))
        times, dts = (tuple((self.samples[name] - stored_ns).tolist()) for name in ("time_ns", "dts_ns"))
        return tracks, times, () if dts == times else dts


def layout_of(data: Buffer, *, verify: bool = True) -> Layout:
    """The layout of a row's bytes. verify: also check the fragments' checksums of their samples.

    Raises SegmentDamaged where they are no whole fragments.
    """
    view = memoryview(data).cast("B")
    fragments: list[tuple[int, int]] = []
    sizes: list[int] = []
    samples, tables, offset = [], [], 0
    while offset < len(view) or not fragments:
        fragment = parse_fragment(view, offset, verify=verify)
        rows, inner = _samples(fragment)
        fragments.append((fragment.data_offset, len(inner)))
        sizes += inner
        samples.append(rows)
        tables.append(fragment.frames)
        offset += fragment.size_bytes
    return Layout(tuple(fragments), tuple(sizes), np.concatenate(samples), np.concatenate(tables))


def describe(row: Gop, data: Buffer) -> GopEntry:
    """The entry of a row whose bytes these are. Raises SegmentDamaged where they are no whole fragments."""
    view = memoryview(data).cast("B")
    layout = layout_of(view)
    tracks, times, dts = layout.columns(row.start_ns - row.shift_ns)
    heads, samples = hash_parts(view, layout.fragments, layout.sizes)
    sizes = iter(layout.sizes)
    pieces = [size for head, count in layout.fragments for size in (head, *islice(sizes, count))]
    marks, crcs, at = [], [], 0
    for size in pieces:
        marks.append(mark_of(view[at : at + size]))
        crcs.append(crcs_of(view[at : at + size]))
        at += size
    return GopEntry(
        start_ns=row.start_ns,
        shift_ns=row.shift_ns,
        epoch=row.epoch,
        offset=row.offset,
        bytes=len(view),
        frames=row.frames,
        sha256=samples,
        heads_sha256=heads,
        fragments=layout.fragments,
        tracks=tracks,
        times=times,
        dts=dts,
        sizes=layout.sizes,
        marks="".join(marks),
        crcs="".join(crcs),
    )


def hash_parts(
    view: memoryview, fragments: Iterable[tuple[int, int]], sizes: Sequence[int]
) -> tuple[str, str]:
    """SHA-256 over the heads, and over the samples, of bytes that are made up so."""
    heads, samples = hashlib.sha256(), hashlib.sha256()
    at = number = 0
    for head_bytes, count in fragments:
        middle = at + head_bytes
        end = middle + sum(sizes[number : number + count])
        heads.update(view[at:middle])
        samples.update(view[middle:end])
        at, number = end, number + count
    return heads.hexdigest(), samples.hexdigest()


def mark_of(piece: Buffer) -> str:
    """Mark of a piece: the first 8 bytes of its SHA-256, hexadecimal."""
    return hashlib.sha256(piece).digest()[:8].hex()


def crcs_of(piece: memoryview) -> str:
    """CRC-32C of each block of a piece, hexadecimal."""
    if len(piece) <= BLOCK_BYTES:
        return f"{crc32c(piece):08x}" if len(piece) else ""
    return "".join(f"{crc32c(piece[at : at + BLOCK_BYTES]):08x}" for at in range(0, len(piece), BLOCK_BYTES))


def _samples(fragment: Fragment) -> tuple[FrameTable, list[int]]:
    """A row of the frame table for each sample of the fragment, and the samples' sizes.

    All metadata documents of a fragment are one sample.
    """
    frames = fragment.frames
    plain = int(np.count_nonzero(frames["track"] != METADATA_TRACK))
    sizes: list[int] = frames["size"][:plain].tolist()
    rest = fragment.size_bytes - fragment.data_offset - sum(sizes)
    if rest < 0 or (rest > 0) != (plain < len(frames)):
        raise SegmentDamaged(f"the samples are not as long as the fragment (byte {fragment.offset})")
    return (frames[: plain + 1], [*sizes, rest]) if rest else (frames, sizes)
