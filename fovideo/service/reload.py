"""What a new site.toml changes about a process that runs. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from fovideo.camera import CameraConfig
from fovideo.errors import ConfigError
from fovideo.site import Endpoint, Site

AT_RUN_TIME = frozenset({"name", "url", "detection", "servers", "attached"})
"""Keys of [[server]] and [[spare]] that a process takes in while it runs; all others want a restart."""


class Reloaded(msgspec.Struct, frozen=True, tag="reloaded"):
    """A new configuration is in force. Cameras that are not named went on without a pause.

    servers: those that the spare watches in another way now.
    """

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    servers: tuple[str, ...] = ()

    def __str__(self) -> str:
        parts = [f"{word} {', '.join(names)}" for word, names in self._named() if names]
        return "; ".join(parts) or "nothing changed"

    def _named(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        return (
            ("added", self.added),
            ("removed", self.removed),
            ("changed", self.changed),
            ("watching anew", self.servers),
        )


class ReloadRefused(msgspec.Struct, frozen=True, tag="reload-refused"):
    """The new configuration cannot be used: the old one stays in force. error: why, one line."""

    error: str


class CameraChanges(NamedTuple):
    """By name, in the order of the site."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]


def camera_changes(before: Mapping[str, CameraConfig], after: Mapping[str, CameraConfig]) -> CameraChanges:
    """What is to be done so that exactly the cameras of `after` run as they are configured there."""
    return CameraChanges(
        added=tuple(name for name in after if name not in before),
        removed=tuple(name for name in before if name not in after),
        changed=tuple(name for name in after if name in before and before[name] != after[name]),
    )


def check_reloadable(before: Site, after: Site, own: Endpoint, new: Endpoint) -> None:
    """Refuse what a running process cannot take in. ConfigError says which key needs a restart."""
    if after.name != before.name:
        raise ConfigError(
            f"this is another site: {after.name!r} instead of {before.name!r}", where=str(after.path)
        )
    if after.tls != before.tls:
        raise ConfigError(
            "[tls] cannot change while it runs", where=str(after.path), hint="restart it for that"
        )
    keys = [
        info.encode_name
        for info in msgspec.structs.fields(type(own))
        if info.encode_name not in AT_RUN_TIME and getattr(own, info.name) != getattr(new, info.name)
    ]
    if keys:
        raise ConfigError(
            f"{' and '.join(keys)} of {own.name!r} cannot change while it runs",
            where=str(after.path),
            hint="restart it for that",
        )
