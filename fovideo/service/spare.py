"""Spare: holds the newest seconds of every camera, watches the servers, stands in for those that are down."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from fovideo.errors import UsageError
from fovideo.failover import State
from fovideo.peer import WatchedServer
from fovideo.record import Mode
from fovideo.service.control import Control, wanted
from fovideo.service.desk import Desk
from fovideo.service.events import Event
from fovideo.service.settings import camera_config
from fovideo.service.station import Station
from fovideo.site import Site

_log = logging.getLogger(__name__)

_FURTHEST_FIRST = (State.STANDING_IN, State.MERGING, State.SEALING, State.SUSPECT)


class Spare(Station):
    """The [[spare]] of that name of a site. ConfigError if the site has none."""

    role = "spare"

    def __init__(self, site: Site, name: str, *, on_event: Callable[[Event], None] | None = None) -> None:
        endpoint = site.spare(name)
        super().__init__(site, endpoint, on_event=on_event)
        self._servers = site.watched_by(endpoint)
        self._desks: dict[str, Desk] = {}

    def failover(self, server: str) -> dict[str, Any]:
        """Stand in for a server from now on, whatever its state, until `failback`. Survives a restart.

        Returns what the spare does about it now. UsageError if it watches no server of that name.
        """
        return self._order(server, stand_in=True)

    def failback(self, server: str) -> dict[str, Any]:
        """Hand a server back as soon as its frames reach its disk, without waiting for `handback_after`.

        While the server does not record, the spare goes on: no order makes it lose frames.
        """
        return self._order(server, stand_in=False)

    def _order(self, server: str, *, stand_in: bool) -> dict[str, Any]:
        desk = self._desks.get(server)
        if desk is None:
            known = ", ".join(self._desks) or "none"
            raise UsageError(f"{self.name} watches no server {server!r}", hint=f"it watches: {known}")
        desk.order(stand_in=stand_in)
        watched = desk.status()
        return {"name": self.name, "server": server, "state": watched.state, "lease": watched.lease}

    def _controls(self) -> dict[str, Control]:
        return {
            "failover": lambda body: self.failover(wanted(body, "server", str)),
            "failback": lambda body: self.failback(wanted(body, "server", str)),
        }

    def _prepare(self, undo: ExitStack) -> None:
        names = {server.name for server in self._servers}
        for camera in self.site.cameras:
            if camera.server in names:
                self.recorder.add(camera_config(camera), mode=Mode.STANDBY)
        waiting = {row.stream for row in self.store.unsettled()}
        for server in self._servers:
            desk = Desk(self.site, server, self.store, self.recorder, waiting, self._emit)
            self._desks[server.name] = desk
            undo.callback(desk.close)
            waiting -= set(desk.watch.memory.standing)
        for stream in sorted(waiting):
            _log.warning(
                "%s: unmerged footage of a camera that no server here records; fovideo merge brings it back",
                stream,
            )

    def _begin(self) -> None:
        for desk in self._desks.values():
            desk.watch.start()

    def _end(self) -> None:
        for desk in self._desks.values():
            desk.close()

    def _described_state(self) -> str:
        if self._state != "recording":
            return self._state
        states = {desk.watch.memory.state for desk in self._desks.values()}
        return next((state for state in _FURTHEST_FIRST if state in states), State.WATCHING).value

    def _watched(self) -> dict[str, WatchedServer]:
        return {name: desk.status() for name, desk in self._desks.items()}
