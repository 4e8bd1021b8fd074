"""Restream: the cameras of a station over RTSP, live and recorded, for the clients of the site.

rtsp://HOST:PORT/CAMERA is the live picture, with `Range: clock=` the recording; for clients that cannot ask
for a range, /CAMERA/FROM and /CAMERA/FROM/TO (RFC 3339) are stretches of it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection

from fovideo.errors import ConfigError, UsageError
from fovideo.replay import LiveSource, Moved, RtspServer, TimelineSource
from fovideo.replay.live import Tap
from fovideo.replay.source import Source
from fovideo.service.security import server_context
from fovideo.site import Place, Site
from fovideo.site.fields import parse_listen
from fovideo.timeline.endpoint import Timeline
from fovideo.times import parse_ns

_log = logging.getLogger(__name__)


class Restream:
    """From start() to stop(). All callables are called by threads of the RTSP server.

    cameras: names of those that can be tapped here now. past: the timeline that holds a camera's recording.
    elsewhere: RTSP URL (without a path) of whoever serves a camera that is not received here, "" = nobody.
    """

    def __init__(
        self,
        site: Site,
        place: Place,
        *,
        cameras: Callable[[], Collection[str]],
        tap: Callable[[str], Tap],
        past: Callable[[str], Timeline],
        elsewhere: Callable[[str], str] = lambda name: "",
    ) -> None:
        host, port = parse_listen(place.restream)
        self._cameras, self._tap, self._past, self._elsewhere = cameras, tap, past, elsewhere
        self._live: dict[str, LiveSource] = {}
        self._server = RtspServer(
            host or "0.0.0.0",
            port,
            user=site.restream.user or None,
            password=site.restream.secret_password(),
            tls=server_context(site, place),
            resolve=self._resolve,
        )
        self._name = place.name

    @property
    def url(self) -> str:
        """Where this machine reaches it; the port is known after start."""
        return self._server.url("").rstrip("/")

    @property
    def players(self) -> int:
        """Sessions that play now."""
        return self._server.players()

    def start(self) -> None:
        """Listen. ConfigError if the address cannot be had."""
        try:
            self._server.start()
        except UsageError as error:
            raise ConfigError(error.what, where=error.where, hint="change restream") from None
        _log.info("%s: cameras are at %s/NAME", self._name, self.url)

    def stop(self) -> None:
        self._server.close()

    def _resolve(self, path: str) -> Source | Moved | None:
        name, _, stretch = path.partition("/")
        if name not in self._cameras():
            url = self._elsewhere(name)
            if url:
                return Moved(f"{url}/{path}")
        if stretch:
            return self._stretch(name, stretch)
        return self._live_source(name) if name in self._cameras() else None

    def _live_source(self, name: str) -> LiveSource:
        source = self._live.get(name)
        if source is None:
            source = LiveSource(lambda: self._tap(name), lambda: TimelineSource(self._past(name), name))
            source = self._live.setdefault(name, source)
        return source

    def _stretch(self, name: str, text: str) -> Source | None:
        """A stretch of the recording; None if the text is none."""
        begin, _, end = text.partition("/")
        try:
            from_ns, to_ns = parse_ns(begin), parse_ns(end) if end else None
        except UsageError:
            return None
        return TimelineSource(self._past(name), name, from_ns=from_ns, to_ns=to_ns)
