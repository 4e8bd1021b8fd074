"""From a text to a timeline: the path of a store, or the URL of a running process."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from fovideo.errors import UsageError
from fovideo.peer.remote import RemoteStore
from fovideo.store import Store
from fovideo.timeline.endpoint import Timeline

TOKEN, TOKEN_FILE = "FOVIDEO_TOKEN", "FOVIDEO_TOKEN_FILE"


def open_timeline(location: str | Path, *, write: bool = False, token: str | None = None) -> Timeline:
    """The timeline at a path or an http(s) URL, checked to be there.

    write: a store is opened for writing (a running process decides for itself).
    token: for a URL; None = from the environment: FOVIDEO_TOKEN, or the file that FOVIDEO_TOKEN_FILE names.
    Raises NotAStore, StoreBusy and what else opening a store raises; PeerError, PeerUnauthorized; UsageError.
    """
    text = str(location)
    if not text.startswith(("http://", "https://")):
        return Store.open(text, write=write)
    remote = RemoteStore(text, token_from(os.environ) if token is None else token)
    try:
        remote.identity  # noqa: B018 - asks the peer
    except BaseException:
        remote.close()
        raise
    return remote


def token_from(environ: Mapping[str, str]) -> str:
    """The token that the environment gives, "" if none. UsageError if its file cannot be read."""
    if token := environ.get(TOKEN):
        return token.strip()
    path = environ.get(TOKEN_FILE)
    if not path:
        return ""
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise UsageError(f"cannot read the token: {error.strerror}", where=path) from None
    except UnicodeDecodeError:
        raise UsageError("the token is not text", where=path) from None
