"""The leases of a spare, as its site asks for them."""

from __future__ import annotations

from fovideo.failover import SPARES
from fovideo.lease import Leases, LocalLeases
from fovideo.site import Site, Spare


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
