"""The directory of a site: who serves which camera now, from what all its processes say. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from msgspec.structs import replace

from fovideo.peer import Directory, Health, MachineState, ManagementStatus, StreamPlace
from fovideo.site import Camera, Site, Spare

_LIVE = "live"
_UNKNOWN = ManagementStatus(name="", role="", acting=False)


class Answer(NamedTuple):
    """What a process said when it was asked last; health None: it did not answer, and why."""

    health: Health | None
    error: str = ""


_SILENT = Answer(None)


def directory_of(
    site: Site, answers: Mapping[str, Answer], *, manager: ManagementStatus = _UNKNOWN, now_ns: int = 0
) -> Directory:
    """The site as it is now. answers: by name of server and spare."""
    return Directory(
        site=site.name,
        manager=manager,
        now_ns=now_ns,
        streams=tuple(_place(site, camera, answers) for camera in site.cameras),
        machines={
            **{server.name: _machine(site, "server", server.name, answers) for server in site.servers},
            **{spare.name: _machine(site, "spare", spare.name, answers) for spare in site.spares},
        },
    )


def _place(site: Site, camera: Camera, answers: Mapping[str, Answer]) -> StreamPlace:
    standing = [
        (watched.lease, spare, watched)
        for spare, health in _spares(site, camera, answers)
        if (watched := health.servers.get(camera.server)) is not None and camera.name in watched.cameras
    ]
    server = answers.get(camera.server, _SILENT).health
    own = None if server is None else server.cameras.get(camera.name)
    lost = 0 if own is None else own.dropped + own.lost
    unmerged = sum(
        health.servers[camera.server].unmerged_frames
        for _, health in _spares(site, camera, answers)
        if camera.server in health.servers
    )
    away = tuple(name for name in holders(site, camera.server) if answers.get(name, _SILENT).health is None)
    common = StreamPlace(
        camera=camera.name,
        server=camera.server,
        by="",
        state="unserved",
        unmerged_frames=unmerged,
        unreachable=away,
        recorded_to_ns=recorded_to_ns(site, camera.name, answers) if camera.server in away else 0,
    )
    if standing:
        lease, spare, watched = max(standing, key=lambda each: each[0])
        health = answers[spare.name].health
        here = None if health is None else health.cameras.get(camera.name)
        return replace(
            common,
            by=spare.name,
            state=watched.cameras[camera.name],
            live=_url(site.restreams_at(spare), camera.name),
            durable_to_ns=0 if here is None else here.durable_to_ns,
            missing_frames=lost + (0 if here is None else here.dropped + here.lost),
            lease=lease,
        )
    if own is not None:
        return replace(
            common,
            by=camera.server,
            state="recording" if own.state == _LIVE else own.state,
            live=_url(site.restreams_at(site.server(camera.server)), camera.name),
            durable_to_ns=own.durable_to_ns,
            missing_frames=lost,
        )
    for spare, health in _spares(site, camera, answers):
        here = health.cameras.get(camera.name)
        if here is not None and here.state == _LIVE:
            live = _url(site.restreams_at(spare), camera.name)
            return replace(common, by=spare.name, state="live only", live=live)
    return common


def holders(site: Site, server: str) -> tuple[str, ...]:
    """The machines that may hold footage of a server's cameras: itself, and the spares that watch it."""
    spares = tuple(each.name for each in site.spares if not each.servers or server in each.servers)
    return spares if site.server(server).watch else (server, *spares)


def recorded_to_ns(site: Site, camera: str, answers: Mapping[str, Answer]) -> int:
    """Up to where a camera's server had it on disk when anybody heard it last; 0 = nobody knows."""
    server = next((each.server for each in site.cameras if each.name == camera), "")
    health = answers.get(server, _SILENT).health
    edges = [health.cameras[camera].durable_to_ns] if health and camera in health.cameras else []
    for spare in site.spares:
        said = answers.get(spare.name, _SILENT).health
        if said is not None and server in said.servers:
            edges.append(said.servers[server].recorded_to_ns.get(camera, 0))
    return max(edges, default=0)


def _spares(site: Site, camera: Camera, answers: Mapping[str, Answer]) -> list[tuple[Spare, Health]]:
    """The spares of a camera's server that answer."""
    return [
        (spare, health)
        for spare in site.spares
        if spare.name in holders(site, camera.server)
        and (health := answers.get(spare.name, _SILENT).health) is not None
    ]


def _machine(site: Site, role: str, name: str, answers: Mapping[str, Answer]) -> MachineState:
    health, error = answers.get(name, Answer(None, "not asked yet"))
    place = site.server(name) if role == "server" else site.spare(name)
    if health is None:
        return MachineState(role=role, state="", url=site.reached_at(place), error=error)
    return MachineState(
        role=role,
        state=health.state,
        url=site.reached_at(place),
        store_error=health.store.error,
        stands_in_for=tuple(sorted(server for server, watched in health.servers.items() if watched.cameras)),
        attached=site.server(name).attached if role == "server" else (),
        cameras=len(health.cameras),
    )


def _url(base: str, camera: str) -> str:
    return f"{base}/{camera}" if base else ""
