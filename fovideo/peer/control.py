"""Giving orders to a running server or spare."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from fovideo.decoding import from_json
from fovideo.errors import PeerError
from fovideo.merge.doing.running import MergeResult, MergeStatus
from fovideo.peer.connection import Connection
from fovideo.peer.credentials import Credentials
from fovideo.peer.pull import Pull

AnyValue = TypeVar("AnyValue")


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

    def pull(self, order: Pull) -> MergeStatus:
        """To a server: merge what another machine holds into its own store. With the id of one that is known,
        that is meant; the same order that runs already is that one, under its id.
        """
        answer = self._connection.post("/control/merge", msgspec.json.encode(order), again=True)
        return self._read(answer.content, MergeStatus)

    def merge(self, id: str) -> MergeResult:
        """How far a pull is, and its report once it has ended. NothingThere if it is not known (any more)."""
        return self._read(self._connection.get(f"/merges/{id}").content, MergeResult)

    def merges(self) -> list[MergeStatus]:
        """Those that its health lists, and before them the last pulls that have ended."""
        return self._read(self._connection.get("/merges").content, list[MergeStatus])

    def drain(self, on: bool = True) -> dict[str, Any]:
        """To a server: a planned stop is near, no spare shall stand in. {"name", "state"}."""
        return self.order("drain", on=on)

    def play_dead(self, seconds: int) -> dict[str, Any]:
        """To a server: refuse health for so long, for a drill. {"name", "state", "now_ns"}."""
        return self.order("play-dead", seconds=seconds)

    def order(self, name: str, **body: Any) -> dict[str, Any]:
        """Any order of POST /v1/control/NAME."""
        answer = self._connection.post(f"/control/{name}", msgspec.json.encode(body), again=True)
        return self._read(answer.content, dict[str, Any])

    def _read(self, content: bytes, kind: type[AnyValue]) -> AnyValue:
        try:
            return from_json(content, kind)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise PeerError(f"its answer cannot be read: {error}", where=self._connection.url) from None

    def close(self) -> None:
        self._connection.close()
