"""`fovideo spare`: a hot spare of a site."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from fovideo.cli import params


@click.command("spare")
@params.site_file
@click.option("--spare", "name", required=True, metavar="NAME", help="Which [[spare]] of the site this is.")
@params.workers
@params.as_json
def command(site_file: Path, name: str, workers: int | None, as_json: bool) -> int:
    """Run a hot spare: watch every server, hold each camera's last seconds, stand in for one that is down."""
    from fovideo.cli.running import run
    from fovideo.service.keeper import site_in_force
    from fovideo.service.spare import Spare

    station = Spare(site_in_force(site_file, name), name)
    if workers is not None:
        station.workers = workers
    return run(station, site_file, doing="standing by", as_json=as_json)
