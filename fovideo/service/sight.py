"""What clients see at a spare of one server's footage: its own and the server's, as one timeline."""

from __future__ import annotations

import httpx

from fovideo.merge import Union
from fovideo.peer import Connection, Credentials, RemoteStore
from fovideo.store import Store
from fovideo.timeline.endpoint import Timeline

TIMEOUT = httpx.Timeout(5.0, connect=1.0)
"""A client that plays must not wait long for a server that has just died."""


class Sight:
    """Thread-safe. Nothing is asked before somebody looks."""

    def __init__(self, url: str, credentials: Credentials, store: Store) -> None:
        self._store = store
        self._server = RemoteStore(url, connection=Connection(url, credentials=credentials, timeout=TIMEOUT))
        self._union = Union([self._server, store], patient=True)

    def timeline(self, *, server_answers: bool) -> Timeline:
        """The union of both; this machine's alone while the server is silent."""
        return self._union if server_answers else self._store

    def close(self) -> None:
        self._server.close()
