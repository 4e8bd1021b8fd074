"""What can be wrong with the roles beside recording: management, restreaming, hooks, licence. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from fovideo.site.problem import Problem, is_loopback
from fovideo.site.values import Hook, Licence, Management, Place, Restream, Server, Site, Spare


def role_problems(
    servers: tuple[Server, ...],
    spares: tuple[Spare, ...],
    managements: tuple[Management, ...],
    hooks: tuple[Hook, ...],
    restream: Restream,
    licence: Licence,
) -> Iterator[Problem]:
    """Everything that is wrong."""
    recording: tuple[Place, ...] = (*servers, *spares)
    names = [place.name for place in recording]
    addresses = {place.reached_at: place.name for place in recording if place.reached_at}
    if len(managements) > 1:
        yield Problem("[[management]]", "there are two", "the spares stand in for the one that there is")
    for management in managements:
        where = f"[[management]] {management.name!r}"
        if management.name in names:
            yield Problem(where, "another process has this name", "a name is given once")
        if not management.reached_at:
            yield Problem(where, f"listen = {management.listen!r} does not tell where to reach it", "add url")
        elif management.reached_at in addresses:
            yield Problem(
                where, f"has the same address as {addresses[management.reached_at]}", "give it its own"
            )
    seen: dict[str, str] = {}
    for place in (*recording, *managements):
        if place.restreams_at and place.restreams_at in seen:
            yield Problem(
                place.name, f"restreams where {seen[place.restreams_at]} does", "give it its own port"
            )
        seen[place.restreams_at] = place.name
    for number, hook in enumerate(hooks, 1):
        where = f"[[hook]] {number}"
        if not hook.command or not hook.command[0]:
            yield Problem(where, "command is empty", 'like command = ["/usr/local/bin/move-address"]')
        for name in hook.servers:
            if name not in {server.name for server in servers} | {each.name for each in managements}:
                yield Problem(where, f"server {name!r} is not in this site", "name a server of it")
    if restream.user and not (restream.password or restream.password_file or restream.password_env):
        yield Problem("[restream]", "a user without a password", "give password_file")
    if licence.public_key and not re.fullmatch(r"[0-9a-fA-F]{64}", licence.public_key):
        yield Problem("[licence]", "public_key is not 64 hex digits", "as fovideo licence key prints it")
    if licence.file and not licence.public_key:
        yield Problem("[licence]", "a file without the issuer's public_key", "ask the issuer for it")


def role_advice(site: Site) -> Iterator[Problem]:
    """What works, but not as people expect."""
    for server in site.servers if site.spares else ():
        for device in server.attached:
            yield Problem(
                server.name,
                f"{device} is attached to the machine itself: no spare can stand in for it",
                "a [[hook]] can tell whoever can",
            )
    if not site.restream.user:
        for place in (*site.servers, *site.spares, *site.managements):
            if place.restream and not is_loopback(place.restream.rpartition(":")[0].strip("[]")):
                yield Problem(place.name, "lets everybody watch over RTSP", "give [restream] a user")
