"""From a text to a timeline: the path of a store, or the URL of a running process."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path

from fovideo.errors import UsageError
from fovideo.merge import Union
from fovideo.peer.credentials import Credentials, credentials_from, token_from
from fovideo.peer.remote import RemoteStore
from fovideo.store import Store
from fovideo.timeline.endpoint import Timeline

__all__ = ["UNION", "open_timeline", "token_from"]

UNION = "+"
"""Between locations: what they hold together, each frame once."""


def open_timeline(
    location: str | Path,
    *,
    write: bool = False,
    token: str | None = None,
    credentials: Credentials | None = None,
) -> Timeline:
    """The timeline at a path or an http(s) URL, checked to be there; "A+B" is the union of two or more.

    write: a store is opened for writing (a running process decides for itself).
    token, credentials: for a URL; None = from the environment (see credentials_from).
    Raises NotAStore, StoreBusy and what else opening a store raises; PeerError, PeerUnauthorized; UsageError.
    """
    text = str(location)
    if credentials is None and token is not None:
        credentials = Credentials(token=token)
    if UNION in text and not Path(text).exists():
        if write:
            raise UsageError("a union cannot be written to", hint="name one store")
        return _union(text.split(UNION), credentials)
    if not text.startswith(("http://", "https://")):
        if "://" in text and not Path(text).exists():
            shown = text.partition("://")[0] + "://..."  # there may be a password behind
            raise UsageError("not a store, nor the URL of a server", where=shown, hint="http:// or https://")
        return Store.open(text, write=write)
    remote = RemoteStore(text, credentials=credentials or credentials_from(os.environ))
    try:
        remote.identity  # noqa: B018 - asks the peer
    except BaseException:
        remote.close()
        raise
    return remote


def _union(locations: list[str], credentials: Credentials | None) -> Union:
    """The union of several: the first one's own frames win."""
    with ExitStack() as opened:
        members = []
        for each in locations:
            members.append(open_timeline(each, credentials=credentials))
            opened.callback(members[-1].close)
        opened.pop_all()
        return Union(members)
