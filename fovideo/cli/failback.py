"""`fovideo failback`: a server gets its cameras back, by hand."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from fovideo.cli import ordering


@click.command("failback")
@ordering.options("10m")
def command(site_file: Path, server: str, no_wait: bool, timeout_ns: int, as_json: bool) -> int:
    """Let the spare that stands in for a server hand it back as soon as the server records.

    Done when everything is merged. While the server does not record, the spare goes on: nothing is lost.
    """
    return ordering.order(
        site_file,
        lambda orders, wait_s: orders.failback(server, wait_s=wait_s),
        no_wait=no_wait,
        timeout_ns=timeout_ns,
        as_json=as_json,
    )
