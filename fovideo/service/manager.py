"""Manager: what it takes to manage a site, in a management server or in a spare that stands in for it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from msgspec.structs import replace

from fovideo.errors import ConfigStale, NothingThere, PeerUnauthorized
from fovideo.peer import Directory, Health, ManagementStatus
from fovideo.service.census import Census
from fovideo.service.directory import directory_of, recorded_to_ns
from fovideo.service.keeper import Keeper
from fovideo.service.management_routes import check_secrets
from fovideo.service.whole import WholeTimeline
from fovideo.site import Place, Site, site_from
from fovideo.site.version import Version, following
from fovideo.timeline.endpoint import Timeline

_log = logging.getLogger(__name__)


class Manager:
    """Directory, configuration and recordings of a site. Thread-safe. Begins at rest.

    guarded: clients are asked who they are. apply: takes in a configuration that was published here; may
    raise ConfigError. own: timeline of this machine, own_health: what it says of itself, both by its name.
    """

    def __init__(
        self,
        site: Site,
        place: Place,
        keeper: Keeper,
        *,
        role: str,
        guarded: bool,
        apply: Callable[[Site, Version], object],
        own: dict[str, Timeline] | None = None,
        own_health: dict[str, Callable[[], Health]] | None = None,
    ) -> None:
        self._place, self.keeper, self._role, self._guarded, self._apply = place, keeper, role, guarded, apply
        self._own, self._own_health = own or {}, own_health or {}
        self.acting, self.lease, self.since_ns = False, 0, time.time_ns()
        self._sure: Callable[[], bool] = bool
        self._lock = threading.RLock()
        self._site = site
        self._census = Census(site, place, self._own_health)
        self._whole = self._timeline_of(site)
        self._retired: list[WholeTimeline] = []

    def act(self, lease: int, sure: Callable[[], bool] = bool) -> None:
        """Manage the site from now on, under this number. sure: whether the lease service says so now."""
        with self._lock:
            self.lease, self._sure = lease, sure
            if self.acting:
                return
            self._census = Census(self._site, self._place, self._own_health)
            self._census.start()
            self.acting, self.since_ns = True, time.time_ns()

    def rest(self) -> None:
        """Somebody else manages the site."""
        with self._lock:
            self.acting, self.since_ns = False, time.time_ns()
            self._census.stop()

    def stop(self) -> None:
        """End all; nothing is called afterwards."""
        self._census.stop()
        for each in (self._whole, *self._retired):
            each.close()

    def take_in(self, site: Site) -> None:
        """Go on with another configuration."""
        with self._lock:
            before, self._site = self._census, site
            self._census = Census(site, self._place, self._own_health)
            if self.acting:
                self._census.start()
            before.stop()
            self._retired.append(self._whole)  # somebody may still read from it
            self._whole = self._timeline_of(site)

    # Manages

    def status(self) -> ManagementStatus:
        version = self.keeper.current
        return ManagementStatus(
            name=self._place.name,
            role=self._role,
            acting=self.acting,
            site=self._site.name,
            lease=self.lease,
            firm=self.acting and self._sure(),
            version=0 if version is None else version.number,
            hash="" if version is None else version.hash,
            since_ns=self.since_ns,
        )

    def directory(self) -> Directory:
        self._require_acting()
        answers = self._census.answers
        return directory_of(self._site, answers, manager=self.status(), now_ns=time.time_ns())

    def configuration(self) -> Version:
        version = self.keeper.current
        if version is None:
            raise NothingThere("no configuration was published yet")
        check_secrets(version.text, guarded=self._guarded)
        return version

    def publish(self, text: str, after: int | None, licence: str = "") -> ManagementStatus:
        """Put a text into force: checked, kept here, then taken in by everybody within seconds."""
        self._require_acting()
        with self._lock:
            before = self.keeper.current
            number = 0 if before is None else before.number
            if after is not None and after != number:
                raise ConfigStale(f"version {number} is in force, not {after}", hint="look at it first")
            plain = site_from(text, self._site.path)
            if not plain.licence.file:
                licence = ""
            elif not licence and before is not None:
                licence = before.licence
            site = replace(plain, licence_text=licence)
            version = following(before, text, by=self._place.name, now_ns=time.time_ns(), licence=licence)
            if version.is_newer_than(before):
                self._apply(site, version)
                self.keeper.offer(version)
                _log.warning("version %d of the configuration is in force", version.number)
        return self.status()

    def whole(self) -> Timeline:
        return self._whole

    def _timeline_of(self, site: Site) -> WholeTimeline:
        def edge_ns(camera: str) -> int:
            return recorded_to_ns(site, camera, self._census.answers)

        return WholeTimeline(site, self._place, self._own, recorded_to_ns=edge_ns)

    def elsewhere(self, camera: str) -> str:
        """RTSP URL of whoever serves a camera now, without a path; "" = nobody."""
        for stream in self.directory().streams if self.acting else ():
            if stream.camera == camera and stream.live:
                return stream.live.rpartition("/")[0]
        return ""

    def _require_acting(self) -> None:
        if not self.acting:
            raise PeerUnauthorized("does not manage the site now", where=self._place.name, hint="ask others")
