"""`fovideo merge`: re-insert what a target lacks."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any

import rich_click as click

from fovideo.cli import custody, params, peers
from fovideo.cli.merge_report import left_of, show, show_ended
from fovideo.cli.merge_source import Wanted, open_source
from fovideo.cli.nearby import offered
from fovideo.cli.output import errors, out, print_json, progress, warn
from fovideo.cli.peers import open_timeline
from fovideo.cli.pulling import pull
from fovideo.cli.stopping import stop_on_signal
from fovideo.errors import FovideoError, NoSuchStream, UsageError
from fovideo.merge import (
    MergeControl,
    MergeIncomplete,
    MergeReport,
    Order,
    Pace,
    Progress,
    Span,
    carry_out_all,
    load_plans,
    make_plan,
    merge,
    save_plans,
)
from fovideo.merge.doing.estimate import seconds_at_least
from fovideo.merge.doing.running import RunningMerge
from fovideo.timeline.endpoint import Timeline
from fovideo.times import format_bytes, parse_ns

_FILE = click.Path(path_type=Path)


def _span(text: str) -> Span:
    start, slash, end = text.partition("/")
    if not slash:
        raise UsageError(f"not a span: {text!r}", hint="2026-11-22T08:30:00Z/2026-11-22T08:31:00Z")
    span = Span(parse_ns(start), parse_ns(end))
    if span.to_ns <= span.from_ns:
        raise UsageError(f"ends before it begins: {text!r}", hint="swap the two times")
    return span


SPAN = params.Parsed("span", _span)


@click.command("merge")
@click.argument("source", required=False)
@click.argument("target", required=False)
@params.one_stream
@params.stretch_options
@click.option("--dry-run", is_flag=True, help="Plan and report; write nothing.")
@click.option("--save-plan", type=_FILE, help="Plan only, and write the plan to this new file (JSON).")
@click.option("--plan", "plan_file", type=_FILE, help="Do what a saved plan says.")
@click.option(
    "--order",
    type=click.Choice([order.value for order in Order]),
    default="oldest",
    help="Which footage first.",
)
@click.option("--first", type=SPAN, multiple=True, help="FROM/TO: these spans before everything else.")
@click.option("--rate", type=params.SIZE, default="0", help="So many bytes a second at most, as 20MB.")
@click.option(
    "--brake",
    type=params.DURATION,
    default="250ms",
    help="Yield while commits of the target's recorder take longer; 0s = never.  [default: 250ms]",
)
@click.option(
    "--patience",
    type=params.DURATION,
    default="30s",
    help="How long to try again while a side does not answer.  [default: 30s]",
)
@click.option("--at", "at_ns", type=params.TIME, help="SOURCE is a file: when its first frame was taken.")
@click.option("--pull", "pulled", is_flag=True, help="TARGET, a running server, fetches from SOURCE itself.")
@click.option("--no-wait", is_flag=True, help="With --pull: give the order and return at once.")
@custody.write_manifest
@custody.sign_key
@peers.options
@params.as_json
def command(
    source: str | None,
    target: str | None,
    stream: str | None,
    from_ns: int | None,
    to_ns: int | None,
    dry_run: bool,
    save_plan: Path | None,
    plan_file: Path | None,
    order: str,
    first: tuple[Span, ...],
    rate: int,
    brake: int,
    patience: int,
    at_ns: int | None,
    pulled: bool,
    no_wait: bool,
    manifest: Path | None,
    sign_key: Path | None,
    as_json: bool,
) -> int:
    """Insert into TARGET every frame that SOURCE has and TARGET lacks, each exactly once.

    SOURCE is a store, the URL of a server or spare, a video file (with --stream, and --at if it does not say
    its times), or rtsp://, a camera's own recording (with --stream, --from and --to). Running it again
    inserts nothing; SIGINT or SIGTERM end it, and what is inserted stays. Exit code 1 when frames are still
    missing, deferred, in conflict, or left.
    """
    params.check_stretch(from_ns, to_ns)
    saved = None if plan_file is None else load_plans(plan_file)
    if saved is not None:
        if stream or from_ns is not None or to_ns is not None or first or dry_run or save_plan or at_ns:
            raise UsageError("a plan says itself what is to be done", hint="leave the other options out")
        source, target = source or saved.source, target or saved.target
    if source is None or target is None:
        raise UsageError("say what to merge into what", hint="fovideo merge SOURCE TARGET")
    if _is_same(source, target):
        raise UsageError("source and target are the same store", where=source)
    if pulled and (saved or dry_run or save_plan or at_ns):
        raise UsageError("a plan is made and done from here", hint="leave --pull out")
    if no_wait and (not pulled or manifest):
        raise UsageError("--no-wait is for --pull, without --manifest", hint="leave one out")
    read_only = dry_run or save_plan is not None
    wanted = custody.Manifest(manifest, sign_key, dry_run=read_only)
    if pulled:
        from fovideo.peer import Pull

        asked_for = Pull(
            id=os.urandom(4).hex(),
            source=source,
            streams=None if stream is None else (stream,),
            from_ns=from_ns,
            to_ns=to_ns,
            order=Order(order),
            first=first,
            rate_bytes=rate,
            brake_ns=brake,
            patience_ns=patience,
        )
        with stop_on_signal() as stop, progress(quiet=as_json) as bar:
            done = pull(asked_for, target, wanted, bar=bar, stop=stop, no_wait=no_wait, as_json=as_json)
        return 0 if done is None else show_ended(done.result, done.written, as_json=as_json)
    asked = Wanted(source, stream, from_ns, to_ns, at_ns)
    with ExitStack() as stack:
        control = MergeControl()

        def end() -> None:
            if errors.is_terminal:
                warn("ends after the insertion that runs now; once more ends it at once")
            control.cancel()

        stack.enter_context(stop_on_signal(then=end))
        origin = stack.enter_context(open_source(asked, write=not read_only))
        goal = stack.enter_context(closing(open_timeline(target, write=not read_only)))
        if save_plan is not None:
            return _save(origin, goal, asked, save_plan, as_json=as_json)
        running = RunningMerge(
            os.urandom(4).hex(),
            origin.location,
            goal.location,
            control,
            streams=_count(origin, stream) if saved is None else len(saved.plans),
        )
        if not dry_run:
            stack.enter_context(offered(running))
        running.begun(time.time_ns())
        failed = None
        with progress(quiet=as_json) as bar:
            record = wanted.begin(origin, goal)
            settings: dict[str, Any] = {  # of merge() and carry_out()
                "order": Order(order),
                "pace": Pace(rate_bytes=rate, brake_ns=brake),
                "control": control,
                "progress": _shown(bar, running),
                "on_insert": None if record is None else record.inserted,
            }
            if saved is not None:
                report, failed = _told(
                    carry_out_all, origin, goal, saved.plans, patience_ns=patience, **settings
                )
            else:
                report, failed = _told(
                    merge,
                    origin,
                    goal,
                    streams=[stream] if stream else None,
                    from_ns=from_ns,
                    to_ns=to_ns,
                    dry_run=dry_run,
                    first=first,
                    patience_ns=patience,
                    **settings,
                )
            ended_early = failed is not None and not isinstance(failed, MergeIncomplete)
            written = None if record is None or ended_early else custody.finish(record, bar)
        least_s = seconds_at_least(origin, report, rate) if dry_run else None
    status = show(report, written, least_s, failed, as_json=as_json)
    if failed is not None:
        raise failed
    return status


def _count(origin: Timeline, stream: str | None) -> int:
    """Of the streams to be merged; 0 if that is not known."""
    with suppress(FovideoError):
        return 1 if stream else len(origin.streams())
    return 0


def _is_same(source: str, target: str) -> bool:
    found = Path(source).exists() and Path(target).exists()
    return found and Path(source).samefile(target)


def _told(
    do: Callable[..., MergeReport], *what: Any, **settings: Any
) -> tuple[MergeReport, FovideoError | None]:
    """The report, and the error that kept it from telling of all there is."""
    ended: list[MergeReport] = []
    try:
        return do(*what, on_failure=ended.append, **settings), None
    except MergeIncomplete as error:
        return error.report, error
    except FovideoError as error:
        if not any(each.inserted_bytes for report in ended for each in report.streams):
            raise
        return ended[0], error


def _shown(bar: Any, running: RunningMerge) -> Any:
    """A bar for each stream, and one for all of them, which tells when the merge will be done."""
    tasks: dict[str, Any] = {}

    def show(done: Progress) -> None:
        running.progress(done)
        status = running.status()
        if not tasks:
            tasks[""] = bar.add_task("all", total=None)
        if done.stream not in tasks:
            tasks[done.stream] = bar.add_task(done.stream, left="")
        name = f"{done.stream} (yields to live recording)" if done.braking else done.stream
        bar.update(tasks[done.stream], description=name, completed=done.size_bytes, total=done.of_bytes)
        bar.update(tasks[""], completed=status.size_bytes, total=status.of_bytes, left=left_of(status))

    return show


def _save(origin: Timeline, goal: Timeline, asked: Wanted, path: Path, *, as_json: bool) -> int:
    """Plan every stream and write the plans down."""
    if asked.is_scratch:
        raise UsageError("a plan can be saved of stores and servers only", where=asked.location)
    names = [info.name for info in origin.streams()]
    if asked.stream is not None and asked.stream not in names:
        hint = f"streams there: {', '.join(names) or 'none'}"
        raise NoSuchStream(f"no stream {asked.stream!r}", where=origin.location, hint=hint)
    plans = tuple(
        make_plan(origin, goal, name, from_ns=asked.from_ns, to_ns=asked.to_ns)
        for name in ([asked.stream] if asked.stream else names)
    )
    save_plans(
        path, plans, source=_lasting(origin.location), target=_lasting(goal.location), now_ns=time.time_ns()
    )
    frames = sum(stretch.frames for plan in plans for stretch in plan.stretches)
    size_bytes = sum(stretch.size_bytes for plan in plans for stretch in plan.stretches)
    if as_json:
        print_json({"plan": str(path), "streams": len(plans), "frames": frames, "bytes": size_bytes})
    else:
        out.print(
            f"{path}: {frames} frames, {format_bytes(size_bytes)}; do it with fovideo merge --plan {path}",
            markup=False,
            highlight=False,
        )
    return 0


def _lasting(location: str) -> str:
    """A location that means the same from any folder."""
    return location if params.is_url(location) else str(Path(location).absolute())
