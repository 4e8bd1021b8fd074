"""`fovideo gaps`: what a store lacks."""

from __future__ import annotations

from contextlib import closing

import rich_click as click

from fovideo.cli import params, peers
from fovideo.cli.output import out, print_json
from fovideo.cli.peers import open_timeline
from fovideo.times import format_duration, format_ms

_HELD = "kept, but not shown: what it continues is missing"


@click.command("gaps")
@click.argument("store")
@params.one_stream
@params.stretch_options
@peers.options
@params.as_json
def command(store: str, stream: str | None, from_ns: int | None, to_ns: int | None, as_json: bool) -> int:
    """List the stretches without frames, each with its reason where it is known.

    With --from and --to, what is missing at the edges of the window counts too. Exit code 1 with any gap.
    Also told is what is kept, but not shown, since what it continues is missing: another source may have it.
    """
    from fovideo.store.describe import describe, gap_json, held_json
    from fovideo.timeline.endpoint import unreachable

    params.check_stretch(from_ns, to_ns)
    with closing(open_timeline(store)) as timeline:
        streams = describe(timeline, stream=stream, from_ns=from_ns, to_ns=to_ns)
        away = unreachable(timeline)
    if as_json:
        print_json(
            {
                "streams": [
                    {
                        "name": each.name,
                        "gaps": [gap_json(gap) for gap in each.gaps],
                        "held": held_json(each.held),
                    }
                    for each in streams
                ],
                "unreachable": away,
            }
        )
    else:
        if not streams:
            out.print("no streams")
        for each in streams:
            for gap in each.gaps:
                length = format_duration(gap.end_ns - gap.start_ns)
                reason = gap.reason or "never recorded"
                line = f"{each.name}  {format_ms(gap.start_ns)}  {format_ms(gap.end_ns)}  {length}  {reason}"
                out.print(line, highlight=False, markup=False)
            for start_ns, end_ns in each.held:
                length = format_duration(end_ns - start_ns)
                line = f"{each.name}  {format_ms(start_ns)}  {format_ms(end_ns)}  {length}  {_HELD}"
                out.print(line, highlight=False, markup=False)
            if not each.gaps and not each.held:
                out.print(f"{each.name}  no gaps", highlight=False, markup=False)
        peers.say_unreachable(away)
    return 1 if any(each.gaps for each in streams) else 0
