"""Leases: who holds a role of the site, with a number that rises (docs/design/failover.md, Arbitration)."""

from fovideo.lease.local import LocalLeases
from fovideo.lease.values import Claim, Leases, LeasesAway

__all__ = ["Claim", "Leases", "LeasesAway", "LocalLeases"]
