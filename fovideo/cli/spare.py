"""`fovideo spare`: a hot spare of a site."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from fovideo.cli import params
from fovideo.cli.output import errors, print_json
from fovideo.cli.stopping import stop_on_signal


@click.command("spare")
@click.argument("site_file", metavar="SITE.toml", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--spare", "name", required=True, metavar="NAME", help="Which [[spare]] of the site this is.")
@params.as_json
def command(site_file: Path, name: str, as_json: bool) -> int:
    """Run a hot spare: watch every server, hold each camera's last seconds, stand in for one that is down."""
    from fovideo.service.spare import Spare
    from fovideo.site import load_site

    with stop_on_signal() as stop, Spare(load_site(site_file), name) as spare:
        if as_json:
            print_json({"name": name, "role": "spare", "url": spare.url})
        else:
            errors.print(f"{name}: standing by, {spare.url}", markup=False, highlight=False)
        stop.wait()
    return 0
