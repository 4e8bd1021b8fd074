"""Passes notices on: to the log, to webhooks, and as counters to /metrics."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Iterable

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from fovideo.service.events import Event
from fovideo.service.notices import EVENTS, Notice, Noticing
from fovideo.service.webhook import Webhook
from fovideo.site import Site
from fovideo.times import format_ns

_log = logging.getLogger("fovideo.events")


class Notifier(Collector):
    """Of one station. `tell` may be called by any thread and never waits."""

    def __init__(self, site: str, station: str, role: str) -> None:
        self._about = {"site": site, "station": station, "role": role}
        self._lock = threading.Lock()
        self._noticing = Noticing()
        self._counts = Counter(dict.fromkeys(EVENTS, 0))
        self._hooks: tuple[Webhook, ...] = ()

    def use(self, site: Site) -> None:
        """Send to the webhooks of this site from now on. ConfigError when a secret is not there."""
        hooks = webhooks(site)
        for hook in hooks:
            hook.start()
        with self._lock:
            before, self._hooks = self._hooks, hooks
        for hook in before:
            hook.stop()

    def close(self) -> None:
        with self._lock:
            hooks, self._hooks = self._hooks, ()
        for hook in hooks:
            hook.stop()

    def tell(self, event: Event) -> None:
        with self._lock:
            notice = self._noticing.notice(event)
            if notice is None:
                return
            self._counts[notice.event] += 1
            hooks = self._hooks
        _log.log(
            notice.level,
            "%s: %s",
            self._about["station"],
            notice.text,
            extra={"fovideo": {"event": notice.event, **self._about, **notice.fields}},
        )
        for hook in hooks:
            hook.put(notice.event, self._payload(notice))

    def _payload(self, notice: Notice) -> dict[str, object]:
        return {
            "event": notice.event,
            "severity": notice.severity,
            "time": format_ns(time.time_ns()),
            "text": notice.text,
            **self._about,
            **notice.fields,
        }

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterable[Metric]:
        """fovideo_events_total, and how the webhooks fare."""
        with self._lock:
            counts, hooks = dict(self._counts), self._hooks
        events = CounterMetricFamily("fovideo_events", "Events of this process.", labels=("event",))
        for event, count in counts.items():
            events.add_metric((event,), count)
        yield events
        if not hooks:
            return
        delivered = CounterMetricFamily(
            "fovideo_webhook_delivered", "Notices delivered.", labels=("webhook",)
        )
        dropped = CounterMetricFamily(
            "fovideo_webhook_dropped", "Notices given up: refused, or no room.", labels=("webhook",)
        )
        failures = CounterMetricFamily("fovideo_webhook_failures", "Failed attempts.", labels=("webhook",))
        waiting = GaugeMetricFamily("fovideo_webhook_waiting", "Notices not sent yet.", labels=("webhook",))
        for hook in hooks:
            status = hook.status()
            delivered.add_metric((hook.name,), status.delivered)
            dropped.add_metric((hook.name,), status.dropped)
            failures.add_metric((hook.name,), status.failures)
            waiting.add_metric((hook.name,), status.waiting)
        yield from (delivered, dropped, failures, waiting)


def webhooks(site: Site) -> tuple[Webhook, ...]:
    """Those that a site asks for, not started. ConfigError when a token is not where the site says."""
    return tuple(
        Webhook(
            hook.name,
            str(hook.url),
            hook.secret_token(),
            events=hook.events,
            timeout_ns=hook.timeout_ns,
            queue=hook.queue,
        )
        for hook in site.webhooks
    )
