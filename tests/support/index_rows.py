"""Rows for index tests, in a module that a spawned process can import."""

from __future__ import annotations

from pathlib import Path

import msgspec

from fovideo.index import SERIALS_PER_SEGMENT, Index, SegmentRow, SegmentState, Update, segment_of
from fovideo.media.codec import Codec, Track
from fovideo.timeline.values import Gop, Provenance

SECOND = 1_000_000_000
VIDEO = Track(id=1, codec=Codec.H264)


def gop(serial: int, start: int, *, frames: int = 25, size: int = 100, length: int = 1, **more: int) -> Gop:
    given = {
        "stream": f"s{segment_of(serial) % 2}",
        "serial": serial,
        "start_ns": start * SECOND,
        "end_ns": (start + length) * SECOND,
        "shift_ns": 0,
        "segment": segment_of(serial),
        "offset": 0,
        "size_bytes": size,
        "provenance": 1,
        "epoch": 0,
        "frames": frames,
        "interval_ns": 40_000_000,
        "flags": 0,
    }
    return Gop(**(given | more))  # type: ignore[arg-type]


def add_segment(update: Update, number: int, state: SegmentState = SegmentState.SEALED) -> SegmentRow:
    name = f"s{number % 2}"
    stream = update.ensure_stream(name)
    provenance = update.number_of_provenance(stream, Provenance(recorder="r", session="1"), refer=1)
    row = SegmentRow(
        id=number,
        stream=name,
        path=f"segments/{name}/{number:x}.mp4",
        state=state,
        provenance=provenance,
        tracks=update.number_of_tracks(stream, (VIDEO,)),
        size_bytes=1000,
    )
    return update.add_segment(row)


def fill(index: Index, count: int, first: int = 0) -> None:
    def apply(update: Update) -> None:
        add_segment(update, 1)
        for place in range(first, first + count):
            update.put_gop(msgspec.structs.replace(gop(SERIALS_PER_SEGMENT + place, place), table=bytes(500)))

    index.update(apply)


def grow_elsewhere(folder: Path) -> None:
    index = Index.open(folder, map_bytes=256 << 10)
    fill(index, 4000)
    index.close()
