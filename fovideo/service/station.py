"""What a server and a spare have in common: a store, a recorder, retention, and an HTTP address."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable
from pathlib import Path

from msgspec.structs import replace

from fovideo.camera import CameraConfig
from fovideo.errors import FovideoError, StoreError, UsageError
from fovideo.merge.doing.running import MergeStatus
from fovideo.peer.health import Health, StoreHealth, WatchedServer
from fovideo.record import CameraStatus, Recorder
from fovideo.service.app import make_app
from fovideo.service.control import Control, Pulling
from fovideo.service.describe import camera_health, store_health
from fovideo.service.events import Event
from fovideo.service.follower import Follower
from fovideo.service.incoming import clean_spool
from fovideo.service.keeper import Keeper, kept_folder, site_in_force
from fovideo.service.licensing import Licensing
from fovideo.service.manager import Manager
from fovideo.service.notifier import Notifier
from fovideo.service.process import SiteProcess
from fovideo.service.reload import CameraChanges, Reloaded, ReloadRefused, camera_changes, check_reloadable
from fovideo.service.restream import Restream
from fovideo.service.retention import Retention
from fovideo.service.security import access_to, server_context
from fovideo.service.settings import store_options
from fovideo.service.standin import StandIn
from fovideo.site import Endpoint, Site, advice
from fovideo.store import Store
from fovideo.timeline.endpoint import Timeline

_log = logging.getLogger(__name__)

_LEAVE_S = 20.0


class Station(SiteProcess):
    """A process of a site that records."""

    def __init__(
        self, site: Site, endpoint: Endpoint, *, on_event: Callable[[Event], None] | None = None
    ) -> None:
        super().__init__(site, endpoint.name, on_event=on_event)
        self.store: Store
        self.recorder: Recorder
        self.workers = endpoint.workers  # may be set until start
        self._endpoint = endpoint
        self._state = "starting"
        self._cameras: dict[str, CameraConfig] = {}
        self._notifier = Notifier(site.name, endpoint.name, self.role)
        self._licensing = Licensing(endpoint.name, lambda: self.site)
        self._manager: Manager | None = None
        self._follower: Follower | None = None

    def start(self) -> None:
        """Open the store, listen, record. On return the station answers.

        Raises ConfigError, StoreBusy, NotAStore and other StoreErrors; then nothing is left running.
        """
        self._access = access_to(self.site, self._endpoint)
        tls = server_context(self.site, self._endpoint)
        for problem in advice(self.site):
            if problem.where == self.name or self.role == "spare":
                _log.warning("%s: %s (%s)", *problem)
        with self._life, contextlib.ExitStack() as undo:
            self._notifier.use(self.site)
            undo.callback(self._notifier.close)
            self._licensing.look()
            self._licensing.start()
            undo.callback(self._licensing.stop)
            options = store_options(self._endpoint)
            self.store = Store.open(self._endpoint.store, write=True, create=True, options=options)
            undo.callback(self.store.close)
            self.recorder = Recorder(
                self.store,
                name=self.name,
                durability_ns=options.durability_ns,
                on_event=self._emit,
                workers=self.workers,
                memory_bytes=self._endpoint.memory_bytes,
            )
            undo.callback(self.recorder.close)
            self._cameras = self._wanted_cameras(self.site)
            for name, camera in self._cameras.items():
                self._add_camera(name, camera)
            self._prepare(undo)
            self._prepare_management(undo)
            spool = Path(self._endpoint.store) / "incoming"
            clean_spool(spool)
            app = make_app(
                self.store,
                self.health,
                access=self._access,
                spool=spool,
                controls=self._controls(),
                silent=self._is_silent,
                collectors=(self._notifier, self._licensing),
                management=self._manager,
                pulls=self._pulling(),
            )
            self._listen(undo, app, self._endpoint, tls)
            retention = Retention(self.store)
            retention.start()
            undo.callback(retention.stop)
            self.recorder.start()
            if self._endpoint.restream:
                restream = Restream(
                    self.site,
                    self._endpoint,
                    cameras=self.recorder.status,
                    tap=self.recorder.tap,
                    past=self._past,
                    elsewhere=self._elsewhere,
                )
                restream.start()
                undo.callback(restream.stop)
            self._begin()
            if self._follower is not None:
                self._follower.start()
            self._state = "recording"
            self._undo = undo.pop_all()
        _log.info("%s: %s of site %s, listens on %s", self.name, self.role, self.site.name, self.url)

    def stop(self) -> None:
        """Write what was received, end all threads, close the store. May be called twice.

        Raises StoreError when the last frames could not be written.
        """
        super().stop()

    def reload(self, site: Site) -> Reloaded:
        """Take in a new configuration while running. Only cameras that are changed by it are connected anew.

        Raises ConfigError when it cannot be used; then everything goes on as it was. StoreError while the
        store takes nothing, since frames of cameras that go could not be written. UsageError unless started.
        """
        with self._life:
            if self._undo is None:
                raise UsageError("not running", where=self.name)
            own = self._endpoint_in(site)
            check_reloadable(self.site, site, self._endpoint, own)
            cameras = self._wanted_cameras(site)
            changes = camera_changes(self._cameras, cameras)
            if (changes.removed or changes.changed) and (error := self.recorder.store_status().error):
                raise StoreError(f"cannot reload now: {error}", where=self.name, hint="try again")
            access = access_to(site, own)
            arrange = self._arranged(site)
            if site.webhooks != self.site.webhooks:
                self._notifier.use(site)
            self._endpoint = own
            self.site, self._cameras = site, cameras
            self._licensing.look()
            self._access.take_in(access)
            servers = arrange(changes)
            done = Reloaded(*changes, servers=servers)
        self._emit(done)
        return done

    def reload_file(self, path: Path) -> Reloaded:
        """Read a site.toml again and `reload` it. A file that is refused is an event, and is raised."""
        try:
            return self.reload(site_in_force(path, self.name))
        except FovideoError as error:
            self._emit(ReloadRefused(str(error)))
            raise

    def health(self) -> Health:
        found, now_ns = super().health(), time.monotonic_ns()
        return replace(
            found,
            licence=self._licensing.said,
            cameras={name: camera_health(status, now_ns) for name, status in self.recorder.status().items()},
            servers=self._watched(),
            merges=self._merges(),
            memory_bytes=self.recorder.memory_bytes,
            arbitration=self._arbitration(),
        )

    def _endpoint_in(self, site: Site) -> Endpoint:
        """This station's table in a site. ConfigError if there is none any more."""
        raise NotImplementedError

    def _wanted_cameras(self, site: Site) -> dict[str, CameraConfig]:
        """The cameras that this station is to read, by name. ConfigError when a secret is not there."""
        raise NotImplementedError

    def _add_camera(self, name: str, camera: CameraConfig, before: CameraStatus | None = None) -> None:
        """Begin with a camera. before: as it was under its old configuration."""
        self.recorder.add(camera)

    def _prepare(self, undo: contextlib.ExitStack) -> None:
        """The cameras are there: make what belongs to health."""

    def _arranged(self, site: Site) -> Callable[[CameraChanges], tuple[str, ...]]:
        """Check what else a new site asks for, and return what brings it into force.

        That is called with self.site and self._cameras new; it returns the servers watched in another way.
        """

        def arrange(changes: CameraChanges) -> tuple[str, ...]:
            self._change_cameras(changes)
            return ()

        return arrange

    def _change_cameras(self, changes: CameraChanges) -> None:
        for name in changes.removed:
            self._remove_camera(name)
        for name in changes.changed:
            before = self.recorder.status()[name]
            if self._remove_camera(name):
                self._add_camera(name, self._cameras[name], before)
            else:
                del self._cameras[name]  # so that the next reload adds it
        for name in changes.added:
            self._add_camera(name, self._cameras[name])

    def _remove_camera(self, name: str) -> bool:
        gone = self.recorder.remove(name, _LEAVE_S)
        if not gone:
            _log.error("%s: %s: its last frames cannot be written yet; reload again later", self.name, name)
        return gone

    def _prepare_management(self, undo: contextlib.ExitStack) -> None:
        """Hear of new configurations, if the site is managed; a spare may also be asked to manage it."""
        if not self.site.managements:
            return
        keeper = Keeper(kept_folder(self._endpoint.store))
        self._manager = self._managing(keeper)
        standin = None
        if self._manager is not None:
            undo.callback(self._manager.stop)
            standin = self._standing_in(self._manager, keeper)
            undo.callback(standin.close)
        self._follower = Follower(
            self.site,
            self._endpoint,
            keeper,
            apply=self.reload,
            told=None if standin is None else standin.round,
        )
        undo.callback(self._follower.stop)

    def _managing(self, keeper: Keeper) -> Manager | None:
        """What manages the site here when it has to."""
        return None

    def _standing_in(self, manager: Manager, keeper: Keeper) -> StandIn:
        """What decides when that manages the site."""
        raise NotImplementedError

    def _elsewhere(self, camera: str) -> str:
        """RTSP URL of whoever serves a camera that is not received here, as far as this process knows."""
        return "" if self._manager is None or not self._manager.acting else self._manager.elsewhere(camera)

    def _past(self, camera: str) -> Timeline:
        """What clients of this station see of a camera's recording."""
        return self.store

    def _begin(self) -> None:
        """The recorder runs: start what is to run beside it."""

    def _stop(self) -> None:
        if self._state != "drained":
            self._state = "stopping"
        # Closed first, while health still says "stopping" to those who watch.
        self._end()
        self.recorder.close()

    def _end(self) -> None:
        """Before the recorder is closed."""

    def _controls(self) -> dict[str, Control]:
        """What can be ordered over HTTP, by the last part of the path."""
        return {}

    def _is_silent(self) -> bool:
        """Whether it does not say how it is, for a drill."""
        return False

    def _described_state(self) -> str:
        return self._state

    def _store_health(self) -> StoreHealth:
        return store_health(self.store, self.recorder)

    def _arbitration(self) -> str:
        return ""

    def _watched(self) -> dict[str, WatchedServer]:
        return {}

    def _merges(self) -> tuple[MergeStatus, ...]:
        """What this process merges now."""
        return ()

    def _pulling(self) -> Pulling | None:
        """Who carries out merges that are ordered."""
        return None

    def _emit(self, event: Event) -> None:
        self._notifier.tell(event)
        super()._emit(event)
