"""The newest first, of many streams together."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from itertools import pairwise

from merge_world import T0_NS, Held, S, World, Wrong, camera
from msgspec.structs import replace

from fovideo.media.codec import Track
from fovideo.media.frames import Clock
from fovideo.merge import Order, merge
from fovideo.merge.doing.order import turns
from fovideo.timeline.endpoint import FileRange, Inserted, Stretch
from fovideo.timeline.values import Gop, Loss, Provenance, StreamInfo


class Site:
    """Two cameras, each a timeline of its own."""

    def __init__(self, name: str, streams: dict[str, Held], seen: list[tuple[str, int]]) -> None:
        self.identity = self.location = name
        self._streams, self._seen = streams, seen

    def streams(self) -> list[StreamInfo]:
        return [replace(info, name=name) for name, held in self._streams.items() for info in held.streams()]

    def gops(self, stream: str, from_ns: int | None = None, to_ns: int | None = None) -> list[Gop]:
        return [replace(row, stream=stream) for row in self._streams[stream].gops("gate", from_ns, to_ns)]

    def provenances(self, stream: str) -> dict[int, Provenance]:
        return self._streams[stream].provenances("gate")

    def tracks(self, stream: str, gop: Gop) -> tuple[Track, ...]:
        return self._streams[stream].tracks("gate", gop)

    def read(self, stream: str, gop: Gop) -> bytes | FileRange:
        return self._streams[stream].read("gate", gop)

    def losses(self, stream: str, from_ns: int | None = None, to_ns: int | None = None) -> list[Loss]:
        return []

    def insert(self, stretch: Stretch) -> Inserted:
        done = self._streams[stretch.stream].insert(stretch)
        newest = max(self._streams[stretch.stream].rows, key=lambda row: row.serial)
        self._seen.append((stretch.stream, newest.start_ns))
        return done

    def settle(self, stream: str, gops: Iterable[int]) -> None:
        self._streams[stream].settle("gate", gops)

    def close(self) -> None:
        pass


def test_the_newest_hours_of_all_streams_come_first() -> None:
    seen: list[tuple[str, int]] = []
    sides: dict[str, dict[str, Held]] = {"server": {}, "spare": {}}
    for stream in ("door", "gate"):
        world, shots = World(), camera(400)
        for hour in range(4):  # some seconds of each hour
            part = [
                dataclasses.replace(shot, time_ns=shot.time_ns + hour * 3600 * S)
                for shot in shots[hour * 100 : hour * 100 + 60]
            ]
            world.record("spare", part, wrong=Wrong(source=Clock.SENDER_REPORT))
        for name, streams in sides.items():
            streams[stream] = world.timeline(name)
    spare, server = (Site(name, sides[name], seen) for name in ("spare", "server"))
    report = merge(spare, server, order=Order.NEWEST)
    hours = [(start_ns - T0_NS) // (3600 * S) for _, start_ns in seen]
    assert hours == sorted(hours, reverse=True)
    assert [stream for stream, _ in seen[:4]] == ["door", "gate", "door", "gate"]
    assert [stream.inserted_frames for stream in report.streams] == [240, 240]
    assert sides["server"]["door"].ids() == sides["spare"]["door"].ids()
    assert merge(spare, server).streams[0].inserted_frames == 0


def test_turns_are_for_the_newest_of_several_streams_and_never_many() -> None:
    year = StreamInfo(
        name="gate", tracks=(), frames=1, size_bytes=1, start_ns=T0_NS, end_ns=T0_NS + 365 * 24 * 3600 * S
    )
    assert turns([year], Order.NEWEST) == turns([year, year], Order.OLDEST) == []
    found = turns([year, year], Order.NEWEST)
    assert 40 < len(found) < 50
    assert found[0].to_ns == year.end_ns
    assert all(before.from_ns == after.to_ns for before, after in pairwise(found))
