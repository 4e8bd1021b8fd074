"""`fovideo serve`: a recording server of a site."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from fovideo.cli import params


@click.command("serve")
@params.site_file
@click.option("--server", "name", required=True, metavar="NAME", help="Which [[server]] of the site this is.")
@params.workers
@params.as_json
def command(site_file: Path, name: str, workers: int | None, as_json: bool) -> int:
    """Run a recording server: record its cameras, keep the timeline, answer over HTTP until stopped."""
    from fovideo.cli.running import run
    from fovideo.service.keeper import site_in_force
    from fovideo.service.serve import RecordingServer

    station = RecordingServer(site_in_force(site_file, name), name)
    if workers is not None:
        station.workers = workers
    return run(station, site_file, doing="recording", as_json=as_json)
