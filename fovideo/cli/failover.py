"""`fovideo failover`: a spare stands in for a server, by hand."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from fovideo.cli import ordering


@click.command("failover")
@ordering.options("60s")
@click.option("--spare", default="", metavar="NAME", help="Which [[spare]]; else one that has nothing to do.")
def command(site_file: Path, server: str, no_wait: bool, timeout_ns: int, as_json: bool, spare: str) -> int:
    """Let a spare stand in for a server, whatever its state, until `fovideo failback`.

    Done when the spare records. Exit code 1 when that took longer than --timeout.
    """
    return ordering.order(
        site_file,
        lambda orders, wait_s: orders.failover(server, spare, wait_s=wait_s),
        no_wait=no_wait,
        timeout_ns=timeout_ns,
        as_json=as_json,
    )
