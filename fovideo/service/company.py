"""The other spares of the site, as one of them deals with them: looks at them, settles with them."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Protocol

from msgspec.structs import replace

from fovideo.errors import ConfigError
from fovideo.failover import STEADY_NS, Memory, Ruled, Settings
from fovideo.lease import LocalLeases
from fovideo.peer import Probe
from fovideo.record import Recorder
from fovideo.service.arbiter import Arbiter, Post
from fovideo.service.leasing import Availability, numbering, service_leases
from fovideo.service.lookout import Lookout, Other
from fovideo.service.reaching import reach
from fovideo.service.security import credentials_for
from fovideo.service.settings import failover_settings
from fovideo.service.settling import Settling
from fovideo.site import Server, Site
from fovideo.site import Spare as SpareTable
from fovideo.site.target import as_target
from fovideo.times import NS_PER_S

TIMEOUT_NS = 7 * NS_PER_S // 10


class Home(Protocol):
    """The spare itself."""

    recorder: Recorder

    def memory(self, server: str) -> Memory | None: ...

    def ruled(self, server: str, ruling: Ruled) -> None: ...

    def uncovered(self, server: str, cameras: tuple[str, ...]) -> None: ...


class Company:
    """settling is None for a spare that is alone and takes any number of cameras: it has nobody to ask.

    availability: of the lease service, if the site has one.
    """

    def __init__(self, site: Site, spare: SpareTable, home: Home) -> None:
        """ConfigError: the extra for etcd is not installed, or a secret is missing."""
        self._site, self._home = site, home
        self._slot, self._step = numbering(site, spare)
        self._probes: list[Probe] = []
        self.availability = Availability()
        self._lookout = Lookout(self._others(site, spare), self._gateways(site))
        self.settling: Settling | None = None
        if len(site.spares) > 1 or spare.capacity or site.arbitration.etcd:
            arbiter = Arbiter(
                self._post(site, spare),
                service_leases(site, spare) or LocalLeases(spare.name),
                service=bool(site.arbitration.etcd) or len(site.spares) == 1,
                fellows=self._lookout.fellows,
                heard=self._heard,
                keep_every_ns=site.arbitration.ttl_ns // 4,
                availability=self.availability,
            )
            self.settling = Settling(arbiter, tell=home.ruled, on_left=home.uncovered)

    def settings(self, server: Server) -> Settings:
        """Of the failover machine for a server."""
        settings = failover_settings(server.detection)
        if self.settling is None:
            return settings
        return replace(settings, arbitrated=True, slot=self._slot, step=self._step)

    def witness_ns(self, server: str) -> int | None:
        """See Hands. Where the site names gateways, cameras prove nothing: their network may be another."""
        times = [self._lookout.reached_ns()] if self._lookout.has_witnesses else []
        for other in self._site.servers:
            memory = self._home.memory(other.name) if other.name != server else None
            if memory is not None:
                times.append(memory.told_ns if memory.instance and not memory.misses else -1)
        if not self._site.gateways:
            cameras = {camera.name for camera in self._site.cameras_of(server)}
            status = self._home.recorder.status()
            times += [status[name].last_receipt_ns or -1 for name in cameras if name in status]
        return max(times, default=None)

    def start(self) -> None:
        self._lookout.start()
        if self.settling is not None:
            self.settling.start()

    def close(self) -> None:
        if self.settling is not None:
            self.settling.close()
        self._lookout.close()
        for probe in self._probes:
            probe.close()

    def check_reloadable(self, site: Site, spare: SpareTable) -> None:
        """Refuse what cannot change while it runs. ConfigError."""
        old = self._site

        def key(of: Site) -> object:
            return (of.arbitration, of.gateways, [(s.name, s.servers, of.reached_at(s)) for s in of.spares])

        if key(old) != key(site) or bool(spare.capacity) != bool(old.spare(spare.name).capacity):
            raise ConfigError(
                "[arbitration], gateways and the spares cannot change while a spare runs",
                where=str(site.path),
                hint="restart the spares for that",
            )

    def take_in(self, site: Site, spare: SpareTable) -> None:
        """A new configuration is in force."""
        self._site = site
        if self.settling is not None:
            self.settling.arbiter.move(self._post(site, spare))

    def forget(self, server: str) -> None:
        """The watch of a server has begun anew."""
        if self.settling is not None:
            self.settling.forget(server)

    def _post(self, site: Site, spare: SpareTable) -> Post:
        return Post(
            name=spare.name,
            place=self._slot,
            servers=tuple(server.name for server in site.watched_by(spare)),
            room=spare.capacity or None,
            priorities={camera.name: camera.priority for camera in site.cameras},
            slot=self._slot,
            step=self._step,
        )

    def _heard(self) -> frozenset[str]:
        """The cameras of which the rings hold frames."""
        now_ns = time.monotonic_ns()
        return frozenset(
            name
            for name, status in self._home.recorder.status().items()
            if status.last_receipt_ns and now_ns - status.last_receipt_ns < STEADY_NS
        )

    def _others(self, site: Site, spare: SpareTable) -> dict[str, Other]:
        others = {}
        for place, other in enumerate(site.spares):
            url = site.reached_at(other)
            if other.name == spare.name or not url:
                continue
            credentials = credentials_for(site, spare, other)
            probe = Probe(url, credentials=credentials, timeout_ns=TIMEOUT_NS)
            self._probes.append(probe)
            servers = frozenset(server.name for server in site.watched_by(other))
            others[other.name] = Other(place, servers, probe.ask)
        return others

    def _gateways(self, site: Site) -> dict[str, Callable[[], None]]:
        found: dict[str, Callable[[], None]] = {}
        for gateway in site.gateways:
            found[gateway] = partial(reach, as_target(gateway), TIMEOUT_NS / NS_PER_S)
        return found
