"""A timeline in memory, in the shape that stores have: rows of whole fragments, one a GOP or piece of one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np
from streams import Made

from fovideo.errors import NoSuchStream
from fovideo.media.codec import Track
from fovideo.media.frames import FrameFlag, FrameTable
from fovideo.segment import SegmentHeader, encode_fragment, encode_table
from fovideo.timeline.endpoint import FileRange, Inserted, Stretch
from fovideo.timeline.values import Gop, GopFlag, Loss, Provenance, StreamInfo

HERE = "11" * 16


def rows_within(rows: Iterable[Gop], from_ns: int | None, to_ns: int | None) -> list[Gop]:
    """Rows of which some lies in [from_ns, to_ns)."""
    return [
        row
        for row in rows
        if (from_ns is None or row.end_ns > from_ns) and (to_ns is None or row.start_ns < to_ns)
    ]


class MemoryTimeline:
    """One stream, "gate". Rows are added by record(); reading is as of a store."""

    def __init__(self) -> None:
        self.identity, self.location = HERE, "memory"
        self.rows: list[Gop] = []
        self.data: dict[int, bytes] = {}
        self.reads = 0
        self._provenances: dict[int, Provenance] = {}
        self._tracks: dict[int, tuple[Track, ...]] = {}

    def record(
        self,
        *streams: Made,
        shift_ns: int = 0,
        pieces: int = 1,
        keep: slice = slice(None),
        session: str = "00112233445566ff",
        **provenance: object,
    ) -> list[Gop]:
        """Add streams recorded together: a row a GOP, each of `pieces` fragments. keep: which rows stay."""
        number = len(self._provenances) + 1
        made = Provenance(recorder="rec-1", session=session, store=HERE, **provenance)  # type: ignore[arg-type]
        self._provenances[number] = made
        tracks = tuple(stream.track for stream in streams)
        self._tracks[number] = tracks
        frames = np.concatenate([stream.frames for stream in streams])
        payloads = [payload for stream in streams for payload in stream.payloads]
        order = np.lexsort((frames["track"], frames["dts_ns"]))
        frames, payloads = frames[order], [payloads[at] for at in order.tolist()]
        primary = int(frames["track"].min())
        starts = np.flatnonzero(
            (frames["flags"] & FrameFlag.KEY != 0) & (frames["track"] == primary)
        ).tolist()
        if primary != 1:
            starts = starts[::25]
        edges = sorted({0, *starts, len(frames)})
        header = SegmentHeader(
            stream="gate",
            tracks=tracks,
            provenance=made,
            base_ns=int(frames["dts_ns"].min()) - 10**9,
            start_ns=int(frames["dts_ns"].min()),
        )
        added = []
        for start, stop in pairwise(edges):
            added.append(
                self._row(header, number, frames[start:stop], payloads[start:stop], shift_ns, pieces)
            )
        for row in added[:]:
            if row not in added[keep]:
                added.remove(row)
        self.rows = sorted([*self.rows, *added], key=lambda row: (row.start_ns, row.serial))
        return added

    def _row(
        self,
        header: SegmentHeader,
        number: int,
        frames: FrameTable,
        payloads: Sequence[bytes],
        shift_ns: int,
        pieces: int,
    ) -> Gop:
        serial = len(self.data) + 1
        data = b""
        for part in np.array_split(np.arange(len(frames)), min(pieces, len(frames))):
            chosen = [payloads[at] for at in part.tolist()]
            data += b"".join(bytes(piece) for piece in encode_fragment(header, 1, 0, frames[part], chosen))
        self.data[serial] = data
        main = frames[frames["track"] == frames["track"].min()]
        interval = int(np.median(np.diff(main["dts_ns"]))) if len(main) > 1 else 40_000_000
        return Gop(
            stream="gate",
            serial=serial,
            start_ns=int(main["dts_ns"][0]) + shift_ns,
            end_ns=int(main["dts_ns"].max()) + interval + shift_ns,
            shift_ns=shift_ns,
            segment=number,
            offset=0,
            size_bytes=len(data),
            provenance=number,
            epoch=0,
            frames=len(main),
            interval_ns=interval,
            flags=GopFlag.COMPLETE | (GopFlag.KEY if main["flags"][0] & FrameFlag.KEY else 0),
            table=encode_table(frames),
        )

    def streams(self) -> list[StreamInfo]:
        if not self.rows:
            return []
        return [
            StreamInfo(
                name="gate",
                tracks=self._tracks[self.rows[-1].provenance],
                frames=sum(row.frames for row in self.rows),
                size_bytes=sum(map(len, self.data.values())),
                start_ns=min(row.start_ns for row in self.rows),
                end_ns=max(row.end_ns for row in self.rows),
            )
        ]

    def gops(self, stream: str, from_ns: int | None = None, to_ns: int | None = None) -> list[Gop]:
        if stream != "gate":
            raise NoSuchStream(stream)
        return rows_within(self.rows, from_ns, to_ns)

    def provenances(self, stream: str) -> dict[int, Provenance]:
        return dict(self._provenances)

    def tracks(self, stream: str, gop: Gop) -> tuple[Track, ...]:
        return self._tracks[gop.provenance]

    def read(self, stream: str, gop: Gop) -> bytes | FileRange:
        self.reads += 1
        return self.data[gop.serial]

    def losses(self, stream: str, from_ns: int | None = None, to_ns: int | None = None) -> list[Loss]:
        return []

    def insert(self, stretch: Stretch) -> Inserted:
        raise NotImplementedError

    def settle(self, stream: str, gops: Iterable[int]) -> None:
        raise NotImplementedError

    def close(self) -> None:
        pass
