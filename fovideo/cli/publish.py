"""`fovideo publish`: a new configuration for a site that runs."""

from __future__ import annotations

import os
from pathlib import Path

import rich_click as click

from fovideo.cli import params
from fovideo.cli.output import errors, print_json


@click.command("publish")
@click.argument("site_file", metavar="SITE.toml", type=click.Path(dir_okay=False, path_type=Path))
@click.argument("addresses", metavar="URL...", nargs=-1)
@click.option("--after", type=int, metavar="N", help="Only if version N is in force now.")
@params.as_json
def command(site_file: Path, addresses: tuple[str, ...], after: int | None, as_json: bool) -> int:
    """Put SITE.toml into force on the whole site, through whoever manages it now.

    URL: the management server and the spares, one of which may stand in for it; by default those in the file.
    """
    from fovideo.licence import licence_to_send
    from fovideo.peer import find_manager
    from fovideo.peer.credentials import Credentials, credentials_from
    from fovideo.site import load_site, read_text

    site = load_site(site_file)
    known = [site.reached_at(each) for each in (*site.managements, *site.spares)]
    credentials = credentials_from(os.environ)
    if not credentials.token and site.managements:
        credentials = Credentials(
            token=site.managements[0].secret_token(),
            ca=credentials.ca or site.tls.ca,
            cert=credentials.cert,
            key=credentials.key,
        )
    urls = addresses or [url for url in known if url]
    with find_manager(urls, credentials=credentials) as manager:
        status = manager.publish(read_text(site_file), after=after, licence=licence_to_send(site))
    if as_json:
        print_json({"version": status.version, "hash": status.hash, "manager": status.name})
    else:
        errors.print(f"version {status.version} is in force, by {status.name}", highlight=False)
    return 0
