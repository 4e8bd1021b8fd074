"""What a timeline holds and lacks, for people and programs: frames, spans and gaps, exact to the frame."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from fovideo.errors import NoSuchStream
from fovideo.media.frames import FrameTable
from fovideo.segment import decode_table
from fovideo.timeline import Gap, Gop, Span, Timeline, effective
from fovideo.timeline import gaps as find_gaps
from fovideo.timeline import spans as find_spans
from fovideo.timeline.cover import primary
from fovideo.timeline.endpoint import unreachable
from fovideo.timeline.held import held as find_held
from fovideo.timeline.values import Provenance, Splice, StreamInfo
from fovideo.times import format_ns


class StreamDescription(msgspec.Struct, frozen=True, kw_only=True):
    """A stream within a window. Times in ns; [start, end).

    frames: of the primary track (video; else audio; else metadata), each counted once.
    size_bytes: of the rows in the segment files; rows that reach out of the window count by their share of
    frames.
    conflicting_frames: kept beside what is shown, not counted in frames.
    held: stretches of which frames are there, but not shown: what they continue is missing.
    live: it is being recorded right now.
    """

    name: str
    codec: str
    frames: int
    size_bytes: int
    spans: tuple[Span, ...]
    gaps: tuple[Gap, ...]
    conflicting_frames: int = 0
    held: tuple[tuple[int, int], ...] = ()
    live: bool = False

    def as_json(self) -> dict[str, Any]:
        """The object of `timeline --json`; times RFC 3339."""
        return {
            "name": self.name,
            "codec": self.codec,
            "frames": self.frames,
            "bytes": self.size_bytes,
            "spans": [
                {
                    "from": format_ns(span.start_ns),
                    "to": format_ns(span.end_ns),
                    "frames": span.frames,
                    "provenance": span.provenance,
                }
                for span in self.spans
            ],
            "gaps": [gap_json(gap) for gap in self.gaps],
            "conflicting_frames": self.conflicting_frames,
            "held": held_json(self.held),
            "live": self.live,
        }


def held_json(held: tuple[tuple[int, int], ...]) -> list[dict[str, str]]:
    """The objects of stretches that are kept, but not shown."""
    return [{"from": format_ns(start_ns), "to": format_ns(end_ns)} for start_ns, end_ns in held]


def gap_json(gap: Gap) -> dict[str, str]:
    """The object of a gap; `reason` is empty where nothing is known."""
    return {"from": format_ns(gap.start_ns), "to": format_ns(gap.end_ns), "reason": gap.reason}


def describe(
    timeline: Timeline, *, stream: str | None = None, from_ns: int | None = None, to_ns: int | None = None
) -> list[StreamDescription]:
    """Describe all streams, or one. Raises NoSuchStream for a name that the timeline does not have."""
    infos = [info for info in timeline.streams() if stream is None or info.name == stream]
    if stream is not None and not infos:
        known = ", ".join(info.name for info in timeline.streams()) or "none"
        raise NoSuchStream(f"no stream {stream!r}", where=timeline.location, hint=f"streams here: {known}")
    return [_describe(timeline, info, from_ns, to_ns) for info in infos]


def gaps(timeline: Timeline, stream: str, from_ns: int | None = None, to_ns: int | None = None) -> list[Gap]:
    """Stretches of [from_ns, to_ns) without frames, and why as far as the timeline knows."""
    return list(describe(timeline, stream=stream, from_ns=from_ns, to_ns=to_ns)[0].gaps)


def _describe(
    timeline: Timeline, info: StreamInfo, from_ns: int | None, to_ns: int | None
) -> StreamDescription:
    held = [_clip(row, from_ns, to_ns) for row in timeline.gops(info.name, from_ns, to_ns)]
    provenances = timeline.provenances(info.name)
    rows = [row for row in held if row.frames and not _is_conflict(row, provenances)]
    losses = timeline.losses(info.name, from_ns, to_ns)
    is_video = bool(info.tracks) and info.tracks[0].codec.is_video
    begin_ns = from_ns
    if begin_ns is None and unreachable(timeline):
        begin_ns = info.start_ns  # a part of it cannot be had: no silence about what came first
    return StreamDescription(
        name=info.name,
        codec=info.tracks[0].codec.value if info.tracks else "",
        frames=sum(row.frames for row in rows),
        size_bytes=sum(row.size_bytes for row in held),
        spans=tuple(find_spans(rows, provenances, _table)),
        gaps=tuple(find_gaps(rows, losses, begin_ns, to_ns, _table)),
        conflicting_frames=sum(row.frames for row in held if _is_conflict(row, provenances)),
        held=tuple(find_held(rows, provenances, _table, timeline.identity)) if is_video else (),
        live=info.live_edge_ns > 0,
    )


def _is_conflict(row: Gop, provenances: dict[int, Provenance]) -> bool:
    provenance = provenances.get(row.provenance)
    return provenance is not None and bool(provenance.splice & Splice.CONFLICT)


def _table(row: Gop) -> FrameTable:
    return effective(decode_table(row.table), row.shift_ns)


def _clip(row: Gop, from_ns: int | None, to_ns: int | None) -> Gop:
    """The row as if it held only the frames of the window."""
    if (from_ns is None or row.start_ns >= from_ns) and (to_ns is None or row.end_ns <= to_ns):
        return row
    times = primary(_table(row))["time_ns"]
    inside = np.ones(len(times), dtype=bool)
    if from_ns is not None:
        inside &= times >= from_ns
    if to_ns is not None:
        inside &= times < to_ns
    kept = times[inside]
    if not len(kept) or not len(times):
        return msgspec.structs.replace(row, frames=0, size_bytes=0)
    return msgspec.structs.replace(
        row,
        start_ns=int(kept.min()),
        end_ns=min(row.end_ns, int(kept.max()) + row.interval_ns),
        frames=len(kept),
        size_bytes=row.size_bytes * len(kept) // len(times),
    )
