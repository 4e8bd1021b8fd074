"""What is said about a site: one problem at a time. Pure."""

from __future__ import annotations

import ipaddress
from typing import NamedTuple


class Problem(NamedTuple):
    """One thing that is wrong. where: the table; what: one clause; hint: what to do about it."""

    where: str
    what: str
    hint: str


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach it."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
