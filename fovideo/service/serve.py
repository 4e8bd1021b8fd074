"""RecordingServer: records its cameras, keeps their timeline, answers over HTTP."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from fovideo.camera import CameraConfig
from fovideo.errors import UsageError
from fovideo.service.control import Control, wanted
from fovideo.service.events import Event
from fovideo.service.settings import camera_config
from fovideo.service.station import Station
from fovideo.site import Endpoint, Site

_log = logging.getLogger(__name__)


class RecordingServer(Station):
    """The [[server]] of that name of a site. ConfigError if the site has none."""

    role = "server"

    def __init__(self, site: Site, name: str, *, on_event: Callable[[Event], None] | None = None) -> None:
        super().__init__(site, site.server(name), on_event=on_event)

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

    def _controls(self) -> dict[str, Control]:
        return {"drain": lambda body: self.drain(wanted(body, "on", bool))}

    def _endpoint_in(self, site: Site) -> Endpoint:
        return site.server(self.name)

    def _wanted_cameras(self, site: Site) -> dict[str, CameraConfig]:
        return {camera.name: camera_config(camera) for camera in site.cameras_of(self.name)}
