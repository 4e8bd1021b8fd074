"""Which rows of a source cannot be merged, since their bytes are not what was recorded.

Looked for only where an insertion failed for that: a target checks all that it takes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from fovideo.errors import ChangedOnTheWay, NothingThere, SegmentDamaged, StoreDamaged, StoreError, StoreFull
from fovideo.merge.doing.supply import Fetching
from fovideo.merge.manifest import Manifest
from fovideo.merge.values import PlannedStretch
from fovideo.platform import read_range
from fovideo.segment import decode_table, fragments
from fovideo.timeline.endpoint import FileRange, Timeline
from fovideo.timeline.values import Gop, Loss
from fovideo.times import format_ns


class Damaged(NamedTuple):
    """A row, and what is wrong with it."""

    row: Gop
    error: StoreDamaged

    @property
    def loss(self) -> Loss:
        """As a stretch that the source lost."""
        return Loss(self.row.start_ns, self.row.end_ns, self.row.frames, "damaged")


def blamed(
    error: StoreError | NothingThere,
    source: Timeline,
    target: Timeline,
    manifest: Manifest,
    left: Sequence[PlannedStretch],
) -> list[Damaged]:
    """The damaged rows that an insertion failed for; none if the source has freed what it was to bring.
    Raises the error if it comes of something else, ChangedOnTheWay if bytes are sound at the source and were
    not when they had come over the network. left: what was not inserted, that step first.
    """
    if error.passing or isinstance(error, StoreFull) or not left:
        raise error
    damaged = damaged_rows(source, manifest, left[0])
    if not damaged and not isinstance(error, NothingThere):
        away = [side for side in (source, target) if isinstance(side, Fetching)]
        if away and isinstance(error, SegmentDamaged):
            what = f"footage of {manifest.stream} was changed on the way: {error.what}"
            raise ChangedOnTheWay(what, where=away[0].location) from None
        raise error
    return damaged


def damaged_rows(source: Timeline, manifest: Manifest, step: PlannedStretch) -> list[Damaged]:
    """Those of a step's rows that are not whole and sound at the source. Reads them all; over the network
    twice before one is believed to be damaged.
    """
    rows = {row.serial: row for row in manifest.rows}
    found = []
    for serial in dict.fromkeys(piece.serial for piece in step.pieces):
        row = rows[serial]
        try:
            try:
                _check(source, row)
            except StoreDamaged:
                if not isinstance(source, Fetching):
                    raise
                _check(source, row)
        except StoreDamaged as error:
            found.append(Damaged(row, error))
        except NothingThere as error:
            if row in source.gops(row.stream, row.start_ns, row.end_ns):
                found.append(Damaged(row, SegmentDamaged("the file is gone", where=error.where)))
    return found


def _check(source: Timeline, row: Gop) -> None:
    data = source.read(row.stream, row)
    where = f"{source.location}: {row.stream} at {format_ns(row.start_ns)}"
    if isinstance(data, FileRange):
        where, size_bytes = f"{data.path}: GOP at byte {data.offset}", data.size_bytes
        try:
            data = read_range(Path(data.path), data.offset, data.size_bytes)
        except FileNotFoundError:
            raise NothingThere("the file is gone", where=where) from None
        except OSError as error:
            raise SegmentDamaged(f"cannot be read: {error.strerror}", where=where) from None
        if len(data) < size_bytes:
            raise SegmentDamaged("the file is shorter than its index says", where=where)
    try:
        digests = [digest for each in fragments(data) for digest in each.frames["digest"].tolist()]
    except SegmentDamaged as error:
        raise SegmentDamaged(error.what, where=where, hint=error.hint) from None
    if digests != decode_table(row.table)["digest"].tolist():
        raise SegmentDamaged("does not hold the frames of its index", where=where)
