"""`fovideo timeline`: what a store holds."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing

import rich_click as click
from rich.text import Text

from fovideo.cli import params, peers
from fovideo.cli.bars import coverage
from fovideo.cli.output import out, print_json
from fovideo.cli.peers import open_timeline
from fovideo.store.describe import StreamDescription
from fovideo.times import format_bytes, format_duration, format_ms

COLOURS = ("green", "cyan", "magenta", "yellow", "blue")


@click.command("timeline")
@click.argument("store")
@params.one_stream
@params.stretch_options
@peers.options
@params.as_json
def command(store: str, stream: str | None, from_ns: int | None, to_ns: int | None, as_json: bool) -> int:
    """Show what STORE holds: frames, spans by who recorded them, gaps."""
    from fovideo.store.describe import describe
    from fovideo.timeline.endpoint import unreachable

    params.check_stretch(from_ns, to_ns)
    with closing(open_timeline(store)) as timeline:
        streams = describe(timeline, stream=stream, from_ns=from_ns, to_ns=to_ns)
        away = unreachable(timeline)
    if as_json:
        print_json({"streams": [each.as_json() for each in streams], "unreachable": away})
    else:
        show_streams(streams, from_ns, to_ns)
        peers.say_unreachable(away)
    return 0


def show_streams(
    streams: Sequence[StreamDescription], from_ns: int | None = None, to_ns: int | None = None
) -> None:
    """Draw streams as bars over one common time axis, with their gaps below."""
    if not streams:
        out.print("no streams")
        return
    edges = [edge for each in streams for span in each.spans for edge in (span.start_ns, span.end_ns)]
    if not edges:
        out.print("no frames in this stretch")
        return
    start_ns = min(edges) if from_ns is None else from_ns
    end_ns = max(edges) if to_ns is None else to_ns
    labels = sorted({span.provenance for each in streams for span in each.spans})
    colours = {label: COLOURS[number % len(COLOURS)] for number, label in enumerate(labels)}
    indent = max(len(each.name) for each in streams) + 2
    width = max(20, min(out.width, 200) - indent - 2)
    for each in streams:
        bar = coverage(
            [(span.start_ns, span.end_ns, colours[span.provenance]) for span in each.spans],
            start_ns,
            end_ns,
            width,
        )
        out.print(Text(each.name.ljust(indent), style="bold") + Text("│") + bar + Text("│"))
        facts = f"{each.codec}, {each.frames} frames, {format_bytes(each.size_bytes)}"
        if each.conflicting_frames:
            facts += f", {each.conflicting_frames} conflicting frames kept beside"
        out.print(" " * indent + facts + (", recording" if each.live else ""), style="dim", highlight=False)
        for gap in each.gaps:
            reason = f" ({gap.reason})" if gap.reason else ""
            missing = f"gap {format_ms(gap.start_ns)} to {format_ms(gap.end_ns)}"
            length = format_duration(gap.end_ns - gap.start_ns)
            out.print(f"{'':{indent}}{missing}, {length}{reason}", style="red", highlight=False, markup=False)
        for held_from_ns, held_to_ns in each.held:
            there = f"not shown {format_ms(held_from_ns)} to {format_ms(held_to_ns)}"
            length = format_duration(held_to_ns - held_from_ns)
            out.print(f"{'':{indent}}{there}, {length} (what it continues is missing)", style="yellow")
    left, right = format_ms(start_ns), format_ms(end_ns)
    out.print(" " * (indent + 1) + left + right.rjust(max(1, width - len(left))), highlight=False)
    legend = Text(" " * (indent + 1))
    for label in labels:
        legend.append("█ ", style=colours[label]).append(label + "  ")
    out.print(legend)
