"""The interface of a timeline: what merge, replay and the commands need of a store, local or remote.

fovideo.store.Store and fovideo.peer.RemoteStore implement it; timelines of other recorders can.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol, runtime_checkable

import msgspec

from fovideo.media.codec import Track
from fovideo.timeline.values import Gop, Loss, Provenance, StreamInfo

SPOOL_PREFIX = "incoming-"
"""Names of files in a store's spool folder that wait to be given away; opening the store removes them."""

SPOOL_ROOM_BYTES = 8192
"""Left free at the beginning of a file that is given away: for the header of the segment that it becomes."""


def unreachable(timeline: Timeline) -> tuple[str, ...]:
    """Machines whose recordings belong to a timeline but cannot be had now, so that it may lack them."""
    return tuple(getattr(timeline, "unreachable", ()))


class FileRange(msgspec.Struct, frozen=True):
    """Bytes that lie in a local file: an insertion into a local store lets the kernel copy them.

    given: the file holds nothing else that anybody wants, and whoever gets the range may rename and change
    it; its parts lie one behind the other, the first at SPOOL_ROOM_BYTES.
    """

    path: str
    offset: int
    size_bytes: int
    given: bool = False


class Stretch(msgspec.Struct, frozen=True, kw_only=True):
    """Consecutive footage of one stream to be inserted as one new segment file.

    generation: the target's StreamInfo.generation that the plan was made against, or -1 for "any".
        A target at another generation raises PlanStale and inserts nothing.
    shift_ns: what to add to all stored times *besides* provenance.correction (back-dating at the source).
    epoch: epoch number of the rows to be made.
    parts: whole fragments, each part one GOP or a piece of one, in time order.
    """

    stream: str
    tracks: tuple[Track, ...]
    provenance: Provenance
    generation: int
    shift_ns: int
    epoch: int
    parts: tuple[bytes | FileRange, ...]


class Inserted(msgspec.Struct, frozen=True):
    """What an insertion made durable and visible. generation: the stream's generation afterwards."""

    frames: int
    size_bytes: int
    generation: int


@runtime_checkable
class Timeline(Protocol):
    """A set of frames with identity, by stream. Thread-safe. Times are effective, in ns."""

    @property
    def identity(self) -> str:
        """Id of the store (32 hex digits); the same store through a path and a URL has the same."""

    @property
    def location(self) -> str:
        """Path or redacted URL, for messages."""

    def streams(self) -> list[StreamInfo]: ...

    def gops(self, stream: str, from_ns: int | None = None, to_ns: int | None = None) -> Sequence[Gop]:
        """Rows whose [start_ns, end_ns) meets [from_ns, to_ns), by (start_ns, serial). NoSuchStream."""

    def provenances(self, stream: str) -> dict[int, Provenance]:
        """Provenance of each Gop.provenance number."""

    def tracks(self, stream: str, gop: Gop) -> tuple[Track, ...]:
        """Tracks (decoder configuration) under which a row was recorded."""

    def read(self, stream: str, gop: Gop) -> bytes | FileRange:
        """The row's fragments, unchanged."""

    def losses(self, stream: str, from_ns: int | None = None, to_ns: int | None = None) -> list[Loss]: ...

    def insert(self, stretch: Stretch) -> Inserted:
        """Add a stretch. Checks every fragment's checksum and digests; durable and visible on return."""

    def settle(self, stream: str, gops: Iterable[int]) -> None:
        """Rows with these serials are held by their owner now: clear PENDING, so they may be freed."""

    def close(self) -> None: ...
