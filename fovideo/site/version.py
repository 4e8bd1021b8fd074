"""Versions of a site's configuration: which one is in force. Pure.

A version is a text of site.toml with a number that only rises. Everybody who knows several keeps the newest,
so it does not matter who hears of it when, or from whom: all come to the same one, and nobody goes back.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import msgspec


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """number: from 1 on. hash: SHA-256 of the text, hex. by: name of the process that made it."""

    number: int
    hash: str
    text: str
    by: str = ""
    made_ns: int = 0

    def __repr__(self) -> str:
        return f"Version({self.number}, {self.hash[:12]}, by={self.by!r})"  # the text may hold secrets

    @property
    def is_sound(self) -> bool:
        """Whether the hash is that of the text."""
        return self.number > 0 and self.hash == digest(self.text)

    def is_newer_than(self, other: Version | None) -> bool:
        """Two of one number can only come from two managers that could not hear each other: the hash decides,
        for everybody alike.
        """
        return other is None or (self.number, self.hash) > (other.number, other.hash)


class Begun(msgspec.Struct, frozen=True):
    """What a manager begins with. overruled: its own file is older than this, and not used."""

    version: Version
    overruled: bool = False


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def newest(versions: Iterable[Version | None]) -> Version | None:
    """The one in force; None if there is none."""
    found: Version | None = None
    for each in versions:
        if each is not None and each.is_newer_than(found):
            found = each
    return found


def following(before: Version | None, text: str, *, by: str, now_ns: int) -> Version:
    """The version that this text makes; the one before, if it is the same text."""
    if before is not None and before.hash == digest(text):
        return before
    number = 1 if before is None else before.number + 1
    return Version(number=number, hash=digest(text), text=text, by=by, made_ns=now_ns)


def begun(known: Iterable[Version | None], text: str, seen_hash: str, *, by: str, now_ns: int) -> Begun:
    """What a manager that starts puts into force.

    known: what it has kept and what others have. text: of its file; seen_hash: of the file when it was read
    last, "" = never. A file that was edited since is a new version, any other one may be old.
    """
    before = newest(known)
    if before is None or (seen_hash and digest(text) != seen_hash):
        return Begun(following(before, text, by=by, now_ns=now_ns))
    return Begun(before, overruled=before.hash != digest(text))
