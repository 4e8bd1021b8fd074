"""ManagementServer: the [[management]] of a site as a process: configuration, status, directory."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable
from pathlib import Path

from msgspec.structs import replace

from fovideo.errors import ConfigError, FovideoError, UsageError
from fovideo.licence import licence_to_send
from fovideo.record import Tap
from fovideo.service.app import make_app
from fovideo.service.events import Event
from fovideo.service.follower import Follower, others_versions
from fovideo.service.keeper import Keeper
from fovideo.service.manager import Manager
from fovideo.service.process import SiteProcess
from fovideo.service.reload import Reloaded, ReloadRefused
from fovideo.service.restream import Restream
from fovideo.service.security import access_to, server_context
from fovideo.site import Site, read_text, site_from
from fovideo.site.version import Version, begun, digest, following, newest

_log = logging.getLogger(__name__)


class ManagementServer(SiteProcess):
    """path: its site.toml, which is what it puts into force, unless others have a newer version."""

    role = "management"

    def __init__(
        self, path: str | Path, name: str, *, on_event: Callable[[Event], None] | None = None
    ) -> None:
        self._path, self._text = Path(path), read_text(path)
        super().__init__(site_from(self._text, path), name, on_event=on_event)
        self._place = self.site.management(name)
        self.keeper = Keeper(self._place.folder)
        self._manager: Manager

    def start(self) -> None:
        """Find out which configuration is in force, and listen. ConfigError; then nothing is left running."""
        with self._life, contextlib.ExitStack() as undo:
            version = self._begin()
            self.site = site_from(version.text, self._path, licence=version.licence)
            access, tls = access_to(self.site, self._place), server_context(self.site, self._place)
            self._manager = Manager(
                self.site,
                self._place,
                self.keeper,
                role=self.role,
                guarded=not access.is_open,
                apply=self._apply,
            )
            undo.callback(self._manager.stop)
            app = make_app(
                self._manager.whole(), self.health, access=access, management=self._manager, recording=False
            )
            self._listen(undo, app, self._place, tls)
            self._manager.act(0)
            if self._place.restream:
                restream = Restream(
                    self.site,
                    self._place,
                    cameras=tuple,
                    tap=_nothing_here,
                    past=lambda name: self._manager.whole(),
                    elsewhere=self._manager.elsewhere,
                )
                restream.start()
                undo.callback(restream.stop)
            follower = Follower(self.site, self._place, self.keeper, apply=self._take_in)
            follower.start()
            undo.callback(follower.stop)
            self._undo = undo.pop_all()
        _log.info("%s: manages site %s, listens on %s", self.name, self.site.name, self.url)

    def reload_file(self, path: Path) -> Reloaded:
        """The file was edited: put it into force as a new version. ConfigError when it cannot be used."""
        try:
            text = read_text(path)
            before = self.keeper.current
            plain = site_from(text, path)
            licence = licence_to_send(plain, before.licence if before else "")
            site = replace(plain, licence_text=licence)
            version = following(before, text, by=self.name, now_ns=time.time_ns(), licence=licence)
            self._apply(site, version)
        except FovideoError as error:
            _log.error("%s: not reloaded: %s", self.name, error)
            self._emit(ReloadRefused(str(error)))
            raise
        self.keeper.saw(digest(text, licence))
        self.keeper.offer(version)
        done = Reloaded()
        self._emit(done)
        return done

    def _described_state(self) -> str:
        return "managing"

    def _begin(self) -> Version:
        known = [self.keeper.current, *others_versions(self.site, self._place)]
        before = newest(known)
        licence = licence_to_send(self.site, before.licence if before else "")
        start = begun(
            known,
            self._text,
            self.keeper.seen_hash,
            by=self.name,
            now_ns=time.time_ns(),
            licence=licence,
        )
        version = start.version
        if start.overruled:
            _log.warning("%s: version %d is in force, made by %s", self.name, version.number, version.by)
            _log.warning("%s: %s is older and not used; edit it to make a new version", self.name, self._path)
        self.keeper.saw(digest(self._text, licence))
        self.keeper.offer(version)
        return version

    def _apply(self, site: Site, version: Version) -> None:
        own = site.management(self.name)
        if (own.listen, own.folder, own.restream) != (
            self._place.listen,
            self._place.folder,
            self._place.restream,
        ):
            raise ConfigError(
                f"listen, folder and restream of {self.name!r} cannot change while it runs",
                where=str(site.path),
                hint="stop it, edit its file, start it again",
            )
        self._take_in(site)

    def _take_in(self, site: Site) -> None:
        self.site = site
        self._manager.take_in(site)


def _nothing_here(camera: str) -> Tap:
    raise UsageError("cameras are not received here", where=camera)
