"""Giving orders to a running server or spare."""

from __future__ import annotations

from typing import Any

import msgspec

from fovideo.decoding import from_json
from fovideo.errors import PeerError
from fovideo.merge.running import MergeResult
from fovideo.peer.connection import Connection
from fovideo.peer.credentials import Credentials


class Control:
    """Orders to one process. Every method raises FovideoError only: UsageError, PeerError.

    All orders may be repeated. Close it after use.
    """

    def __init__(self, url: str, token: str = "", *, credentials: Credentials | None = None) -> None:
        self._connection = Connection(url, token, credentials=credentials)

    def failover(self, server: str) -> dict[str, Any]:
        """To a spare: stand in for a server until further notice. {"name", "server", "state", "lease"}."""
        return self.order("failover", server=server)

    def failback(self, server: str) -> dict[str, Any]:
        """To a spare: hand a server back as soon as it records. The same keys."""
        return self.order("failback", server=server)

    def pause_merge(self, server: str, paused: bool = True) -> dict[str, Any]:
        """To a spare: hold back its merging into a server, or let it go on. {"name", "server", "paused"}."""
        return self.order("pause-merge", server=server, paused=paused)

    def pause(self, merge: str, paused: bool = True) -> None:
        """To a server or spare: hold back one of the merges that its health lists, or let it go on."""
        self.order("pause-merge", merge=merge, paused=paused)

    def cancel(self, merge: str) -> None:
        """End one: what it inserted stays. A spare goes on with the rest once it is resumed."""
        self.order("cancel-merge", merge=merge)

    def pull(self, **order: Any) -> str:
        """To a server: merge what another machine holds into its own store. The id of the merge.

        order: as Pull of fovideo.service.pulls. With the id of one that is known, that is meant.
        """
        return str(self.order("merge", **order).get("id", ""))

    def merge(self, id: str) -> MergeResult:
        """How far a pull is, and its report once it has ended. NothingThere if it is not known (any more)."""
        answer = self._connection.get(f"/merges/{id}")
        try:
            return from_json(answer.content, MergeResult)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise PeerError(f"its answer cannot be read: {error}", where=self._connection.url) from None

    def drain(self, on: bool = True) -> dict[str, Any]:
        """To a server: a planned stop is near, no spare shall stand in. {"name", "state"}."""
        return self.order("drain", on=on)

    def play_dead(self, seconds: int) -> dict[str, Any]:
        """To a server: refuse health for so long, for a drill. {"name", "state", "now_ns"}."""
        return self.order("play-dead", seconds=seconds)

    def order(self, name: str, **body: Any) -> dict[str, Any]:
        """Any order of POST /v1/control/NAME."""
        answer = self._connection.post(f"/control/{name}", msgspec.json.encode(body), again=True)
        try:
            return from_json(answer.content, dict[str, Any])
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise PeerError(f"its answer cannot be read: {error}", where=self._connection.url) from None

    def close(self) -> None:
        self._connection.close()
