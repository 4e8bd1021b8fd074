"""A timeline whose times and origin are set: for footage of which only the start is known, and that is known
again when it comes anew.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from fovideo.media.codec import Track
from fovideo.timeline.endpoint import FileRange, Inserted, Stretch, Timeline
from fovideo.timeline.values import Gop, Loss, Provenance, StreamInfo


class Shifted:
    """Reads another timeline with all effective times moved by a constant, as of one session; stored times
    stay as they are.
    """

    def __init__(self, timeline: Timeline, by_ns: int, session: str) -> None:
        self._timeline, self._by_ns, self._session = timeline, by_ns, session

    @property
    def identity(self) -> str:
        return self._timeline.identity

    @property
    def location(self) -> str:
        return self._timeline.location

    def streams(self) -> list[StreamInfo]:
        return [
            msgspec.structs.replace(
                info, start_ns=info.start_ns + self._by_ns, end_ns=info.end_ns + self._by_ns
            )
            for info in self._timeline.streams()
        ]

    def gops(self, stream: str, from_ns: int | None = None, to_ns: int | None = None) -> list[Gop]:
        found = self._timeline.gops(stream, self._back(from_ns), self._back(to_ns))
        return [
            msgspec.structs.replace(
                gop,
                start_ns=gop.start_ns + self._by_ns,
                end_ns=gop.end_ns + self._by_ns,
                shift_ns=gop.shift_ns + self._by_ns,
            )
            for gop in found
        ]

    def provenances(self, stream: str) -> dict[int, Provenance]:
        found = self._timeline.provenances(stream)
        return {
            number: msgspec.structs.replace(each, session=self._session) for number, each in found.items()
        }

    def tracks(self, stream: str, gop: Gop) -> tuple[Track, ...]:
        return self._timeline.tracks(stream, gop)

    def read(self, stream: str, gop: Gop) -> bytes | FileRange:
        return self._timeline.read(stream, gop)

    def losses(self, stream: str, from_ns: int | None = None, to_ns: int | None = None) -> list[Loss]:
        return [
            Loss(loss.start_ns + self._by_ns, loss.end_ns + self._by_ns, loss.frames, loss.reason)
            for loss in self._timeline.losses(stream, self._back(from_ns), self._back(to_ns))
        ]

    def insert(self, stretch: Stretch) -> Inserted:
        raise NotImplementedError("footage whose times are moved is a source only")

    def settle(self, stream: str, gops: Iterable[int]) -> None:
        self._timeline.settle(stream, gops)

    def close(self) -> None:
        self._timeline.close()

    def _back(self, time_ns: int | None) -> int | None:
        return None if time_ns is None else time_ns - self._by_ns
