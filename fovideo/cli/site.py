"""`fovideo site`: a site's configuration. `fovideo site check`: is the site fit for an emergency?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click
from rich import box
from rich.table import Table

from fovideo.cli import params, peers
from fovideo.cli.output import errors, out, print_json

if TYPE_CHECKING:
    from fovideo.service.sitecheck import SiteReport

_MIB = 1 << 20


@click.group("site")
def command() -> None:
    """Look at a site as SITE.toml describes it."""


@command.command("check")
@params.site_file
@click.option("--no-cameras", is_flag=True, help="Do not open the cameras.")
@click.option(
    "--measure",
    "measure_ns",
    type=params.DURATION,
    default="2s",
    help="How long to read each camera for its bit rate.  [default: 2s]",
)
@peers.options
@params.as_json
def check(site_file: Path, no_cameras: bool, measure_ns: int, as_json: bool) -> int:
    """Validate SITE.toml, reach every machine and camera, and add up what each spare needs.

    One line for each problem. Exit code 1 when there are any, 2 when the file itself is wrong.
    """
    from fovideo.service.sitecheck import check_site
    from fovideo.site import load_site
    from fovideo.times import NS_PER_S

    site = load_site(site_file)
    if errors.is_terminal and not as_json:
        errors.print(f"asking {len(site.servers) + len(site.spares)} machines", style="dim", highlight=False)
    report = check_site(site, peers.for_site(site), measure_s=measure_ns / NS_PER_S, cameras=not no_cameras)
    if as_json:
        print_json(report.as_json())
    else:
        _show(report)
    return 1 if report.problems else 0


def _show(report: SiteReport) -> None:
    for kind, found in (("problem", report.problems), ("advice", report.advice)):
        for where, what, hint in found:
            line = f"{kind}: {where}: {what}" + (f" ({hint})" if hint and hint not in what else "")
            out.print(line, markup=False, highlight=False, style="red" if kind == "problem" else "")
    if report.spares:
        table = Table(box=box.SIMPLE)
        for heading in ("spare", "cameras", "incoming", "pre-roll in memory", "at most"):
            table.add_column(heading)
        for name, needs in report.spares.items():
            known = f"{needs.cameras}" + (f" ({len(needs.unknown)} unknown)" if needs.unknown else "")
            table.add_row(
                name,
                known,
                f"{needs.bits_per_second / 1e6:.1f} Mbit/s",
                f"{needs.preroll_bytes / _MIB:.0f} MiB",
                f"{needs.ring_bytes / _MIB:.0f} MiB",
            )
        out.print(table)
    delivering = sum(not probe.error for probe in report.cameras.values())
    answering = sum(not error for error in report.machines.values())
    out.print(
        f"site {report.site}: {answering} of {len(report.machines)} machines answer, "
        f"{delivering} of {len(report.cameras)} cameras deliver, {len(report.problems)} problems",
        highlight=False,
    )
