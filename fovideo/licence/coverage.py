"""The licence of a site as site.toml names it: read, verified and judged."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import msgspec

from fovideo.errors import LicenceError
from fovideo.licence.judge import Verdict, judge
from fovideo.licence.signed import Terms, read_licence
from fovideo.site import Problem, Site

_log = logging.getLogger(__name__)

ISSUER_KEY = ""
"""Public key of the issuer, 64 hex digits: an application that embeds fovideo sets it once, at its start, and
no site.toml can then name another."""


class Coverage(msgspec.Struct, frozen=True, kw_only=True):
    """A verdict, and the terms it rests on; None: no licence, or none that can be read."""

    verdict: Verdict
    terms: Terms | None = None

    def covers(self, server: str) -> bool:
        return server in self.verdict.covered

    @property
    def said(self) -> str:
        """Everything that is wrong, in one line; "" for nothing."""
        return "; ".join(self.verdict.problems)


def coverage_of(site: Site, now_ns: int) -> Coverage:
    """Which servers may be failed over. Raises nothing: what is wrong with the licence is in it."""
    terms, error = None, ""
    if site.licence.file:
        try:
            data = site.licence_text.encode() or _read(Path(site.licence.file))
            terms = read_licence(data, ISSUER_KEY or site.licence.public_key, where=site.licence.file)
        except LicenceError as failure:
            error = str(failure)
    cameras = {server.name: len(site.cameras_of(server.name)) for server in site.servers}
    return Coverage(verdict=judge(site.name, cameras, terms, error, now_ns), terms=terms)


def licence_problems(site: Site, now_ns: int) -> Iterator[Problem]:
    """For `site check` and for the log: what is wrong with the licence, or will be."""
    for what in coverage_of(site, now_ns).verdict.problems:
        yield Problem("[licence]", what, "ask the issuer of the licence")


def licence_to_send(site: Site, before: str = "") -> str:
    """The text of the licence that is to travel with a configuration: of the site's own file; else the one
    before, so that a file that is missing takes nothing away. "" if the site has no licence.
    """
    if not site.licence.file:
        return ""
    try:
        return _read(Path(site.licence.file)).decode()
    except (LicenceError, UnicodeDecodeError) as error:
        _log.error("%s", error)
        return before


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise LicenceError(f"the licence cannot be read: {error.strerror}", where=str(path)) from None
