"""Versions of a site's configuration: which one is in force. Pure.

A version is a text of site.toml with a number that only rises. Everybody who knows several keeps the newest,
so it does not matter who hears of it when, or from whom: all come to the same one, and nobody goes back.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import msgspec


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """number: from 1 on. hash: see digest. by: name of the process that made it.

    licence: text of the site's licence file, which travels with it; "" = there is none, or each has its own.
    """

    number: int
    hash: str
    text: str
    by: str = ""
    made_ns: int = 0
    licence: str = ""

    def __repr__(self) -> str:
        return f"Version({self.number}, {self.hash[:12]}, by={self.by!r})"  # the text may hold secrets

    @property
    def is_sound(self) -> bool:
        """Whether the hash is that of the text."""
        return self.number > 0 and self.hash == digest(self.text, self.licence)

    def is_newer_than(self, other: Version | None) -> bool:
        """Two of one number can only come from two managers that could not hear each other: the hash decides,
        for everybody alike.
        """
        return other is None or (self.number, self.hash) > (other.number, other.hash)


class Begun(msgspec.Struct, frozen=True):
    """What a manager begins with. overruled: its own file is older than this, and not used."""

    version: Version
    overruled: bool = False


def digest(text: str, licence: str = "") -> str:
    """SHA-256, hex, of the text alone, or with a NUL and the licence behind it."""
    whole = f"{text}\0{licence}" if licence else text
    return hashlib.sha256(whole.encode()).hexdigest()


def newest(versions: Iterable[Version | None]) -> Version | None:
    """The one in force; None if there is none."""
    found: Version | None = None
    for each in versions:
        if each is not None and each.is_newer_than(found):
            found = each
    return found


def following(before: Version | None, text: str, *, by: str, now_ns: int, licence: str = "") -> Version:
    """The version that this text and licence make; the one before, if they are the same."""
    found = digest(text, licence)
    if before is not None and before.hash == found:
        return before
    number = 1 if before is None else before.number + 1
    return Version(number=number, hash=found, text=text, by=by, made_ns=now_ns, licence=licence)


def begun(
    known: Iterable[Version | None], text: str, seen_hash: str, *, by: str, now_ns: int, licence: str = ""
) -> Begun:
    """What a manager that starts puts into force.

    known: what it has kept and what others have. text, licence: of its files; seen_hash: their digest when
    they were read last, "" = never. Files that were edited since are a new version, any others may be old.
    """
    before, found = newest(known), digest(text, licence)
    if before is None or (seen_hash and found != seen_hash):
        return Begun(following(before, text, by=by, now_ns=now_ns, licence=licence))
    return Begun(before, overruled=before.hash != found)
