"""What every process of a site is in a host application: a life, an HTTP address, and its health."""

from __future__ import annotations

import contextlib
import logging
import os
import ssl
import threading
import time
from collections.abc import Callable
from typing import Self

from starlette.applications import Starlette

from fovideo import __version__
from fovideo.errors import UsageError
from fovideo.peer import Health, StoreHealth
from fovideo.record.events import tell
from fovideo.service.events import Event
from fovideo.service.http import HttpServer
from fovideo.site import Place, Site

_log = logging.getLogger(__name__)


class SiteProcess:
    """In a host application: start() once, stop() once; also a context manager.

    Thread-safe; no signal handlers, no global state, no event loop needed. on_event is called by threads of
    the process: it must return soon; what it raises is logged and ignored.
    """

    role = ""

    def __init__(self, site: Site, name: str, *, on_event: Callable[[Event], None] | None) -> None:
        self.site, self.name = site, name
        self.instance = os.urandom(8).hex()
        self._on_event = on_event
        self._life = threading.Lock()
        self._undo: contextlib.ExitStack | None = None
        self._http: HttpServer | None = None

    def start(self) -> None:
        """On return it answers. Raises ConfigError and what else a kind of process names; then nothing is
        left running.
        """
        raise NotImplementedError

    def stop(self) -> None:
        """End all threads, and let go of everything. May be called twice."""
        with self._life:
            undo, self._undo = self._undo, None
            if undo is None:
                return
            with undo:
                self._stop()
        _log.info("%s: stopped", self.name)

    def responds(self, timeout_s: float) -> bool:
        """Whether it would answer a request now: for a watchdog."""
        return self._http is not None and self._http.responds(timeout_s)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """How this machine reaches it; the port is known after start."""
        return "" if self._http is None else self._http.url

    def health(self) -> Health:
        """What GET /v1/health answers. Waits for nothing. UsageError before start."""
        if self._http is None:
            raise UsageError("not started yet", where=self.name)
        return Health(
            name=self.name,
            role=self.role,
            instance=self.instance,
            state=self._described_state(),
            now_ns=time.time_ns(),
            site=self.site.name,
            version=__version__,
            store=self._store_health(),
        )

    def _listen(
        self, undo: contextlib.ExitStack, app: Starlette, place: Place, tls: ssl.SSLContext | None
    ) -> None:
        host, port = place.address
        self._http = HttpServer(app, host, port, tls=tls)
        self._http.start()
        undo.callback(self._http.stop)

    def _stop(self) -> None:
        """Before what was started is undone."""

    def _described_state(self) -> str:
        raise NotImplementedError

    def _store_health(self) -> StoreHealth:
        return StoreHealth(id="")

    def _emit(self, event: Event) -> None:
        tell(self._on_event, event)
