"""From a text to a timeline: the path of a store, or the URL of a running process."""

from __future__ import annotations

import os
from pathlib import Path

from fovideo.peer.credentials import Credentials, credentials_from, token_from
from fovideo.peer.remote import RemoteStore
from fovideo.store import Store
from fovideo.timeline.endpoint import Timeline

__all__ = ["open_timeline", "token_from"]


def open_timeline(
    location: str | Path,
    *,
    write: bool = False,
    token: str | None = None,
    credentials: Credentials | None = None,
) -> Timeline:
    """The timeline at a path or an http(s) URL, checked to be there.

    write: a store is opened for writing (a running process decides for itself).
    token, credentials: for a URL; None = from the environment (see credentials_from).
    Raises NotAStore, StoreBusy and what else opening a store raises; PeerError, PeerUnauthorized; UsageError.
    """
    text = str(location)
    if not text.startswith(("http://", "https://")):
        return Store.open(text, write=write)
    if credentials is None:
        credentials = credentials_from(os.environ) if token is None else Credentials(token=token)
    remote = RemoteStore(text, credentials=credentials)
    try:
        remote.identity  # noqa: B018 - asks the peer
    except BaseException:
        remote.close()
        raise
    return remote
