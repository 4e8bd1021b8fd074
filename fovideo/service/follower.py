"""Follower: asks, again and again, who manages the site, and takes in new configurations."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

from fovideo.errors import ConfigError, FovideoError
from fovideo.peer import ManagementClient, ManagementStatus
from fovideo.service.keeper import Keeper
from fovideo.service.security import credentials_for
from fovideo.site import Management, Place, Site, site_from
from fovideo.site.version import Version
from fovideo.times import NS_PER_S

_log = logging.getLogger(__name__)

_STOP_S = 5.0


class Follower:
    """A thread, from start() to stop(). Asks the management server and the spares what is in force.

    apply: takes in a newer configuration; what it raises is logged, and the configuration kept all the same.
    told: on a spare: called after each round with the answers, by name; see StandIn.round.
    """

    def __init__(
        self,
        site: Site,
        place: Place,
        keeper: Keeper,
        *,
        apply: Callable[[Site], object],
        told: Callable[[Mapping[str, ManagementStatus]], None] | None = None,
    ) -> None:
        (self._management,) = site.managements
        self._site, self._place, self._keeper = site, place, keeper
        self._apply, self._told = apply, told
        self._stopping = threading.Event()
        self._clients = {
            each.name: ManagementClient(site.reached_at(each), credentials=credentials_for(site, place, each))
            for each in (self._management, *site.spares)
            if each.name != place.name and site.reached_at(each)
        }
        self._thread = threading.Thread(target=self._run, name=f"follow-{place.name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread.ident is not None:
            # It may be waiting for the process that is being stopped to take in a configuration.
            self._thread.join(_STOP_S)
        for client in self._clients.values():
            client.close()

    def _run(self) -> None:
        pause_s = self._management.detection.poll_ns / NS_PER_S * (1 if self._told else 4)
        with ThreadPoolExecutor(max(len(self._clients), 1), thread_name_prefix="follow") as pool:
            while not self._stopping.is_set():
                try:
                    answers = dict(zip(self._clients, pool.map(_status, self._clients.values()), strict=True))
                    self._take_in({name: each for name, each in answers.items() if each is not None})
                except Exception:
                    _log.exception("a round of questions went wrong")
                self._stopping.wait(pause_s)

    def _take_in(self, answers: dict[str, ManagementStatus]) -> None:
        self._follow(answers)
        if self._told is not None:
            self._told(answers)

    def _follow(self, answers: dict[str, ManagementStatus]) -> None:
        current = self._keeper.current
        known = (0, "") if current is None else (current.number, current.hash)
        name, newest = max(
            answers.items(), key=lambda each: (each[1].version, each[1].hash), default=("", None)
        )
        if newest is None or (newest.version, newest.hash) <= known:
            return
        try:
            version = self._clients[name].configuration()
        except FovideoError as error:
            _log.warning("%s has version %d of the configuration: %s", name, newest.version, error)
            return
        if not self._keeper.offer(version):
            return
        try:
            self._apply(site_from(version.text, self._site.path, licence=version.licence))
        except FovideoError as error:
            _log.error("version %d of the configuration is not in force here: %s", version.number, error)
            return
        _log.warning("version %d of the configuration is in force, from %s", version.number, name)


def others_versions(site: Site, place: Management) -> list[Version]:
    """For a management server that starts: what the spares have. Who does not answer has nothing to say."""
    found = []
    for spare in site.spares:
        url = site.reached_at(spare)
        if not url:
            continue
        try:
            with ManagementClient(url, credentials=credentials_for(site, place, spare)) as client:
                found.append(client.configuration())
        except (FovideoError, ConfigError) as error:
            _log.info("%s: no configuration from it: %s", spare.name, error)
    return found


def _status(client: ManagementClient) -> ManagementStatus | None:
    try:
        return client.status()
    except FovideoError:
        return None
