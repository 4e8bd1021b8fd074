"""What the commands that give orders to a site have in common."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from fovideo.cli import params, peers
from fovideo.cli.output import errors, out, print_json

if TYPE_CHECKING:
    from fovideo.service.orders import Done, Orders


def options(timeout: str) -> Callable[[Any], Any]:
    """SITE.toml, --server, --no-wait, --timeout and what is shown to peers."""
    server = click.option("--server", required=True, metavar="NAME", help="Which [[server]] of the site.")
    no_wait = click.option("--no-wait", is_flag=True, help="Give the order and return at once.")
    patience = click.option(
        "--timeout",
        "timeout_ns",
        type=params.DURATION,
        default=timeout,
        help=f"How long to wait.  [default: {timeout}]",
    )

    def decorate(command: Any) -> Any:
        return params.site_file(server(no_wait(patience(peers.options(params.as_json(command))))))

    return decorate


def order(
    site_file: Path,
    give: Callable[[Orders, float], Done],
    *,
    no_wait: bool,
    timeout_ns: int,
    as_json: bool,
) -> int:
    """Give the order, show how it goes on a terminal, say what it came to. 1 when it was not done in time."""
    from fovideo.service.orders import Orders
    from fovideo.site import load_site
    from fovideo.times import NS_PER_S

    def tell(line: str) -> None:
        if not as_json and errors.is_terminal:
            errors.print(line, style="dim", markup=False, highlight=False)

    site = load_site(site_file)
    orders = Orders(site, peers.for_site(site), tell=tell)
    done = give(orders, 0.0 if no_wait else timeout_ns / NS_PER_S)
    if as_json:
        print_json(done.as_json())
    else:
        who = f" by {done.spare}" if done.spare else ""
        waiting = f", {done.unmerged_frames} frames to merge" if done.unmerged_frames else ""
        late = "" if done.complete or no_wait else ", and not done in time"
        out.print(f"{done.server}: {done.state}{who}{waiting}{late}", markup=False, highlight=False)
    return 0 if done.complete or no_wait else 1
