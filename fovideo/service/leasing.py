"""The leases of a spare, as its site asks for them, and whether their service can be asked."""

from __future__ import annotations

import logging
import threading

from fovideo.errors import FovideoError
from fovideo.failover import SPARES
from fovideo.lease import Leases, LocalLeases
from fovideo.site import Site, Spare
from fovideo.times import NS_PER_S

_log = logging.getLogger(__name__)

RETRY_NS = 2 * NS_PER_S


class Availability:
    """Whether the lease service is worth asking now: one for all that ask it in a process. Any thread.

    trouble: why not, as the last call said; "" while it answers.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._retry_ns = -(10**18)
        self.trouble = ""

    def may_ask(self, now_ns: int) -> bool:
        """False for RETRY_NS after a call that failed, so that nobody waits for it all the time."""
        return now_ns >= self._retry_ns

    def answered(self) -> None:
        with self._lock:
            was, self.trouble = self.trouble, ""
        if was:
            _log.warning("the lease service answers again")

    def failed(self, error: FovideoError, now_ns: int) -> None:
        with self._lock:
            was, self.trouble = self.trouble, str(error)
            self._retry_ns = now_ns + RETRY_NS
        if not was:
            _log.error("the lease service is away; going on without: %s", error)


def numbering(site: Site, spare: Spare) -> tuple[int, int]:
    """slot and step of the numbers that a spare gives: see fovideo.failover.following."""
    if len(site.spares) == 1:
        return 0, 1
    return [each.name for each in site.spares].index(spare.name), SPARES


def own_leases(site: Site, spare: Spare) -> LocalLeases:
    """Those that need no service."""
    slot, step = numbering(site, spare)
    return LocalLeases(spare.name, slot=slot, step=step)


def service_leases(site: Site, spare: Spare) -> Leases | None:
    """Those of [arbitration]; None if the site names no service. ConfigError: its client is not installed."""
    table = site.arbitration
    if not table.etcd:
        return None
    from fovideo.lease.etcd import Access, EtcdLeases

    access = Access(
        endpoints=table.etcd,
        ca_file=table.ca,
        cert_file=table.cert,
        key_file=table.key,
        user=table.user,
        password=table.secret_password(),
    )
    slot, step = numbering(site, spare)
    prefix = f"{table.prefix.rstrip('/')}/{site.name}/"
    return EtcdLeases(access, spare.name, prefix=prefix, ttl_ns=table.ttl_ns, slot=slot, step=step)
