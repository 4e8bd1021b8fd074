"""RecordingServer: records its cameras, keeps their timeline, answers over HTTP."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack

from fovideo.service.events import Event
from fovideo.service.settings import camera_config
from fovideo.service.station import Station
from fovideo.site import Site


class RecordingServer(Station):
    """The [[server]] of that name of a site. ConfigError if the site has none."""

    role = "server"

    def __init__(self, site: Site, name: str, *, on_event: Callable[[Event], None] | None = None) -> None:
        super().__init__(site, site.server(name), on_event=on_event)

    def _prepare(self, undo: ExitStack) -> None:
        for camera in self.site.cameras_of(self.name):
            self.recorder.add(camera_config(camera))
