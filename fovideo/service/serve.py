"""RecordingServer: records its cameras, keeps their timeline, answers over HTTP."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from fovideo.camera import CameraConfig
from fovideo.errors import ConfigError, UsageError
from fovideo.merge import MergeReport
from fovideo.merge.doing.running import MergeStatus
from fovideo.peer import Pull
from fovideo.service.control import Control, as_json, wanted, wanted_as
from fovideo.service.events import Event, Merged, MergeFailed
from fovideo.service.pulls import Pulls, source_of
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
        self._pulls: Pulls

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

    def pull(self, order: Pull) -> MergeStatus:
        """Merge what another machine holds into the own store, while it records. Returns at once.

        The order survives a restart. UsageError for a source that is none.
        """
        return self._pulls.order(order)

    def pause_merge(self, id: str, paused: bool = True) -> MergeStatus:
        """Hold a pull back, or let it go on. NothingThere if there is none of that id."""
        return self._pulls.pause(id, paused)

    def cancel_merge(self, id: str) -> MergeStatus:
        """End a pull between two insertions; what it inserted stays."""
        return self._pulls.cancel(id)

    def _prepare(self, undo: ExitStack) -> None:
        self._pulls = Pulls(
            self.name,
            self.store,
            lambda source: source_of(self.site, self._endpoint, source),
            told=self._pulled,
        )
        undo.callback(self._pulls.close)

    def _pulled(self, report: MergeReport | None, error: str) -> None:
        if report is not None and report.streams:
            self._emit(Merged(self.name, 0, report.streams))
        if error:
            self._emit(MergeFailed(self.name, 0, error))

    def _begin(self) -> None:
        self._pulls.take_up()

    def _end(self) -> None:
        self._pulls.close()

    def _merges(self) -> tuple[MergeStatus, ...]:
        return self._pulls.running()

    def _pulling(self) -> Pulls:
        return self._pulls

    def _controls(self) -> dict[str, Control]:
        return {
            "merge": lambda body: as_json(self.pull(wanted_as(body, Pull))),
            "pause-merge": lambda body: as_json(
                self.pause_merge(wanted(body, "merge", str), wanted(body, "paused", bool))
            ),
            "cancel-merge": lambda body: as_json(self.cancel_merge(wanted(body, "merge", str))),
            "drain": lambda body: self.drain(wanted(body, "on", bool)),
            "play-dead": lambda body: self.play_dead(wanted(body, "seconds", int)),
        }

    def _is_silent(self) -> bool:
        return time.monotonic_ns() < self._silent_until_ns

    def _endpoint_in(self, site: Site) -> Endpoint:
        return site.server(self.name)

    def _wanted_cameras(self, site: Site) -> dict[str, CameraConfig]:
        return {camera.name: camera_config(camera) for camera in site.cameras_of(self.name)}
