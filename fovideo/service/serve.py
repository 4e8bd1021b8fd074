"""RecordingServer: records its cameras, keeps their timeline, answers over HTTP."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from fovideo.camera import CameraConfig
from fovideo.errors import ConfigError, UsageError
from fovideo.service.control import Control, wanted
from fovideo.service.events import Event
from fovideo.service.settings import camera_config
from fovideo.service.station import Station
from fovideo.site import Endpoint, Site
from fovideo.times import NS_PER_S

_log = logging.getLogger(__name__)

MOST_SILENT_S = 300


class RecordingServer(Station):
    """The [[server]] of that name of a site. ConfigError if the site has none."""

    role = "server"

    def __init__(self, site: Site, name: str, *, on_event: Callable[[Event], None] | None = None) -> None:
        server = site.server(name)
        if server.watch:
            raise ConfigError(
                "it has watch: it is not fovideo's", where=f"server {name}", hint="remove watch"
            )
        super().__init__(site, server, on_event=on_event)
        self._silent_until_ns = 0

    def drain(self, on: bool = True) -> dict[str, Any]:
        """A planned stop is near: spares do nothing when this server falls silent. It records until stopped.

        Ends with drain(False), or when the server is started again.
        """
        with self._life:
            if self._state not in ("recording", "drained"):
                raise UsageError(f"it is {self._state}", where=self.name)
            self._state = "drained" if on else "recording"
        _log.warning("%s: %s", self.name, "drained: no spare will stand in" if on else "no longer drained")
        return {"name": self.name, "state": self._state}

    def play_dead(self, seconds: int) -> dict[str, Any]:
        """Refuse to say how it is for so long, so that a spare takes over; recording goes on. For drills.

        0 ends it. UsageError for more than MOST_SILENT_S.
        """
        if not 0 <= seconds <= MOST_SILENT_S:
            raise UsageError(f"cannot play dead for {seconds} s", hint=f"0 to {MOST_SILENT_S}")
        self._silent_until_ns = time.monotonic_ns() + seconds * NS_PER_S
        _log.warning("%s: plays dead for %d s", self.name, seconds)
        return {"name": self.name, "state": self._state, "now_ns": time.time_ns()}

    def _controls(self) -> dict[str, Control]:
        return {
            "drain": lambda body: self.drain(wanted(body, "on", bool)),
            "play-dead": lambda body: self.play_dead(wanted(body, "seconds", int)),
        }

    def _is_silent(self) -> bool:
        return time.monotonic_ns() < self._silent_until_ns

    def _endpoint_in(self, site: Site) -> Endpoint:
        return site.server(self.name)

    def _wanted_cameras(self, site: Site) -> dict[str, CameraConfig]:
        return {camera.name: camera_config(camera) for camera in site.cameras_of(self.name)}
