"""`fovideo drain`: a server is about to be stopped on purpose."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from fovideo.cli import ordering


@click.command("drain")
@ordering.options("30s")
@click.option("--off", is_flag=True, help="It is not to be stopped after all.")
def command(site_file: Path, server: str, no_wait: bool, timeout_ns: int, as_json: bool, off: bool) -> int:
    """Announce that a server will be stopped on purpose: no spare stands in when it falls silent.

    It records until it is stopped; its next start ends this. Done when every spare that runs knows.
    """
    return ordering.order(
        site_file,
        lambda orders, wait_s: orders.drain(server, not off, wait_s=wait_s),
        no_wait=no_wait,
        timeout_ns=timeout_ns,
        as_json=as_json,
    )
