"""`fovideo manage`: the management server of a site."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from fovideo.cli import params


@click.command("manage")
@click.argument("site_file", metavar="SITE.toml", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--name", required=True, metavar="NAME", help="Which [[management]] of the site this is.")
@params.as_json
def command(site_file: Path, name: str, as_json: bool) -> int:
    """Run the management server: hold SITE.toml for all, tell clients where every camera is served now.

    An edited SITE.toml becomes a new version, at start or on SIGHUP; one that is older than what the spares
    have is not used.
    """
    from fovideo.cli.running import run
    from fovideo.service.manage import ManagementServer

    return run(ManagementServer(site_file, name), site_file, doing="managing", as_json=as_json)
