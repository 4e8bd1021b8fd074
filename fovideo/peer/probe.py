"""Polling a server: one quick question, answered or not."""

from __future__ import annotations

import httpx
import msgspec

from fovideo.decoding import from_json
from fovideo.errors import PeerError
from fovideo.peer.connection import Connection, Unanswered
from fovideo.peer.credentials import Credentials
from fovideo.peer.health import Health
from fovideo.times import NS_PER_S


class Probe:
    """Asks one server for its health, over a connection that is kept."""

    def __init__(
        self, url: str, token: str = "", *, timeout_ns: int, credentials: Credentials | None = None
    ) -> None:
        timeout = httpx.Timeout(timeout_ns / NS_PER_S)
        self._connection = Connection(url, token, credentials=credentials, timeout=timeout, pauses_s=(0.0,))

    def ask(self) -> Health:
        """The server's health. Raises Unanswered (refused: nobody listens), PeerError, PeerUnauthorized.

        A connection that was kept from the last time and turns out to be cut is made anew once: what counts
        is whether the server answers now.
        """
        answer = self._connection.get("/health")
        try:
            return from_json(answer.content, Health)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise PeerError(f"its health cannot be read: {error}", where=self._connection.url) from None

    def close(self) -> None:
        self._connection.close()


__all__ = ["Probe", "Unanswered"]
