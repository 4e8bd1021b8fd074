"""Spare: holds the newest seconds of every camera, watches the servers, stands in for those that are down."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from typing import Any

from msgspec.structs import replace

from fovideo.camera import CameraConfig
from fovideo.errors import UsageError
from fovideo.failover import Memory, Ruled, State
from fovideo.licence import coverage_of
from fovideo.merge.doing.running import MergeStatus
from fovideo.peer import RemoteStore, WatchedServer
from fovideo.peer.management import SPARE
from fovideo.record import CameraStatus, Mode
from fovideo.service.company import Company
from fovideo.service.control import Control, wanted
from fovideo.service.desk import Desk
from fovideo.service.events import Event, HandedBack, TakenOver, Uncovered
from fovideo.service.hooks import Hooks
from fovideo.service.keeper import Keeper
from fovideo.service.leasing import own_leases, service_leases
from fovideo.service.manager import Manager
from fovideo.service.office import Office
from fovideo.service.outage import survey
from fovideo.service.reload import CameraChanges
from fovideo.service.security import credentials_for
from fovideo.service.settings import camera_config
from fovideo.service.standin import StandIn
from fovideo.service.station import Station
from fovideo.site import Endpoint, Server, Site
from fovideo.site import Spare as SpareTable
from fovideo.timeline.endpoint import Timeline
from fovideo.times import NS_PER_S

_log = logging.getLogger(__name__)

_FURTHEST_FIRST = (State.STANDING_IN, State.MERGING, State.SEALING, State.SUSPECT)


_SURVEY_NS = 10 * NS_PER_S
"""How far before a takeover a server may have lost frames, beside what detection takes."""


class Spare(Station):
    """The [[spare]] of that name of a site. ConfigError if the site has none."""

    role = "spare"

    def __init__(self, site: Site, name: str, *, on_event: Callable[[Event], None] | None = None) -> None:
        super().__init__(site, site.spare(name), on_event=on_event)
        self._desks: dict[str, Desk] = {}
        self._watching: dict[str, Server] = {}
        self._hooks = Hooks(site, name, self._emit)
        self._missing_ns: dict[str, dict[str, int]] = {}
        self._outages: dict[str, tuple[int, int]] = {}  # by server: lease and begin of the last

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

    def pause_merge(self, server: str, paused: bool = True) -> dict[str, Any]:
        """Hold back what is merged into a server, or let it go on. It is kept here meanwhile."""
        self._desk(server).pause(paused)
        return {"name": self.name, "server": server, "paused": paused}

    def cancel_merge(self, server: str) -> dict[str, Any]:
        """End what is being merged into a server; the rest is kept here until pause_merge(server, False)."""
        self._desk(server).cancel_merge()
        return {"name": self.name, "server": server, "paused": True}

    def _desk(self, server: str) -> Desk:
        desk = self._desks.get(server)
        if desk is None:
            known = ", ".join(self._desks) or "none"
            raise UsageError(f"{self.name} watches no server {server!r}", hint=f"it watches: {known}")
        return desk

    def _order(self, server: str, *, stand_in: bool) -> dict[str, Any]:
        desk = self._desk(server)
        desk.order(stand_in=stand_in)
        watched = desk.status()
        return {"name": self.name, "server": server, "state": watched.state, "lease": watched.lease}

    def _controls(self) -> dict[str, Control]:
        return {
            "failover": lambda body: self.failover(wanted(body, "server", str)),
            "failback": lambda body: self.failback(wanted(body, "server", str)),
            "pause-merge": lambda body: self.pause_merge(_into(body), wanted(body, "paused", bool)),
            "cancel-merge": lambda body: self.cancel_merge(_into(body)),
        }

    def _endpoint_in(self, site: Site) -> Endpoint:
        return site.spare(self.name)

    def _watched_in(self, site: Site) -> dict[str, Server]:
        """Without those that the licence does not cover, unless footage of them is to be brought back."""
        coverage = coverage_of(site, time.time_ns())
        waiting = self._waiting()
        busy = {camera.server for camera in site.cameras if camera.name in waiting}
        watched = {server.name: server for server in site.watched_by(site.spare(self.name))}
        return {name: each for name, each in watched.items() if coverage.covers(name) or name in busy}

    def _wanted_cameras(self, site: Site) -> dict[str, CameraConfig]:
        watched = self._watched_in(site)
        return {
            camera.name: camera_config(camera)
            for camera in site.cameras
            if camera.server in watched and camera.standby != "cold"
        }

    def _add_camera(self, name: str, camera: CameraConfig, before: CameraStatus | None = None) -> None:
        if before is None or before.mode is Mode.STANDBY:
            self.recorder.add(camera, mode=Mode.STANDBY)
        else:
            self.recorder.add(camera, mode=before.mode, lease=before.lease, pending=True)

    def _prepare(self, undo: ExitStack) -> None:
        waiting = self._waiting()
        self._watching = self._watched_in(self.site)
        self._company = Company(self.site, self._spare(self.site), self)
        undo.callback(self._company.close)
        for server in self._watching.values():
            desk = self._open_desk(server, waiting)
            waiting -= set(desk.watch.memory.standing)
        self._hooks.start()
        undo.callback(self._hooks.stop)
        undo.callback(self._end)
        for stream in sorted(waiting):
            _log.warning(
                "%s: unmerged footage of a camera that no server here records; fovideo merge brings it back",
                stream,
            )

    def _waiting(self) -> set[str]:
        """Streams with footage that no server has confirmed."""
        return {row.stream for row in self.store.unsettled()}

    def _open_desk(self, server: Server, waiting: set[str]) -> Desk:
        desk = Desk(
            self.site,
            self.site.spare(self.name),
            server,
            self.store,
            self.recorder,
            waiting,
            self._emit,
            settling=self._company.settling,
            settings=self._company.settings(server),
            witness_ns=lambda: self._company.witness_ns(server.name),
        )
        self._desks[server.name] = desk
        return desk

    def _spare(self, site: Site) -> SpareTable:
        return site.spare(self.name)

    # What its company asks

    def memory(self, server: str) -> Memory | None:
        """What is known of a server, None if it is not watched."""
        desk = self._desks.get(server)
        return None if desk is None else desk.watch.memory

    def ruled(self, server: str, ruling: Ruled) -> None:
        desk = self._desks.get(server)
        if desk is not None:
            desk.watch.tell(ruling)

    def uncovered(self, server: str, cameras: tuple[str, ...]) -> None:
        self._emit(Uncovered(server, cameras))

    def _arranged(self, site: Site) -> Callable[[CameraChanges], tuple[str, ...]]:
        before, after = self._watching, self._watched_in(site)
        old, new = self.site, site
        self._company.check_reloadable(site, self._spare(site))
        for server in after.values():
            server.secret_token()
        changed = [
            name
            for name in (*before, *(name for name in after if name not in before))
            if before.get(name) != after.get(name) or _cameras(old, name) != _cameras(new, name)
        ]

        def arrange(changes: CameraChanges) -> tuple[str, ...]:
            for name in changed:
                if name in self._desks:
                    self._desks[name].close()
            self._change_cameras(changes)
            waiting = self._waiting()
            self._company.take_in(site, self._spare(site))
            for name in changed:
                self._company.forget(name)
                if name in after:
                    # It takes up what the closed one had in hand, as after a restart.
                    self._open_desk(after[name], waiting).watch.start()
                else:
                    del self._desks[name]
            self._watching, self._hooks.site = after, new
            if self._manager is not None:
                self._manager.take_in(new)
            return tuple(changed)

        return arrange

    def _emit(self, event: Event) -> None:
        super()._emit(event)
        self._hooks.tell(event)
        if isinstance(event, TakenOver):
            lease, _ = self._outages.get(event.server, (-1, 0))
            if lease != event.lease:
                self._outages[event.server] = event.lease, time.time_ns()
        if isinstance(event, HandedBack) and event.over and self._state == "recording":
            threading.Thread(target=self._survey, args=(event,), name="survey", daemon=True).start()

    def _survey(self, event: HandedBack) -> None:
        """Find out what the server lacks of the outage, and tell."""
        server = self.site.server(event.server)
        if server.watch:
            return  # nobody can ask it what it lacks
        cameras = [camera.name for camera in self.site.cameras_of(event.server)]
        began = [self._outages[event.server][1]]
        began += [span.from_ns for report in event.streams for span in report.inserted]
        waits_ns = max(server.detection.stalled_after_ns, server.detection.late_after_ns)
        from_ns = min(began) - waits_ns - _SURVEY_NS
        credentials = credentials_for(self.site, self._endpoint, server)
        with closing(RemoteStore(self.site.reached_at(server), credentials=credentials)) as timeline:
            outage = survey(timeline, event.server, event.lease, cameras, from_ns)
        self._missing_ns[event.server] = {camera: outage.missing_ns(camera) for camera in outage.missing}
        self._emit(outage)

    def _managing(self, keeper: Keeper) -> Manager | None:
        return Manager(
            self.site,
            self._endpoint,
            keeper,
            role=SPARE,
            guarded=not self._access.is_open,
            apply=lambda site, version: self.reload(site),
            own={self.name: self.store},
            own_health={self.name: self.health},
        )

    def _standing_in(self, manager: Manager, keeper: Keeper) -> StandIn:
        table = self._spare(self.site)
        office = Office(
            service_leases(self.site, table),
            own_leases(self.site, table),
            self.name,
            ttl_ns=self.site.arbitration.ttl_ns,
            availability=self._company.availability,
        )
        return StandIn(self.site, self.name, manager, office, keeper, self._emit)

    def _past(self, camera: str) -> Timeline:
        """The union with the server's own timeline, while the server answers."""
        for desk in list(self._desks.values()):
            if camera in desk.cameras:
                return desk.seen()
        return self.store

    def _begin(self) -> None:
        for desk in self._desks.values():
            desk.watch.start()
        self._company.start()

    def _end(self) -> None:
        for desk in list(self._desks.values()):
            desk.close()

    def _described_state(self) -> str:
        if self._state != "recording":
            return self._state
        states = {desk.watch.memory.state for desk in list(self._desks.values())}
        return next((state for state in _FURTHEST_FIRST if state in states), State.WATCHING).value

    def _arbitration(self) -> str:
        return self._company.availability.trouble

    def _merges(self) -> tuple[MergeStatus, ...]:
        found = [desk.merging() for desk in list(self._desks.values())]
        return tuple(status for status in found if status is not None)

    def _watched(self) -> dict[str, WatchedServer]:
        return {
            name: replace(desk.status(), missing_ns=self._missing_ns.get(name, {}))
            for name, desk in list(self._desks.items())
        }


def _into(body: Mapping[str, Any]) -> str:
    """The server into which it merges; merges of a spare have the names of those."""
    return wanted(body, "server" if "server" in body else "merge", str)


def _cameras(site: Site, server: str) -> set[str]:
    return {camera.name for camera in site.cameras_of(server)}
