"""`fovideo drill`: a takeover and a hand-back on purpose, and whether they were good."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from fovideo.cli import params, peers
from fovideo.cli.output import errors, out, print_json
from fovideo.times import NS_PER_S, format_ns

if TYPE_CHECKING:
    from fovideo.service.drill import DrillReport
    from fovideo.site import Server


@click.command("drill")
@params.site_file
@click.option("--server", required=True, metavar="NAME", help="Which [[server]] of the site is to play dead.")
@click.option(
    "--looped", is_flag=True, help="On a site of its own with looped cameras; the server is killed."
)
@click.option(
    "--hold",
    "hold_ns",
    type=params.DURATION,
    default="5s",
    help="How long the spare stands in.  [default: 5s]",
)
@click.option(
    "--within",
    "within_ns",
    type=params.DURATION,
    help="Detection may take so long; else [detection] decides.",
)
@peers.options
@params.as_json
def command(
    site_file: Path,
    server: str,
    looped: bool,
    hold_ns: int,
    within_ns: int | None,
    as_json: bool,
) -> int:
    """Let a spare take over on purpose, hand back, and measure detection time and loss.

    The server plays dead to those who watch it, and goes on recording: nothing is at risk. Exit code 1 when
    the drill fails: detection took too long, frames would have been lost, or it was not handed back.
    """
    from fovideo.service.drill import Drill, summary
    from fovideo.site import load_site

    site = load_site(site_file)

    def tell(line: str) -> None:
        if not as_json:
            errors.print(line, style="dim", markup=False, highlight=False)

    limit_s = (within_ns or 0) / NS_PER_S
    if looped:
        report = _looped(site.name, site.server(server), limit_s, quiet=as_json)
    else:
        drill = Drill(site, server, peers.for_site(site), limit_s=limit_s, tell=tell)
        report = drill.run(hold_ns / NS_PER_S)
    if as_json:
        print_json(report.as_json())
    else:
        out.print(summary(report), markup=False, highlight=False)
    return 0 if report.passed else 1


def _looped(site: str, server: Server, limit_s: float, *, quiet: bool) -> DrillReport:
    """The same on a site of its own, with the server's [detection]; judged by numbers in the frames."""
    from fovideo.cli.demo import Story, generated
    from fovideo.cli.demo_site import demo_site
    from fovideo.cli.footage import scratch_folder
    from fovideo.service.drill import DrillReport, detection_limit_s

    began_ns = time.time_ns()
    limit_s = limit_s or detection_limit_s(server.detection)
    with ExitStack() as stack:
        folder = stack.enter_context(scratch_folder())
        scratch = stack.enter_context(demo_site(folder))
        story = Story(scratch, stack, quiet=quiet)
        cameras = story.cameras(generated(folder), more=_detection(server))
        result, _, _ = story.run(cameras)
    fps = {camera.name: camera.fps for camera in cameras}
    lost = {
        each["name"]: each["missing"] / fps[each["name"]] for each in result["cameras"] if each["missing"]
    }
    reasons = [f"{name}: {lost_s:.2f} s lost" for name, lost_s in lost.items()]
    reasons += [f"{each['name']}: frames twice" for each in result["cameras"] if each["duplicate"]]
    detection_s = result["detection_ns"] / NS_PER_S
    if detection_s > limit_s:
        reasons.append(f"detection took {detection_s:.2f} s, more than {limit_s:.2f} s")
    return DrillReport(
        kind="looped",
        site=site,
        server=server.name,
        spare="a spare of its own",
        began=format_ns(began_ns),
        detection_s=round(detection_s, 3),
        limit_s=round(limit_s, 3),
        handback_s=round(result["handback_ns"] / NS_PER_S, 2),
        lost_s=lost,
        reasons=tuple(reasons),
    )


def _detection(server: Server) -> str:
    """[detection] as this server has it."""
    import msgspec

    fields = msgspec.structs.fields(type(server.detection))
    values = {
        info.encode_name: getattr(server.detection, info.name) for info in fields if info.name.endswith("_ns")
    }
    return "[detection]\n" + "\n".join(f'{key} = "{value // 1_000_000}ms"' for key, value in values.items())
