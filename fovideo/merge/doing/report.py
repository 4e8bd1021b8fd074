"""The report of a merge: what was inserted, what was there, what is still missing. `merge --json` is exactly
this.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from fovideo.custody import Missing
from fovideo.errors import MergeError, StoreDamaged
from fovideo.merge.doing.damage import Damaged
from fovideo.merge.values import Kind, Plan, PlannedStretch, Span, joined, without
from fovideo.times import NS_PER_MS, format_ns

_LEAST_NS = 100 * NS_PER_MS
"""Pieces of other merges' conflicts beside one's own that are shorter are but the edges of rows."""


class StreamReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a merge did, or would do, with one stream. Frames are those of the video track (audio if there is
    none).

    inserted_frames: what the target lacked and has now; held_frames: those of them that are kept but not
    shown, since what they continue is missing. conflicting_frames: instants of which the target has other
    content, kept beside it and not shown. possible_duplicate_frames: equal frames are there, but the scene
    repeats and they may be of another lap: inserted, kept beside and not shown. deferred_frames: left for a
    later run, as the target or the source still writes there. missing: still without frames. inserted,
    conflicts, possible_duplicates: spans of these frames. other_frames: inserted audio frames and metadata
    documents. verified: every inserted frame was found in the target afterwards. settled_rows: rows of
    which the source was told that the target holds them. still_missing: `missing` with reasons, cut where
    they change.
    held: what the target keeps now, but does not show, whoever brought it. earlier_conflicts: where it keeps
    other content that earlier merges brought.
    left_frames, left: planned, but not inserted, since the merge was stopped.
    """

    name: str
    inserted_frames: int = 0
    duplicate_frames: int = 0
    conflicting_frames: int = 0
    missing: tuple[Span, ...] = ()
    clock_offset_ns: int = 0
    held_frames: int = 0
    deferred_frames: int = 0
    other_frames: int = 0
    inserted_bytes: int = 0
    inserted: tuple[Span, ...] = ()
    conflicts: tuple[Span, ...] = ()
    held: tuple[Span, ...] = ()
    earlier_conflicts: tuple[Span, ...] = ()
    verified: bool = False
    settled_rows: int = 0
    still_missing: tuple[Missing, ...] = ()
    left_frames: int = 0
    left: tuple[Span, ...] = ()
    possible_duplicate_frames: int = 0
    possible_duplicates: tuple[Span, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """The JSON object; times as RFC 3339."""
        found: dict[str, Any] = {}
        for name in self.__struct_fields__:
            value = getattr(self, name)
            found[name] = [_json(each) for each in value] if isinstance(value, tuple) else value
        return found


class MergeReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a merge did, by stream. source, target: locations, for people. dry_run: nothing was written.
    stopped: it ended before all was done, since it was cancelled or failed. not_begun: streams that it had
    not come to by then.
    """

    source: str
    target: str
    dry_run: bool
    streams: tuple[StreamReport, ...] = ()
    stopped: bool = False
    not_begun: tuple[str, ...] = ()

    @property
    def is_whole(self) -> bool:
        """All was done, and nothing is missing, deferred, hidden or conflicting, whoever brought it."""
        return not self.stopped and not any(
            stream.missing
            or stream.deferred_frames
            or stream.conflicting_frames
            or stream.held
            or stream.earlier_conflicts
            for stream in self.streams
        )

    def as_json(self) -> dict[str, Any]:
        """The JSON object of `merge --json`."""
        return {
            "streams": [stream.as_json() for stream in self.streams],
            "source": self.source,
            "target": self.target,
            "dry_run": self.dry_run,
            "stopped": self.stopped,
            "not_begun": self.not_begun,
        }


class MergeIncomplete(MergeError):
    """Rows of the source are damaged, or a stream could not be merged, as an index is; all else was merged.

    report: of all streams that were merged, whole or without damaged rows (still_missing says where those
    are missed). A stream that could not be merged keeps what was inserted before. left_out: the damaged rows,
    by stream.
    """

    report: MergeReport = MergeReport(source="", target="", dry_run=False)
    left_out: Mapping[str, Sequence[Damaged]] = {}

    @classmethod
    def of(cls, failed: Mapping[str, StoreDamaged], report: MergeReport) -> MergeIncomplete:
        """These streams are not merged, and why; the first one's error stands for all."""
        error = next(iter(failed.values()))
        others = "; other streams are merged" if report.streams else ""
        hint = error.hint or f"fovideo check --repair on that store, then merge again{others}"
        made = cls(f"not merged: {', '.join(failed)}: {error.what}", where=error.where, hint=hint)
        made.report = report
        return made

    @classmethod
    def without(cls, left_out: Mapping[str, Sequence[Damaged]], report: MergeReport) -> MergeIncomplete:
        """All was merged but these rows, by stream."""
        frames = {name: sum(each.row.frames for each in rows) for name, rows in left_out.items()}
        error = next(iter(left_out.values()))[0].error
        counted = ", ".join(f"{count} frames of {name}" for name, count in frames.items())
        made = cls(
            f"{counted} are damaged and left out, all else is merged: {error.what}",
            where=error.where,
            hint="fovideo check --repair on that store saves what can be, then merge again",
        )
        made.report, made.left_out = report, left_out
        return made


def report_of(
    plan: Plan, done: Iterable[PlannedStretch], *, verified: bool, settled_rows: int
) -> StreamReport:
    """Report of a plan of which these stretches were (in a dry run: would be) inserted, over all attempts."""
    done = list(done)
    added = [stretch for stretch in done if stretch.kind.is_shown]
    doubtful = [stretch for stretch in done if stretch.kind is Kind.DOUBTFUL]
    conflicts = joined(stretch.span for stretch in done if stretch.kind is Kind.CONFLICT)
    return StreamReport(
        name=plan.stream,
        inserted_frames=sum(stretch.frames for stretch in added),
        duplicate_frames=plan.duplicate_frames,
        conflicting_frames=plan.conflicting_frames,
        missing=plan.missing,
        clock_offset_ns=plan.clock_offset_ns,
        held_frames=sum(stretch.frames for stretch in done if stretch.kind is Kind.HELD),
        deferred_frames=plan.deferred_frames,
        other_frames=sum(stretch.others for stretch in done),
        inserted_bytes=sum(stretch.size_bytes for stretch in done),
        inserted=joined(stretch.span for stretch in added),
        conflicts=conflicts,
        held=plan.held,
        earlier_conflicts=without(plan.conflicts, conflicts, _LEAST_NS),
        verified=verified,
        settled_rows=settled_rows,
        possible_duplicate_frames=sum(stretch.frames for stretch in doubtful),
        possible_duplicates=joined(stretch.span for stretch in doubtful),
    )


def _json(span: Span | Missing) -> dict[str, Any]:
    if isinstance(span, Missing):
        return span.as_json()
    return {"from": format_ns(span.from_ns), "to": format_ns(span.to_ns)}
