"""What a licence allows on a site at an instant. Pure.

When in doubt, record: what cannot be read is a doubt, and takes nothing away. What is known to be missing (a
base licence, licences for cameras, time) takes failover away from whole servers, and is said long before.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from fovideo.licence.signed import Terms
from fovideo.times import NS_PER_S, format_ns

DAY_NS = 86_400 * NS_PER_S
WARN_NS = 60 * DAY_NS
"""So long before it expires a licence is said to."""
GRACE_NS = 30 * DAY_NS
"""So long after that it still counts."""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """covered: names of the servers that may be failed over. problems: what is or will be wrong, by line.

    expires_ns: of the licence, None = never. needed, licensed: camera failover licences; None = no limit.
    """

    covered: tuple[str, ...]
    problems: tuple[str, ...] = ()
    expires_ns: int | None = None
    needed: int = 0
    licensed: int | None = None


def judge(site: str, cameras: Mapping[str, int], terms: Terms | None, error: str, now_ns: int) -> Verdict:
    """What is covered.

    cameras: how many each server has, in the order of the site. terms: of the licence; None with error "" =
    the site has none: everything is allowed. error: why there is one that cannot be read.
    """
    every, needed = tuple(cameras), sum(cameras.values())
    if terms is None:
        doubt = (f"{error}; until that is put right, everything is allowed",) if error else ()
        return Verdict(covered=every, problems=doubt, needed=needed)
    problems = _about_time(terms, now_ns)
    covered: tuple[str, ...] = ()
    if terms.site != site:
        problems.append(f"the licence is for site {terms.site!r}, this is {site!r}: no server is failed over")
    elif not terms.has_base:
        problems.append("a professional site licence needs the failover base licence: nothing is failed over")
    elif terms.expires_ns is None or now_ns < terms.expires_ns + GRACE_NS:
        covered, short = _shared_out(cameras, terms.camera_failover)
        problems += short
    return Verdict(
        covered=covered,
        problems=tuple(problems),
        expires_ns=terms.expires_ns,
        needed=needed,
        licensed=terms.camera_failover,
    )


def _shared_out(cameras: Mapping[str, int], licences: int) -> tuple[tuple[str, ...], list[str]]:
    """Servers whose cameras are all covered, in the order of the site, and what is said of the others."""
    left, covered, short = licences, [], []
    for server, count in cameras.items():
        if count <= left:
            covered.append(server)
            left -= count
        else:
            short.append(
                f"{server} is not failed over: it has {count} cameras, and {left} of the {licences} camera "
                "failover licences are left"
            )
    if short:
        needed = sum(cameras.values())
        short.append(f"the site needs {needed} camera failover licences, one for each camera")
    return tuple(covered), short


def _about_time(terms: Terms, now_ns: int) -> list[str]:
    expires_ns = terms.expires_ns
    if expires_ns is None or now_ns < expires_ns - WARN_NS:
        return []
    if now_ns < expires_ns:
        return [f"the licence expires on {terms.expires}, in {(expires_ns - now_ns) // DAY_NS} days"]
    end_ns = expires_ns + GRACE_NS
    if now_ns < end_ns:
        return [f"the licence expired on {terms.expires}; servers are failed over until {format_ns(end_ns)}"]
    return [f"the licence expired on {terms.expires}: no server is failed over"]
