"""Is a site fit for an emergency? Validates it, reaches machines and cameras, adds up what spares need."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from typing import Any

import msgspec

from fovideo import __version__
from fovideo.camera import CameraConfig
from fovideo.errors import ConfigError, FovideoError
from fovideo.licence import licence_problems
from fovideo.peer import Credentials
from fovideo.service.measure import CameraProbe, probe_cameras
from fovideo.service.needs import SpareNeeds, memory_problems, ring_problems, spare_needs
from fovideo.service.overview import Answer, ask_all
from fovideo.service.reaching import reach
from fovideo.service.settings import camera_config
from fovideo.site import Endpoint, Place, Problem, Site, Spare, advice
from fovideo.site.target import as_target
from fovideo.times import NS_PER_S, format_duration

_REACH_S = 3.0
SKEW_NS = NS_PER_S // 2
"""Clocks of machines that differ by more are worth a word: times of footage come from them in the end."""


class SiteReport(msgspec.Struct, frozen=True, kw_only=True):
    """problems: what has to be mended; advice: what works, but not as people expect."""

    site: str
    problems: tuple[Problem, ...]
    advice: tuple[Problem, ...]
    machines: dict[str, str]
    cameras: dict[str, CameraProbe]
    spares: dict[str, SpareNeeds]

    def as_json(self) -> dict[str, Any]:
        """The object of `site check --json`."""
        found: dict[str, Any] = msgspec.to_builtins(self)
        for key in ("problems", "advice"):
            found[key] = [problem._asdict() for problem in getattr(self, key)]
        return found


def check_site(
    site: Site,
    credentials: Callable[[Place], Credentials],
    *,
    measure_s: float = 2.0,
    cameras: bool = True,
) -> SiteReport:
    """Look at everything. cameras: open them, too; some let only few clients in."""
    configs, problems = _configs(site)
    began_ns = time.time_ns()
    answers = ask_all(site, credentials)
    problems += _others(site)
    problems += _machines(site, answers, began_ns, time.time_ns())
    probes = probe_cameras(configs, seconds=measure_s) if cameras else {}
    problems += [
        Problem(f"camera {probe.name}", probe.error, "its server and spares will not receive it either")
        for probe in probes.values()
        if probe.error
    ]
    problems += licence_problems(site, time.time_ns())
    rates = {camera.name: camera.bit_rate or _rate(probes, camera.name) for camera in site.cameras}
    needs = {
        spare.name: spare_needs(site, spare, rates, _memory_bytes(spare, answers[spare.name]))
        for spare in site.spares
    }
    problems += ring_problems(site, rates)
    problems += memory_problems(site, rates, needs)
    if site.spares:
        problems += _unwatched(site)
    return SiteReport(
        site=site.name,
        problems=tuple(problems),
        advice=tuple(advice(site)),
        machines={name: "" if answer.health else answer.error for name, answer in answers.items()},
        cameras=probes,
        spares=needs,
    )


def _rate(probes: Mapping[str, CameraProbe], name: str) -> int:
    return probes[name].bit_rate if name in probes else 0


def _configs(site: Site) -> tuple[list[CameraConfig], list[Problem]]:
    """Cameras that can be tried, and secrets that are not where the site says."""
    configs, problems = [], []
    for camera in site.cameras:
        try:
            configs.append(camera_config(camera))
        except ConfigError as error:
            problems.append(Problem(f"camera {camera.name}", str(error), error.hint))
    return configs, problems


def _machines(site: Site, answers: Mapping[str, Answer], began_ns: int, ended_ns: int) -> Iterator[Problem]:
    expected: list[tuple[str, Place]] = [("server", server) for server in site.servers]
    expected += [("spare", spare) for spare in site.spares]
    expected += [("management", place) for place in site.managements]
    for role, endpoint in expected:
        where, health = f"{role} {endpoint.name}", answers[endpoint.name].health
        if health is None:
            if not answers[endpoint.name].error:
                continue  # not fovideo's, but there
            yield Problem(where, answers[endpoint.name].error, "")
            continue
        if (health.name, health.role) != (endpoint.name, role) or health.site not in ("", site.name):
            found = f"{health.role} {health.name} of site {health.site!r}"
            yield Problem(where, f"at its address answers {found}", "check url and listen")
            continue
        if health.version and health.version != __version__:
            yield Problem(where, f"runs version {health.version}, not {__version__}", "update one of them")
        skew_ns = max(began_ns - health.now_ns, health.now_ns - ended_ns)
        if skew_ns > SKEW_NS:
            yield Problem(where, f"its clock differs by {format_duration(skew_ns)}", "set up NTP")
        if health.store.error:
            yield Problem(where, f"its store takes nothing: {health.store.error}", "")
        if isinstance(endpoint, Endpoint):
            yield from _loaded(site, role, endpoint, set(health.cameras), set(health.servers))


def _others(site: Site) -> Iterator[Problem]:
    """The lease service, and what tells a spare that it is cut off."""
    table = site.arbitration
    for endpoint in table.etcd:
        try:
            _look_into(site, endpoint)
        except FovideoError as error:
            hint = error.hint or "spares go on without it, and settle later"
            yield Problem(f"etcd {endpoint}", error.what, hint)
    for gateway in site.gateways:
        try:
            reach(as_target(gateway), _REACH_S)
        except FovideoError as error:
            yield Problem(f"gateway {gateway}", error.what, "spares would take themselves for cut off")


def _look_into(site: Site, endpoint: str) -> None:
    """Ask one member for the claims of this site."""
    from fovideo.lease.etcd import Access, EtcdLeases

    table = site.arbitration
    access = Access(
        endpoints=(endpoint,),
        ca_file=table.ca,
        cert_file=table.cert,
        key_file=table.key,
        user=table.user,
        password=table.secret_password(),
    )
    prefix = f"{table.prefix.rstrip('/')}/{site.name}/"
    with closing(EtcdLeases(access, "site-check", prefix=prefix, ttl_ns=table.ttl_ns)) as leases:
        leases.look()


def _loaded(
    site: Site, role: str, endpoint: Endpoint, cameras: set[str], servers: set[str]
) -> Iterator[Problem]:
    """Whether what runs is what the file says."""
    if isinstance(endpoint, Spare):
        watched = {server.name for server in site.watched_by(endpoint)}
        wanted = {c.name for c in site.cameras if c.server in watched and c.standby != "cold"}
    else:
        watched, wanted = set(), {camera.name for camera in site.cameras_of(endpoint.name)}
    differ = sorted(wanted ^ cameras) + sorted(watched ^ servers)
    if differ:
        what = f"runs with another site.toml than this one: {', '.join(differ)} differ"
        yield Problem(f"{role} {endpoint.name}", what, "reload it with this file (SIGHUP)")


def _memory_bytes(spare: Spare, answer: Answer) -> int:
    """What a spare allows its rings together: as it says, else as the file says; 0 = not known."""
    return answer.health.memory_bytes if answer.health is not None else spare.memory_bytes


def _unwatched(site: Site) -> Iterator[Problem]:
    watched = {server.name for spare in site.spares for server in site.watched_by(spare)}
    for server in site.servers:
        if server.name not in watched:
            yield Problem(f"server {server.name}", "no spare watches it", "add it to servers of a [[spare]]")
