"""Census: asks all servers and spares of a site how they are, again and again, and keeps the answers."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from fovideo.errors import ConfigError, FovideoError
from fovideo.peer import Health, Probe
from fovideo.service.directory import Answer
from fovideo.service.security import credentials_for
from fovideo.site import Endpoint, Place, Site
from fovideo.times import NS_PER_S

_log = logging.getLogger(__name__)

_EVERY_S = 0.5


class Census:
    """A thread, from start() to stop(). own: what this process says of itself, by its name, without asking.

    by: the process that asks: its certificate is shown to the others.
    """

    def __init__(self, site: Site, by: Place, own: dict[str, Callable[[], Health]] | None = None) -> None:
        self.answers: dict[str, Answer] = {}
        self._own, self._stopping = own or {}, threading.Event()
        self._probes: dict[str, Probe] = {}
        for place in (*site.servers, *site.spares):
            if place.name not in self._own:
                self._add(site, by, place)
        self._thread = threading.Thread(target=self._run, name=f"census-{by.name}", daemon=True)

    def _add(self, site: Site, by: Place, place: Endpoint) -> None:
        url = site.reached_at(place)
        if not url:
            self.answers[place.name] = Answer(None, "nothing tells where to reach it")
            return
        try:
            credentials = credentials_for(site, by, place)
        except ConfigError as error:
            self.answers[place.name] = Answer(None, str(error))
            return
        self._probes[place.name] = Probe(url, credentials=credentials, timeout_ns=NS_PER_S)

    def start(self) -> None:
        """The first round is over on return."""
        self._ask_all()
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()
        for probe in self._probes.values():
            probe.close()

    def _run(self) -> None:
        while not self._stopping.wait(_EVERY_S):
            try:
                self._ask_all()
            except Exception:
                _log.exception("a round of questions went wrong")

    def _ask_all(self) -> None:
        for name, health in self._own.items():
            self.answers[name] = Answer(health())
        if not self._probes:
            return
        with ThreadPoolExecutor(len(self._probes), thread_name_prefix="census") as pool:
            for name, answer in zip(self._probes, pool.map(_ask, self._probes.values()), strict=True):
                self.answers[name] = answer


def _ask(probe: Probe) -> Answer:
    try:
        return Answer(probe.ask())
    except FovideoError as error:
        return Answer(None, str(error))
