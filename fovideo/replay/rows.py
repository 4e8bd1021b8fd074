"""Rows to play: which index rows a stretch is read from, in small groups, so hours need no memory.

Overlapping rows are resolved by fovideo.timeline.choose; a group is what is interleaved frame by frame.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fovideo.errors import NoSuchStream
from fovideo.media.codec import VIDEO_TRACK
from fovideo.media.frames import FrameTable
from fovideo.segment import decode_table
from fovideo.timeline.choose import Choice, choose
from fovideo.timeline.endpoint import Timeline
from fovideo.timeline.order import effective
from fovideo.timeline.values import Gop, GopFlag, Provenance, StreamInfo
from fovideo.times import NS_PER_S

_WINDOW_NS = 600 * NS_PER_S
_LOOK_BACK_NS = 20 * NS_PER_S


class Rows:
    """Reads the rows of one stream of a timeline, window by window. For one thread."""

    def __init__(self, timeline: Timeline, stream: str) -> None:
        self.timeline, self.stream = timeline, stream
        self.info = stream_info(timeline, stream)
        self._provenances: dict[int, Provenance] = {}

    def provenance(self, row: Gop) -> Provenance | None:
        """Who recorded a row."""
        if row.provenance not in self._provenances:
            self._provenances = self.timeline.provenances(self.stream)
        return self._provenances.get(row.provenance)

    def start_before(self, from_ns: int) -> int:
        """Start of the last row at or before an instant that begins with a keyframe; else of the stream."""
        back_ns = _LOOK_BACK_NS
        while from_ns - back_ns > self.info.start_ns:
            rows = self.timeline.gops(self.stream, from_ns - back_ns, from_ns + 1)
            starts = [
                choice.gop.start_ns
                for choice in self._choose(rows)
                if choice.gop.flags & GopFlag.KEY and choice.gop.start_ns <= from_ns
            ]
            if starts:
                return max(starts)
            back_ns *= 8
        return self.info.start_ns

    def groups(self, from_ns: int, to_ns: int) -> Iterator[list[Choice]]:
        """Groups of rows that meet [from_ns, to_ns), in time order."""
        at, window_ns = from_ns, _WINDOW_NS
        while at < to_ns:
            stop = min(at + window_ns, to_ns)
            rows = self.timeline.gops(self.stream, at, stop)
            if at != from_ns:
                rows = [row for row in rows if row.start_ns >= at]
            clusters = list(_clusters(rows))
            spans_on = clusters and stop < to_ns and max(map(_end, clusters[-1])) > stop
            whole, rest = (clusters[:-1], clusters[-1]) if spans_on else (clusters, [])
            for cluster in whole:
                yield from _apart(self._choose(cluster))
            if not whole:  # nothing here, or one knot of rows longer than the window: look further at once
                window_ns *= 2
                at = at if rest else stop
                continue
            at, window_ns = (rest[0].start_ns if rest else stop), _WINDOW_NS

    def reorder_delay_ns(self, from_ns: int, to_ns: int | None) -> int:
        """How far decode times have to be put back so that no video frame is due before it is decoded."""
        end_ns = self.info.end_ns if to_ns is None else min(to_ns, self.info.end_ns)
        delay_ns = 0
        for group in self.groups(from_ns, end_ns):
            for choice in group:
                if not choice.gop.table:
                    continue
                frames = decode_table(choice.gop.table)
                late = (frames["dts_ns"] - frames["time_ns"])[frames["track"] == VIDEO_TRACK]
                delay_ns = max(delay_ns, int(late.max(initial=0)))
        return delay_ns

    def _choose(self, rows: Sequence[Gop]) -> list[Choice]:
        for row in rows:
            self.provenance(row)
        return choose(rows, self._provenances, self.timeline.identity, _table)


def stream_info(timeline: Timeline, stream: str) -> StreamInfo:
    """What a timeline says of a stream; NoSuchStream if it has none of that name."""
    infos = timeline.streams()
    for info in infos:
        if info.name == stream:
            return info
    names = ", ".join(sorted(info.name for info in infos)[:10]) or "none"
    raise NoSuchStream(f"no stream named {stream!r}", where=timeline.location, hint=f"streams: {names}")


def _table(row: Gop) -> FrameTable:
    return effective(decode_table(row.table), row.shift_ns)


def _end(row: Gop) -> int:
    """Where a row ends for certain: clocks of two rows never agree to the ns."""
    return max(row.start_ns + 1, row.end_ns - row.interval_ns * 3 // 4)


def _clusters(rows: Sequence[Gop]) -> Iterator[list[Gop]]:
    """Runs of rows that overlap, directly or by others between them."""
    cluster: list[Gop] = []
    end = 0
    for row in sorted(rows, key=lambda row: (row.start_ns, row.serial)):
        if cluster and row.start_ns >= end:
            yield cluster
            cluster = []
        end = max(end, _end(row)) if cluster else _end(row)
        cluster.append(row)
    if cluster:
        yield cluster


def _apart(choices: Sequence[Choice]) -> Iterator[list[Choice]]:
    """Choices that still overlap once each is cut to what is shown of it."""
    group: list[Choice] = []
    end = 0
    for choice in choices:
        stop = min(choice.end_ns, _end(choice.gop))
        if group and choice.gop.start_ns >= end:
            yield group
            group = []
        end = max(end, stop) if group else stop
        group.append(choice)
    if group:
        yield group
