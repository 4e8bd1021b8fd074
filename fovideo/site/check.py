"""What can be wrong between the tables of a site, each right by itself, and what is unwise. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from fovideo.site.check_roles import role_advice
from fovideo.site.problem import Problem, is_loopback
from fovideo.site.values import Camera, Client, Endpoint, Server, Site, Spare, Tls
from fovideo.times import format_duration

NO_TLS = Tls()
EVERY_INTERFACE = ("", "0.0.0.0", "::")


def problems(
    servers: tuple[Server, ...],
    spares: tuple[Spare, ...],
    cameras: tuple[Camera, ...],
    clients: tuple[Client, ...] = (),
    tls: Tls = NO_TLS,
) -> Iterator[Problem]:
    """Everything that is wrong, first things first."""
    if not servers:
        yield Problem("", "there is no [[server]]", "a site has at least one recording server")
    yield from _names(
        [("server", s.name) for s in servers]
        + [("spare", s.name) for s in spares]
        + [("client", c.name) for c in clients]
    )
    yield from _access(clients, (*servers, *spares), tls)
    yield from _names(("camera", camera.name) for camera in cameras)
    yield from _references(servers, spares, cameras)
    yield from _addresses(servers, spares)
    yield from _outsiders(servers)
    for server in servers:
        for key in ("poll", "timeout", "late_after", "merge_every"):
            if getattr(server.detection, f"{key}_ns") == 0:
                yield Problem(
                    f"[[server]] {server.name!r}: detection", f"{key} is 0", "leave it out for the default"
                )


def advice(site: Site) -> Iterator[Problem]:
    """What works, but not as people expect."""
    for endpoint in (*site.servers, *site.spares):
        host = endpoint.address[0] if endpoint.listen else "localhost"
        token = endpoint.token or endpoint.token_file or endpoint.token_env
        asks = bool(token or site.clients or site.tls.ca)
        if not asks and not is_loopback(host):
            yield Problem(endpoint.name, "answers anybody on the network", "give the site a token")
    for camera in site.cameras if site.spares else ():
        detection = site.server(camera.server).detection
        waits_ns = (detection.takeover_after_ns, detection.stalled_after_ns, detection.late_after_ns)
        needed_ns = max(waits_ns) + detection.timeout_ns + detection.poll_ns
        if camera.standby == "hot" and camera.preroll_ns < needed_ns:
            yield Problem(
                camera.name,
                f"its preroll of {format_duration(camera.preroll_ns)} is shorter than detection may take",
                f"at least {format_duration(needed_ns)}, or frames are lost at a takeover",
            )
    yield from role_advice(site)


def _access(clients: tuple[Client, ...], endpoints: tuple[Endpoint, ...], tls: Tls) -> Iterator[Problem]:
    if tls.key and not tls.cert:
        yield Problem("[tls]", "key without cert", "give the certificate of the endpoints too")
    if tls.client_certificates == "required" and not (tls.ca and tls.cert):
        yield Problem("[tls]", "client certificates are required, but not ca and cert given", "give both")
    for endpoint in endpoints:
        if tls.cert and endpoint.url.startswith("http:"):
            yield Problem(
                endpoint.name,
                f"url = {endpoint.url!r} is not https, which [tls] makes it speak",
                "write https",
            )
    for client in clients:
        if not (client.token or client.token_file or client.token_env or (tls.ca and tls.cert)):
            yield Problem(
                f"[[client]] {client.name!r}",
                "has no token, and without [tls] ca and cert it can show no certificate",
                "give it token_file",
            )


def _outsiders(servers: tuple[Server, ...]) -> Iterator[Problem]:
    own = [server.name for server in servers if not server.watch]
    for server in servers:
        where = f"[[server]] {server.name!r}"
        if server.merge_into and not server.watch:
            yield Problem(where, "merge_into is for servers with watch", "its footage goes back to itself")
        elif server.merge_into and server.merge_into not in own:
            known = ", ".join(own) or "none"
            yield Problem(where, f"merge_into = {server.merge_into!r} is no server", f"servers: {known}")


def _names(entries: Iterable[tuple[str, str]]) -> Iterator[Problem]:
    kinds: dict[str, str] = {}
    for kind, name in entries:
        if name in kinds:
            other = f"another {kind}" if kinds[name] == kind else f"a {kinds[name]}"
            yield Problem(f"[[{kind}]] {name!r}", f"{other} has this name", "a name is given once")
        kinds[name] = kind


def _references(
    servers: tuple[Server, ...], spares: tuple[Spare, ...], cameras: tuple[Camera, ...]
) -> Iterator[Problem]:
    names = [server.name for server in servers]
    wanted = [(f"[[camera]] {camera.name!r}", camera.server) for camera in cameras]
    wanted += [(f"[[spare]] {spare.name!r}", name) for spare in spares for name in spare.servers]
    for where, name in wanted:
        if name not in names:
            yield Problem(where, f"server {name!r} is not in this site", f"servers here: {', '.join(names)}")


def _addresses(servers: tuple[Server, ...], spares: tuple[Spare, ...]) -> Iterator[Problem]:
    seen: dict[tuple[str, ...], str] = {}
    everyone: list[tuple[str, Endpoint]] = [("server", s) for s in servers] + [("spare", s) for s in spares]
    for kind, entry in everyone:
        if not entry.listen:
            continue
        where, host = f"[[{kind}]] {entry.name!r}", entry.address[0]
        keys: list[tuple[str, ...]] = []
        if entry.reached_at:
            keys.append(("address", entry.reached_at))
        if host not in EVERY_INTERFACE:
            keys.append(("store folder", host, entry.store))
        for key in keys:
            if key in seen:
                yield Problem(where, f"has the same {key[0]} as {seen[key]}", "give it its own")
            seen[key] = where
        if kind == "server" and spares and not entry.reached_at and not getattr(entry, "watch", ""):
            yield Problem(
                where,
                f"listen = {entry.listen!r} does not tell the spares where to reach it",
                f'add url = "http://HOST:{entry.address[1] or 8750}"',
            )
