"""The report of a merge for people. What each line means and asks for: docs/guide/merging.md."""

from __future__ import annotations

from fovideo.cli.output import out
from fovideo.merge import MergeReport, StreamReport
from fovideo.times import NS_PER_MS, format_bytes, format_duration, format_ns


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


def _rest(each: StreamReport) -> None:
    if each.held_frames:
        _line("yellow", f"{each.held_frames} of them are kept, but not shown: what they continue is missing")
    if each.conflicting_frames:
        _line("yellow", f"{each.conflicting_frames} frames differ from what the target has; both are kept")
        for span in each.conflicts:
            _span("yellow", "conflict", span.from_ns, span.to_ns)
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
    _line(style, f"  {what} {format_ns(from_ns)} to {format_ns(to_ns)}, {length}{why}")
