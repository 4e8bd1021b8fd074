"""The report of a merge for people. What each line means and asks for: docs/guide/merging.md."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fovideo.cli import custody
from fovideo.cli.output import errors, out, print_json
from fovideo.custody import Written
from fovideo.errors import FovideoError, MergeError
from fovideo.merge import MergeReport, StreamReport
from fovideo.times import NS_PER_MS, NS_PER_S, format_bytes, format_duration, format_ms

if TYPE_CHECKING:
    from fovideo.merge.doing.running import MergeResult, MergeStatus


def show(
    report: MergeReport,
    written: Written | None,
    least_s: float | None = None,
    failed: FovideoError | None = None,
    *,
    as_json: bool,
) -> int:
    """Print the report, what manifest was written, and how long it takes at least; returns the exit code.
    failed: an error that ended it, which is still to be told.
    """
    if as_json:
        more: dict[str, Any] = {} if written is None else {"manifest": custody.manifest_json(written)}
        more |= {} if least_s is None else {"takes_at_least_s": least_s}
        print_json(report.as_json() | more)
    else:
        if not report.streams and not report.stopped and failed is None:
            _line("dim", f"nothing to merge: {report.source} holds no streams")
        show_merge(report)
        if least_s is not None:
            size = format_bytes(sum(each.inserted_bytes for each in report.streams))
            least = format_duration(int(least_s * NS_PER_S))
            out.print(f"{size} in all: takes at least {least}", highlight=False)
        if written is not None:
            custody.show_manifest(written)
        if report.stopped and failed is None:
            errors.print("stopped; run it again to go on", style="yellow", highlight=False)
    return 0 if report.is_whole else 1


def show_ended(found: MergeResult, written: Written | None, *, as_json: bool) -> int:
    """Print what a pull that has ended did; returns the exit code. MergeError if it failed."""
    why = found.status.error
    if found.report is None:
        why = why or "was ended, and the server was restarted before it could report"
    failed = MergeError(why, where=f"merge {found.status.id}", hint="run it again to go on") if why else None
    status = 0
    if found.report is not None:
        status = show(found.report, written, failed=failed, as_json=as_json)
    if failed is not None:
        raise failed
    return status


def left_of(status: MergeStatus) -> str:
    """How long a merge still takes, for people; "" while that is not known, or nothing moves."""
    if status.eta_ns is None or status.state == "paused" or status.ended:
        return ""
    left = format_duration(status.eta_ns)
    return f"at least {left}" if status.eta_at_least else left


def show_merge(report: MergeReport) -> None:
    """A paragraph a stream."""
    would = "would insert" if report.dry_run else "inserted"
    for each in report.streams:
        out.print(f"[bold]{each.name}[/bold]", highlight=False)
        size = format_bytes(each.inserted_bytes)
        _line("green" if each.inserted_frames else "dim", f"{would} {each.inserted_frames} frames, {size}")
        for span in each.inserted:
            _span("green", would, span.from_ns, span.to_ns)
        _line("dim", f"{each.duplicate_frames} frames were there already")
        if abs(each.clock_offset_ns) >= NS_PER_MS:  # below, the reports of one camera differ
            _line("dim", f"the clocks differ by {format_duration(each.clock_offset_ns)}; corrected")
        _rest(each)
    if report.not_begun:
        out.print(f"not begun: {', '.join(report.not_begun)}", style="yellow", markup=False, highlight=False)


def _rest(each: StreamReport) -> None:
    if each.held_frames:
        _line("yellow", f"{each.held_frames} of them are kept, but not shown: what they continue is missing")
    if each.conflicting_frames:
        _line("yellow", f"{each.conflicting_frames} frames differ from what the target has; both are kept")
        for span in each.conflicts:
            _span("yellow", "conflict", span.from_ns, span.to_ns)
    if each.possible_duplicate_frames:
        frames = each.possible_duplicate_frames
        _line("yellow", f"{frames} frames are possible duplicates; kept, not shown")
        for span in each.possible_duplicates:
            _span("yellow", "possible duplicates", span.from_ns, span.to_ns)
    for span in each.earlier_conflicts:
        _span("yellow", "conflict", span.from_ns, span.to_ns, ": brought by an earlier merge, both are kept")
    for span in each.held:
        _span("yellow", "not shown", span.from_ns, span.to_ns, ": what it continues is missing")
    if each.deferred_frames:
        _line(
            "yellow", f"{each.deferred_frames} frames wait until the target has written its own; merge again"
        )
    if each.left_frames:
        _line("yellow", f"{each.left_frames} frames are left, since it was stopped; merge again")
        for span in each.left:
            _span("yellow", "left", span.from_ns, span.to_ns)
    for gap in each.still_missing:
        _span("red", "still missing", gap.from_ns, gap.to_ns, f": {gap}")


def _line(style: str, text: str) -> None:
    out.print(f"  {text}", style=style, highlight=False, markup=False)


def _span(style: str, what: str, from_ns: int, to_ns: int, why: str = "") -> None:
    length = format_duration(to_ns - from_ns)
    _line(style, f"  {what} {format_ms(from_ns)} to {format_ms(to_ns)}, {length}{why}")
