"""`fovideo status`: a whole site at one glance."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click
from rich import box
from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from fovideo.cli import merges, params, peers
from fovideo.cli.output import out, print_json
from fovideo.cli.stopping import stop_on_signal
from fovideo.errors import UsageError

if TYPE_CHECKING:
    from fovideo.service.overview import SiteView
    from fovideo.site import Site

_GOOD = ("recording", "watching", "live")


@click.command("status")
@params.site_file
@click.option(
    "--wait", "wait_ns", type=params.DURATION, help="Return as soon as all is well, at the latest after this."
)
@click.option("--watch", is_flag=True, help="Show it again every second, until stopped; on a terminal.")
@peers.options
@params.as_json
def command(site_file: Path, wait_ns: int | None, watch: bool, as_json: bool) -> int:
    """Show who stands in for whom, every machine and camera, lag, loss, and what is to be merged.

    Exit code 1 when anything is not as it should be.
    """
    from fovideo.site import load_site

    site = load_site(site_file)
    if not watch:
        view = _awaited(site, wait_ns or 0)
        if as_json:
            print_json(view.as_json())
        else:
            out.print(_drawn(view))
        return 1 if view.problems else 0
    if as_json or not out.is_terminal:
        raise UsageError("--watch is for a terminal", hint="without it, call again")
    with stop_on_signal() as stop, Live(_drawn(_view(site)), console=out, auto_refresh=False) as live:
        while not stop.is_set():
            _pause(stop)
            live.update(_drawn(_view(site)), refresh=True)
    return 0


def _awaited(site: Site, wait_ns: int) -> SiteView:
    """The first view without a problem, or the last one in time."""
    deadline_ns = time.monotonic_ns() + wait_ns
    while (view := _view(site)).problems and time.monotonic_ns() < deadline_ns:
        time.sleep(0.5)
    return view


def _pause(stop: threading.Event) -> None:
    stop.wait(1.0)


def _view(site: Site) -> SiteView:
    from fovideo.service.overview import ask_all, overview

    return overview(site, ask_all(site, peers.for_site(site)), time.time_ns())


def _drawn(view: SiteView) -> Group:
    """Tables for people."""
    machines = Table(box=box.SIMPLE, title=f"site {view.site}  {view.time}", title_justify="left")
    for heading in ("machine", "state", "cameras", "stood in by", "to merge"):
        machines.add_column(heading)
    cameras = Table(box=box.SIMPLE)
    for heading in ("camera", "server", "state", "lag", "lost frames", "missing", "stood in by"):
        cameras.add_column(heading)
    for machine in view.machines:
        live = sum(camera.state == "live" for camera in machine.cameras)
        by = ", ".join(f"{each.spare} ({each.state}, {each.lease})" for each in machine.stood_in_by)
        left = sum(each.unmerged_frames for each in machine.stood_in_by)
        machines.add_row(
            f"{machine.name} ({machine.role})",
            _coloured(machine.state),
            f"{live}/{len(machine.cameras)} live",
            by,
            str(left or ""),
        )
        for camera in machine.cameras if machine.role == "server" else ():
            lag = "" if camera.lag_s is None else f"{camera.lag_s:.1f} s"
            missing = f"{camera.missing_s:.1f} s" if camera.missing_s else ""
            lost, by = str(camera.lost or ""), ", ".join(camera.stood_in_by)
            row = (camera.name, machine.name, _coloured(camera.state), lag, lost, missing, by)
            cameras.add_row(*row)
    lines = [Text(line, style="yellow") for line in view.problems] or [Text("all is well", style="green")]
    merging = [merges.table((each.machine, each.merge) for each in view.merges)] if view.merges else []
    return Group(machines, cameras, *merging, *lines)


def _coloured(state: str) -> Text:
    return Text(state, style="green" if state in _GOOD else "red" if state == "down" else "yellow")
