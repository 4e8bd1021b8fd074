"""A timeline that is slow and obvious: rows of whole fragments in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

import msgspec
import numpy as np
from memory_timeline import rows_within
from merge_camera import STEP_NS, TRUE_CLOCK, VIDEO, S, Shot, Wrong
from streams import decode_times

from fovideo.errors import NoSuchStream, PlanStale
from fovideo.media.codec import Track
from fovideo.media.frames import Clock, FrameFlag, FrameTable, empty_frames
from fovideo.segment import (
    SegmentHeader,
    decode_table,
    encode_fragment,
    encode_table,
    fragments,
    samples,
    scan,
)
from fovideo.timeline.endpoint import FileRange, Inserted, Stretch
from fovideo.timeline.values import Gop, GopFlag, Loss, Provenance, Splice, StreamInfo


class Held:
    """A Timeline in memory; one stream, "gate"; a row a fragment."""

    def __init__(self, identity: str, location: str) -> None:
        self.identity, self.location = identity, location
        self.rows: list[Gop] = []
        self.live_edge_ns = 0
        self.generation = 0
        self.settled: set[int] = set()
        self.inserts = 0
        self.stale: list[int] = []  # numbers of the insertions that find the stream changed
        self._data: dict[int, bytes] = {}
        self._provenances: dict[int, Provenance] = {}
        self._tracks: dict[int, tuple[Track, ...]] = {}
        self._segments = 0

    # Recording

    def record(
        self,
        shots: Sequence[Shot],
        wrong: Wrong,
        error_ns: int,
        provenance: Provenance,
        gops_per_segment: int,
        epoch: int,
        told: set[int],
        receipts: Mapping[int, int],
    ) -> None:
        frames, payloads = table_of(shots, wrong, error_ns, told, receipts)
        video = frames["track"] == frames["track"].min()
        starts = np.flatnonzero(video & (frames["flags"] & FrameFlag.KEY != 0))
        shown = {shot.id: shot for shot in shots}
        kinds = [shown[int.from_bytes(payload[:8], "big")] for payload in payloads]
        pictures = [at for at, shot in enumerate(kinds) if shot.track == 1]
        changes = {
            after for before, after in pairwise(pictures) if kinds[before].format != kinds[after].format
        }
        edges = sorted({0, *starts.tolist(), *changes, len(frames)})
        others = sorted({shot.format.id: shot.format for shot in shots if shot.track != 1}.items())
        header = None
        for number, (start, stop) in enumerate(pairwise(edges)):
            video = next((shot.format for shot in kinds[start:stop] if shot.track == 1), VIDEO)
            tracks = (video, *(track for _, track in others))
            if number % gops_per_segment == 0 or (header is not None and header.tracks != tracks):
                self._segments += 1
                base_ns = int(frames["dts_ns"][start]) - S
                header = SegmentHeader(
                    stream="gate", tracks=tracks, provenance=provenance, base_ns=base_ns, start_ns=base_ns
                )
            assert header is not None
            parts = encode_fragment(header, 1, epoch, frames[start:stop], payloads[start:stop])
            data = b"".join(bytes(part) for part in parts)
            self._add(data, frames[start:stop], tracks, provenance, epoch, 0, GopFlag.PENDING)

    def _add(
        self,
        data: bytes,
        frames: FrameTable,
        tracks: tuple[Track, ...],
        provenance: Provenance,
        epoch: int,
        shift_ns: int,
        flags: int = 0,
    ) -> None:
        number = next((n for n, known in self._provenances.items() if known == provenance), 0)
        if not number:
            number = len(self._provenances) + 1
            self._provenances[number] = provenance
        order = np.argsort(frames["track"], kind="stable")
        frames = frames[order]
        serial = len(self._data) + 1
        self._data[serial], self._tracks[serial] = data, tracks
        main = frames[frames["track"] == 1]
        shown = main if len(main) else frames
        shift_ns += provenance.correction.shift_ns(int(shown["dts_ns"][0]) + shift_ns)
        key = len(main) and main["flags"][0] & FrameFlag.KEY
        times = np.sort(main["time_ns"])
        steps = np.diff(times)
        holes = bool(len(steps) and steps.max() > STEP_NS * 1.5) or bool((times != main["dts_ns"]).any())
        self.rows.append(
            Gop(
                stream="gate",
                serial=serial,
                start_ns=int(shown["dts_ns"][0]) + shift_ns,
                end_ns=int(shown["dts_ns"][-1]) + STEP_NS + shift_ns,
                shift_ns=shift_ns,
                segment=self._segments,
                offset=0,
                size_bytes=len(data),
                provenance=number,
                epoch=epoch,
                frames=len(main),
                interval_ns=STEP_NS,
                flags=flags | GopFlag.COMPLETE | (GopFlag.KEY if key else 0) | (GopFlag.GAPS if holes else 0),
                table=encode_table(frames),
            )
        )
        self.rows.sort(key=lambda row: (row.start_ns, row.serial))

    # What is in it, by id

    def ids(self, *, conflicts: bool = True, doubtful: bool = True) -> Counter[int]:
        """conflicts, doubtful: with what is not shown at all, with what perhaps is there already."""
        found: Counter[int] = Counter()
        without = (0 if conflicts else Splice.CONFLICT) | (0 if doubtful else Splice.DOUBTFUL)
        for row in self.rows:
            if not self._provenances[row.provenance].splice & without:
                found.update(self.ids_of(row))
        return found

    def told(self) -> set[int]:
        """Ids of frames that are on the camera's own clock."""
        rows = [row for row in self.rows if (decode_table(row.table)["clock"] == Clock.SENDER_REPORT).all()]
        return {number for row in rows for number in self.ids_of(row)}

    def ids_of(self, row: Gop) -> list[int]:
        data = self._data[row.serial]
        return [
            int.from_bytes(bytes(sample)[:8], "big")
            for fragment in scan(data, 0)[0]
            for sample in samples(fragment, data, fragment.offset)
        ]

    def times(self) -> dict[int, int]:
        """Effective presentation time of each id."""
        found: dict[int, int] = {}
        for row in self.rows:
            data = self._data[row.serial]
            for fragment in scan(data, 0)[0]:
                ids = [int.from_bytes(bytes(s)[:8], "big") for s in samples(fragment, data, fragment.offset)]
                found.update(zip(ids, (fragment.frames["time_ns"] + row.shift_ns).tolist(), strict=True))
        return found

    # Timeline

    def streams(self) -> list[StreamInfo]:
        if not self.rows:
            return []
        return [
            StreamInfo(
                name="gate",
                tracks=self._tracks[self.rows[-1].serial],
                frames=sum(row.frames for row in self.rows),
                size_bytes=sum(map(len, self._data.values())),
                start_ns=min(row.start_ns for row in self.rows),
                end_ns=max(row.end_ns for row in self.rows),
                live_edge_ns=self.live_edge_ns,
                generation=self.generation,
            )
        ]

    def gops(self, stream: str, from_ns: int | None = None, to_ns: int | None = None) -> list[Gop]:
        if stream != "gate" or not self.rows:
            raise NoSuchStream("no such stream", where=stream)
        return rows_within(self.rows, from_ns, to_ns)

    def provenances(self, stream: str) -> dict[int, Provenance]:
        return dict(self._provenances)

    def tracks(self, stream: str, gop: Gop) -> tuple[Track, ...]:
        return self._tracks[gop.serial]

    def read(self, stream: str, gop: Gop) -> bytes | FileRange:
        return self._data[gop.serial]

    def losses(self, stream: str, from_ns: int | None = None, to_ns: int | None = None) -> list[Loss]:
        return []

    def insert(self, stretch: Stretch) -> Inserted:
        self.inserts += 1
        if self.inserts in self.stale:
            self.generation += 1
        if stretch.generation not in (-1, self.generation):
            raise PlanStale("the stream has changed")
        assert stretch.provenance.inserted_from
        self._segments += 1
        frames = size_bytes = 0
        parts = [part for part in stretch.parts if isinstance(part, bytes)]
        assert len(parts) == len(stretch.parts)
        for part, found in [(part, list(fragments(part))) for part in parts]:
            for fragment in found:
                data = part[fragment.offset : fragment.offset + fragment.size_bytes]
                self._add(
                    data,
                    fragment.frames,
                    stretch.tracks,
                    stretch.provenance,
                    stretch.epoch,
                    stretch.shift_ns,
                )
                frames += int(np.count_nonzero(fragment.frames["track"] == 1))
                size_bytes += len(data)
        self.generation += 1
        return Inserted(frames, size_bytes, self.generation)

    def settle(self, stream: str, gops: Iterable[int]) -> None:
        self.settled.update(gops)
        self.rows = [
            msgspec.structs.replace(row, flags=row.flags & ~GopFlag.PENDING)
            if row.serial in self.settled
            else row
            for row in self.rows
        ]

    def close(self) -> None:
        pass


def table_of(
    shots: Sequence[Shot],
    wrong: Wrong = TRUE_CLOCK,
    error_ns: int = 0,
    told: set[int] | None = None,
    receipts: Mapping[int, int] | None = None,
) -> tuple[FrameTable, list[bytes]]:
    """What a session stores of the frames it received: times by its clock, decode times by the rule."""
    frames = empty_frames(len(shots))
    payloads = [shot.id.to_bytes(8, "big") + bytes(4) for shot in shots]
    frames["time_ns"] = [wrong.at(shot.time_ns) + error_ns for shot in shots]
    if receipts is None:
        receipts = {shot.id: wrong.received_ns(shot.time_ns) for shot in shots}
    frames["receipt_ns"] = [receipts[shot.id] for shot in shots]
    frames["digest"] = [shot.digest for shot in shots]
    frames["size"] = [len(payload) for payload in payloads]
    frames["track"] = [shot.track for shot in shots]
    frames["flags"] = [
        (FrameFlag.KEY if shot.key else 0) | (FrameFlag.LOST_BEFORE if shot.id - 1 in (told or ()) else 0)
        for shot in shots
    ]
    frames["clock"] = wrong.source
    frames["error_ns"] = S if wrong.source is Clock.LOCAL else abs(error_ns) + 1_000_000
    for track in set(frames["track"].tolist()):
        mine = frames["track"] == track
        frames["dts_ns"][mine] = decode_times(frames["time_ns"][mine].tolist())
    order = np.lexsort((np.arange(len(frames)), frames["dts_ns"]))
    keys = {0}
    order = _behind_their_key(frames, order, keys)
    return frames[order], [payloads[at] for at in order.tolist()]


def _behind_their_key(frames: FrameTable, order: np.ndarray, keys: set[int]) -> np.ndarray:
    """Decode order across tracks: by dts, but the order of each track as it was."""
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    for track in set(frames["track"].tolist()):
        mine = np.flatnonzero(frames["track"] == track)
        rank[mine] = np.sort(rank[mine])
    return np.argsort(rank, kind="stable")
