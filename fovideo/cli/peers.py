"""What commands show to the server whose URL stands for a store: --ca, --cert and --key."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import rich_click as click

from fovideo.cli.output import out

if TYPE_CHECKING:
    from fovideo.peer import Credentials
    from fovideo.site import Place, Site
    from fovideo.timeline.endpoint import Timeline

_META = "fovideo.credentials"


def _note(ctx: click.Context, param: click.Parameter, value: Path | None) -> None:
    if value is not None:
        ctx.find_root().meta.setdefault(_META, {})[param.name] = str(value)


def _option(name: str, text: str) -> Any:
    path = click.Path(path_type=Path)
    return click.option(f"--{name}", type=path, expose_value=False, callback=_note, help=text)


def options(command: Any) -> Any:
    """--ca, --cert and --key, for open_timeline."""
    ca = _option("ca", "Certificates (PEM) that may have signed that of an https server ($FOVIDEO_CA).")
    cert = _option("cert", "Own certificate (PEM), for a server that asks for one ($FOVIDEO_CERT).")
    key = _option("key", "Its key (PEM), where it is in a file of its own ($FOVIDEO_KEY).")
    return ca(cert(key(command)))


def open_timeline(location: str, *, write: bool = False) -> Timeline:
    """As fovideo.peer.open_timeline, with what the options of the command say."""
    if Path(location).is_dir():  # no other machine has to do with it
        from fovideo.store import Store

        return Store.open(location, write=write)
    from fovideo.peer import open_timeline as open_any

    return open_any(location, write=write, credentials=given())


def say_unreachable(names: Sequence[str]) -> None:
    """A line for each machine whose recordings are not in what was shown."""
    for name in names:
        out.print(
            f"{name} does not answer: what it recorded cannot be reached until it returns",
            style="yellow",
            highlight=False,
            markup=False,
        )


def given() -> Credentials:
    """What the environment and the options of the command say."""
    from fovideo.peer import credentials_from

    context = click.get_current_context(silent=True)
    options = {} if context is None else context.find_root().meta.get(_META, {})
    return msgspec.structs.replace(credentials_from(os.environ), **options)


def for_site(site: Site) -> Callable[[Place], Credentials]:
    """What to show to each endpoint of a site: its own token where site.toml tells it, else what is given."""
    shown = given()

    def of(endpoint: Place) -> Credentials:
        token = shown.token or endpoint.secret_token()
        return msgspec.structs.replace(shown, token=token, ca=shown.ca or site.tls.ca)

    return of
