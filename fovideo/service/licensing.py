"""Licensing: what the site's licence covers, read at start and once an hour, and said each time."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from fovideo.licence import Coverage, coverage_of
from fovideo.site import Site
from fovideo.times import NS_PER_S

_log = logging.getLogger(__name__)

_EVERY_S = 3600.0


class Licensing(Collector):
    """From start() to stop(). It decides nothing: a spare looks when it begins to watch servers,
    so that no takeover that runs is given up because a date has passed.

    site: gives the site as it is now.
    """

    def __init__(self, name: str, site: Callable[[], Site]) -> None:
        self._name, self._site = name, site
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"licence-{name}", daemon=True)
        self._coverage = coverage_of(site(), time.time_ns())

    @property
    def said(self) -> str:
        """What is wrong with the licence or will be, one line; "" for nothing. Waits for nothing."""
        return self._coverage.said

    def look(self) -> Coverage:
        """Read the licence anew."""
        self._coverage = coverage_of(self._site(), time.time_ns())
        return self._coverage

    def start(self) -> None:
        self._say()
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()

    def collect(self) -> Iterator[Metric]:
        """Metrics; none without a licence."""
        verdict, site = self._coverage.verdict, self._site()
        if not site.licence.file:
            return
        covered = GaugeMetricFamily(
            "fovideo_licence_covered", "Whether the server may be failed over", labels=["server"]
        )
        for server in site.servers:
            covered.add_metric([server.name], float(self._coverage.covers(server.name)))
        yield covered
        yield GaugeMetricFamily(
            "fovideo_licence_problems", "What is wrong with the licence", float(len(verdict.problems))
        )
        yield GaugeMetricFamily(
            "fovideo_licence_cameras_needed", "Cameras of the site", float(verdict.needed)
        )
        if verdict.licensed is not None:
            yield GaugeMetricFamily(
                "fovideo_licence_cameras", "Camera failover licences", float(verdict.licensed)
            )
        if verdict.expires_ns is not None:
            yield GaugeMetricFamily(
                "fovideo_licence_expires_seconds", "When it expires, Unix time", verdict.expires_ns / NS_PER_S
            )

    def _run(self) -> None:
        while not self._stopping.wait(_EVERY_S):
            try:
                self.look()
                self._say()
            except Exception:
                _log.exception("the licence could not be looked at")

    def _say(self) -> None:
        for problem in self._coverage.verdict.problems:
            _log.error("%s: licence: %s", self._name, problem)
