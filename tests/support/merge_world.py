"""Cameras, recorders and their clocks in numbers, and a timeline that is slow and obvious: a world to merge
in.

Every frame of a camera has an id, its place in decode order, which is its payload too; so sets of ids say
exactly who holds what, whatever digests and clocks say.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import msgspec
import numpy as np
from streams import decode_times

from fovideo.errors import NoSuchStream, PlanStale
from fovideo.media.codec import Codec, Track
from fovideo.media.frames import Clock, FrameFlag, FrameTable, empty_frames
from fovideo.segment import SegmentHeader, decode_table, encode_fragment, encode_table, samples, scan
from fovideo.timeline.endpoint import FileRange, Inserted, Stretch
from fovideo.timeline.values import Gop, GopFlag, Loss, Provenance, Splice, StreamInfo

T0_NS = 1_790_000_000_000_000_000
STEP_NS = 40_000_000
VIDEO = Track(id=1, codec=Codec.H264)
AUDIO = Track(id=2, codec=Codec.PCMU, timescale=8000, sample_rate=8000, channels=1)
S = 1_000_000_000


@dataclass(frozen=True)
class Shot:
    """A frame as the camera made it. time_ns: presentation, true time. digest: of its content."""

    id: int
    time_ns: int
    key: bool
    digest: int
    track: int = 1


def camera(
    count: int, *, gop: int = 10, content: str = "moving", b_frames: int = 0, loop: int = 40, seed: int = 1
) -> list[Shot]:
    """Frames in decode order, 25 a second.

    content: "moving" = every frame differs; "still" = a scene of which every GOP is like the one before;
    "frozen" = all frames but keyframes are alike; "loop" = repeats every `loop` frames.
    """
    shots = []
    for number in range(count):
        place = number % gop
        identity = {
            "moving": number,
            "still": place,
            "frozen": min(place, 1),
            "loop": number % loop,
        }[content]
        digest = random.Random(f"{seed}/{content}/{identity}").getrandbits(64)
        shots.append(Shot(number, T0_NS + _shown(number, gop, b_frames) * STEP_NS, place == 0, digest))
    return shots


def _shown(number: int, gop: int, b_frames: int) -> int:
    """Place in presentation order: I P b b P b b, in closed GOPs."""
    start, place = number - number % gop, number % gop
    if place == 0 or not b_frames:
        return number
    group = (place - 1) // (b_frames + 1)
    first = 1 + group * (b_frames + 1)
    size = min(b_frames + 1, gop - first)
    inner = (place - 1) % (b_frames + 1)
    return start + (first + size - 1 if inner == 0 else first + inner - 1)


def sound(count: int, seed: int = 2, silent: bool = False) -> list[Shot]:
    """Audio frames of 20 ms; ids from 10 million on."""
    return [
        Shot(
            10_000_000 + n,
            T0_NS + n * 20_000_000,
            True,
            7 if silent else random.Random(f"{seed}/{n}").getrandbits(64),
            2,
        )
        for n in range(count)
    ]


@dataclass(frozen=True)
class Wrong:
    """How a recorder's clock differs from true time: offset, and drift since T0."""

    offset_ns: int = 0
    drift_ppm: float = 0.0
    source: Clock = Clock.LOCAL

    def at(self, time_ns: int) -> int:
        return time_ns + self.offset_ns + round((time_ns - T0_NS) * self.drift_ppm / 1e6)

    def received_ns(self, time_ns: int) -> int:
        """When a frame is received, by the recorder's clock, which is wrong only if it is what times come
        from.
        """
        return (self.at(time_ns) if self.source is Clock.LOCAL else time_ns) + 5_000_000


def _closed(shots: list[Shot]) -> list[Shot]:
    """Without the last run of frames whose order was not known yet: a recorder holds those back."""
    video = [shot for shot in shots if shot.track == 1]
    latest = max((shot.time_ns for shot in video), default=0)
    tail = len(video)
    while tail and video[tail - 1].time_ns < latest:
        tail -= 1
    if tail == len(video):
        return shots
    behind = {shot.id for shot in video[tail - 1 :]}
    return [shot for shot in shots if shot.id not in behind]


TRUE_CLOCK = Wrong()


@dataclass
class World:
    """Timelines by name; sessions and stores get numbers as they come."""

    sessions: int = 0
    stores: int = 0
    timelines: dict[str, Held] = field(default_factory=dict)

    def timeline(self, name: str) -> Held:
        if name not in self.timelines:
            self.stores += 1
            self.timelines[name] = Held(f"{self.stores:032x}", name)
        return self.timelines[name]

    def record(
        self,
        name: str,
        shots: Iterable[Shot],
        *,
        wrong: Wrong = TRUE_CLOCK,
        lost: Iterable[int] = (),
        noise_ns: int = 0,
        gops_per_segment: int = 6,
        epoch: int = 0,
        session: str = "",
        told: bool = False,
        receipts: Mapping[int, int] | None = None,
    ) -> str:
        """A session of a recorder that received these frames but for the lost ones; returns its number.

        noise_ns: error of the session's anchor, up to this. told: frames after lost ones say so. receipts: by
        id, when each was received by the recorder's machine; else soon, by the clock that is wrong if the
        recorder's own is, by true time if the camera's is.
        """
        lost = set(lost)
        if not session:
            self.sessions += 1
            session = f"{self.sessions:016x}"
        got = _closed([shot for shot in shots if shot.id not in lost])
        error_ns = random.Random(f"{session}/noise").randint(-noise_ns, noise_ns)
        timeline = self.timeline(name)
        if not got:
            return session
        provenance = Provenance(recorder=name, session=session, store=timeline.identity)
        known = {shot.id: wrong.received_ns(shot.time_ns) for shot in got} if receipts is None else receipts
        told_of = lost if told else set()
        timeline.record(got, wrong, error_ns, provenance, gops_per_segment, epoch, told_of, known)
        return session


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
        edges = sorted({0, *starts.tolist(), len(frames)})
        tracks = (VIDEO, AUDIO) if len(set(frames["track"].tolist())) > 1 else (VIDEO,)
        header = None
        for number, (start, stop) in enumerate(pairwise(edges)):
            if number % gops_per_segment == 0:
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

    def ids(self, *, conflicts: bool = True) -> Counter[int]:
        found: Counter[int] = Counter()
        for row in self.rows:
            if conflicts or not self._provenances[row.provenance].splice & Splice.CONFLICT:
                found.update(self.ids_of(row))
        return found

    def told(self) -> set[int]:
        """Ids of frames that are on the camera's own clock."""
        rows = [row for row in self.rows if (decode_table(row.table)["clock"] == Clock.SENDER_REPORT).all()]
        return {number for row in rows for number in self.ids_of(row)}

    def ids_of(self, row: Gop) -> list[int]:
        data = self._data[row.serial]
        fragments, _, _ = scan(data, 0)
        return [
            int.from_bytes(bytes(sample)[:8], "big")
            for fragment in fragments
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
        return [
            row
            for row in self.rows
            if (from_ns is None or row.end_ns > from_ns) and (to_ns is None or row.start_ns < to_ns)
        ]

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
        for part in stretch.parts:
            assert isinstance(part, bytes)
            fragments, end, reason = scan(part, 0)
            assert (end, reason) == (len(part), "")
            for fragment in fragments:
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
