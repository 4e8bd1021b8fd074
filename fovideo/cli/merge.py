"""`fovideo merge`: re-insert what a target lacks."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import rich_click as click

from fovideo.cli import custody, params, peers
from fovideo.cli.output import out, print_json, progress
from fovideo.cli.peers import open_timeline
from fovideo.errors import StoreBusy, StoreError
from fovideo.merge import MergeReport, Progress, StreamReport, merge
from fovideo.timeline.endpoint import Timeline
from fovideo.times import format_bytes, format_duration, format_ns


@click.command("merge")
@click.argument("source")
@click.argument("target")
@params.one_stream
@params.stretch_options
@click.option("--dry-run", is_flag=True, help="Plan and report; write nothing.")
@custody.write_manifest
@custody.sign_key
@peers.options
@params.as_json
def command(
    source: str,
    target: str,
    stream: str | None,
    from_ns: int | None,
    to_ns: int | None,
    dry_run: bool,
    manifest: Path | None,
    sign_key: Path | None,
    as_json: bool,
) -> int:
    """Insert into TARGET every frame that SOURCE has and TARGET lacks, each exactly once.

    Running it again inserts nothing. Exit code 1 when frames are still missing, deferred or in conflict.
    """
    params.check_stretch(from_ns, to_ns)
    wanted = custody.Manifest(manifest, sign_key, dry_run=dry_run)
    with (
        closing(_open_source(source, dry_run)) as origin,
        closing(open_timeline(target, write=not dry_run)) as goal,
        progress(quiet=as_json) as bar,
    ):
        tasks = {}

        def show(done: Progress) -> None:
            if done.stream not in tasks:
                tasks[done.stream] = bar.add_task(done.stream, total=done.of_bytes)
            bar.update(tasks[done.stream], completed=done.size_bytes, total=done.of_bytes)

        record = wanted.begin(origin, goal)
        report = merge(
            origin,
            goal,
            streams=[stream] if stream else None,
            from_ns=from_ns,
            to_ns=to_ns,
            dry_run=dry_run,
            progress=show,
            on_insert=None if record is None else record.inserted,
        )
        written = None if record is None else custody.finish(record, bar)
    if as_json:
        more = {} if written is None else {"manifest": custody.manifest_json(written)}
        print_json(report.as_json() | more)
    else:
        show_merge(report)
        if written is not None:
            custody.show_manifest(written)
    return 0 if report.is_whole else 1


def _open_source(location: str, dry_run: bool) -> Timeline:
    """Open for writing, so that the source learns what is merged; for reading where that can't be."""
    if dry_run:
        return open_timeline(location)
    try:
        return open_timeline(location, write=True)
    except StoreBusy:
        return open_timeline(location)
    except StoreError as error:
        if isinstance(error.__cause__, PermissionError):
            return open_timeline(location)
        raise


def show_merge(report: MergeReport) -> None:
    """The report for people, a paragraph a stream."""
    would = "would insert" if report.dry_run else "inserted"
    for each in report.streams:
        out.print(f"[bold]{each.name}[/bold]", highlight=False)
        size = format_bytes(each.inserted_bytes)
        _line("green" if each.inserted_frames else "dim", f"{would} {each.inserted_frames} frames, {size}")
        for span in each.inserted:
            _span("green", "inserted", span.from_ns, span.to_ns)
        _line("dim", f"{each.duplicate_frames} frames were there already")
        if each.clock_offset_ns:
            _line("dim", f"the clocks differ by {format_duration(each.clock_offset_ns)}; corrected")
        _rest(each)


def _rest(each: StreamReport) -> None:
    if each.conflicting_frames:
        _line("yellow", f"{each.conflicting_frames} frames differ from what the target has; both are kept")
        for span in each.conflicts:
            _span("yellow", "conflict", span.from_ns, span.to_ns)
    if each.deferred_frames:
        _line(
            "yellow", f"{each.deferred_frames} frames wait until the target has written its own; merge again"
        )
    for gap in each.still_missing:
        _span("red", "still missing", gap.from_ns, gap.to_ns, f": {gap}")


def _line(style: str, text: str) -> None:
    out.print(f"  {text}", style=style, highlight=False, markup=False)


def _span(style: str, what: str, from_ns: int, to_ns: int, why: str = "") -> None:
    length = format_duration(to_ns - from_ns)
    _line(style, f"  {what} {format_ns(from_ns)} to {format_ns(to_ns)}, {length}{why}")
