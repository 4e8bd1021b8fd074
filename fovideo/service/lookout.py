"""What a spare sees of the rest of the site: the other spares, and whether it is cut off itself."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

from fovideo.errors import FovideoError
from fovideo.failover import STEADY_NS, Fellow, Holding, State
from fovideo.peer import Health
from fovideo.times import NS_PER_S

_log = logging.getLogger(__name__)

POLL_S = 0.5
GONE_NS = 2 * NS_PER_S
"""A spare that has not answered for so long cannot be relied on."""


class Other(NamedTuple):
    """Another spare: its place in the site's order, the servers that it watches, and how to ask it."""

    place: int
    servers: frozenset[str]
    ask: Callable[[], Health]


class _Seen:
    """What is known of one other spare. For the thread that asks it; `fellow` for any."""

    def __init__(self, other: Other) -> None:
        self._other = other
        self._since: dict[str, tuple[object, int]] = {}
        self.answered_ns = -(10**18)
        self._health: Health | None = None

    def take_in(self, health: Health, now_ns: int) -> None:
        if now_ns - self.answered_ns > GONE_NS:
            self._since = {}
        since = {}
        for name, camera in health.cameras.items():
            sign = (health.instance, camera.sessions, camera.dropped, camera.lost, camera.state == "live")
            known = self._since.get(name)
            since[name] = known if known is not None and known[0] == sign else (sign, now_ns)
        self._since, self._health, self.answered_ns = since, health, now_ns

    def fellow(self, now_ns: int) -> Fellow:
        place, servers, _ = self._other
        health, since = self._health, self._since
        if health is None or now_ns - self.answered_ns > GONE_NS:
            return Fellow(place=place, servers=servers)
        live = {name for name, camera in health.cameras.items() if camera.state == "live"}
        steady = {n for n in live if n in since and now_ns - since[n][1] >= STEADY_NS}
        records: dict[str, frozenset[str]] = {}
        holdings: dict[str, Holding] = {}
        for server, watched in health.servers.items():
            recorded = {
                name
                for name, state in watched.cameras.items()
                if (name in health.cameras and health.cameras[name].mode == "record")
                or (state == State.SEALING and name in watched.claimed)
            }
            records[server] = frozenset(recorded)
            if watched.claimed and watched.lease:
                holdings[server] = Holding(
                    number=watched.lease, cameras=frozenset(watched.claimed), firm=watched.firm
                )
        return Fellow(
            place=place,
            answers=True,
            servers=servers,
            busy=frozenset(server for server, cameras in records.items() if cameras),
            records=records,
            steady=frozenset(steady),
            holdings=holdings,
        )


class Lookout:
    """A thread for each other spare and each gateway. gateways: what to call each, and how to reach it."""

    def __init__(
        self,
        others: Mapping[str, Other],
        gateways: Mapping[str, Callable[[], None]],
        *,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._now_ns = monotonic_ns
        self._seen = {name: _Seen(other) for name, other in others.items()}
        self._gateway_ns = -1
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._watch, args=(name, other.ask), name=f"look-{name}", daemon=True)
            for name, other in others.items()
        ]
        self._threads += [
            threading.Thread(target=self._reach, args=(name, reach), name=f"reach-{name}", daemon=True)
            for name, reach in gateways.items()
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        self._stopping.set()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()

    def fellows(self) -> dict[str, Fellow]:
        """The other spares, by name."""
        now_ns = self._now_ns()
        return {name: seen.fellow(now_ns) for name, seen in self._seen.items()}

    @property
    def has_witnesses(self) -> bool:
        return bool(self._threads)

    def reached_ns(self) -> int:
        """When another spare or a gateway was last reached, by the monotonic clock; -1 = never."""
        return max((self._gateway_ns, *(seen.answered_ns for seen in self._seen.values())))

    def _watch(self, name: str, ask: Callable[[], Health]) -> None:
        silent = False
        while not self._stopping.is_set():
            began_ns = self._now_ns()
            try:
                health = ask()
                self._seen[name].take_in(health, self._now_ns())
                silent = False
            except FovideoError as error:
                if not silent:
                    _log.info("spare %s does not answer: %s", name, error)
                silent = True
            except Exception:
                _log.exception("spare %s: a poll went wrong", name)
            self._pause(began_ns)

    def _reach(self, name: str, reach: Callable[[], None]) -> None:
        silent = False
        while not self._stopping.is_set():
            began_ns = self._now_ns()
            try:
                reach()
                self._gateway_ns = self._now_ns()
                silent = False
            except FovideoError as error:
                if not silent:
                    _log.warning("gateway %s: %s", name, error)
                silent = True
            except Exception:
                _log.exception("gateway %s: asking went wrong", name)
            self._pause(began_ns)

    def _pause(self, began_ns: int) -> None:
        self._stopping.wait(max(POLL_S - (self._now_ns() - began_ns) / NS_PER_S, 0.05))
