"""A whole site at one instant: who stands in for whom, how every machine and camera is, what is lost."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import msgspec

from fovideo.errors import FovideoError
from fovideo.merge.doing.running import MergeStatus
from fovideo.peer import Credentials, Health, Probe, Unanswered
from fovideo.service.reaching import reach
from fovideo.site import Endpoint, Place, Server, Site
from fovideo.site.target import as_target
from fovideo.times import NS_PER_S, format_ns

WATCHING, SUSPECT = "watching", "suspect"


class Answer(NamedTuple):
    """What a machine said, or why it said nothing. A server that is not fovideo's has no health.

    refused: a machine is there and said that nobody listens.
    """

    health: Health | None
    error: str = ""
    refused: bool = False


class CameraView(msgspec.Struct, frozen=True, kw_only=True):
    """A camera at its server.

    lag_s: age of the newest frame on disk; None before the first. lost: frames received, never written.
    missing_s: of the last outage, what no machine received.
    stood_in_by: the spares that record it now. error: what is wrong, "" when nothing is.
    """

    name: str
    state: str
    lag_s: float | None = None
    lost: int = 0
    missing_s: float = 0.0
    stood_in_by: tuple[str, ...] = ()
    error: str = ""


class StandIn(msgspec.Struct, frozen=True, kw_only=True):
    """What a spare does about a server. since: of the takeover. unmerged_frames: held, not given back."""

    spare: str
    state: str
    lease: int
    cameras: tuple[str, ...]
    since: str
    merges: int
    merged_frames: int
    unmerged_frames: int
    error: str = ""


class MachineView(msgspec.Struct, frozen=True, kw_only=True):
    """A server or a spare. state: "down" when it does not answer. stood_in_by: of a server only.

    recorded_to: of a server that is down: the newest frame that it was heard to have on disk.
    """

    name: str
    role: str
    url: str
    state: str
    error: str = ""
    cameras: tuple[CameraView, ...] = ()
    stood_in_by: tuple[StandIn, ...] = ()
    recorded_to: str = ""


class MergeView(msgspec.Struct, frozen=True, kw_only=True):
    """A merge that a machine carries out now."""

    machine: str
    merge: MergeStatus


class SiteView(msgspec.Struct, frozen=True, kw_only=True):
    """problems: one line each; none when all is well."""

    site: str
    time: str
    machines: tuple[MachineView, ...]
    problems: tuple[str, ...]
    merges: tuple[MergeView, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """The object of `status --json`."""
        found: dict[str, Any] = msgspec.to_builtins(self)
        return found


def ask_all(
    site: Site, credentials: Callable[[Place], Credentials], *, timeout_ns: int = 3 * NS_PER_S
) -> dict[str, Answer]:
    """The health of every server and spare, asked at once, by name."""
    endpoints: tuple[Place, ...] = (*site.servers, *site.spares, *site.managements)

    def ask(endpoint: Place) -> Answer:
        if isinstance(endpoint, Server) and endpoint.watch:
            try:
                reach(as_target(endpoint.watch), timeout_ns / NS_PER_S)
            except FovideoError as error:
                return Answer(None, str(error))
            return Answer(None)
        url = site.reached_at(endpoint)
        if not url:
            return Answer(None, "nothing tells where to reach it (add url)")
        try:
            probe = Probe(url, credentials=credentials(endpoint), timeout_ns=timeout_ns)
            try:
                return Answer(probe.ask())
            finally:
                probe.close()
        except FovideoError as error:
            return Answer(None, str(error), isinstance(error, Unanswered) and error.refused)

    with ThreadPoolExecutor(max(len(endpoints), 1)) as pool:
        return dict(zip([e.name for e in endpoints], pool.map(ask, endpoints), strict=True))


def overview(site: Site, answers: Mapping[str, Answer], now_ns: int) -> SiteView:
    """What the answers mean together. Pure."""
    machines = [_server(site, server, answers) for server in site.servers]
    machines += [_spare(site, spare, answers) for spare in site.spares]
    machines += [_management(site, place, answers) for place in site.managements]
    return SiteView(
        site=site.name,
        time=format_ns(now_ns),
        machines=tuple(machines),
        problems=tuple(line for machine in machines for line in _problems(machine)),
        merges=tuple(
            MergeView(machine=name, merge=status)
            for name, (health, *_) in answers.items()
            if health is not None
            for status in health.merges
        ),
    )


def _server(site: Site, server: Server, answers: Mapping[str, Answer]) -> MachineView:
    health, error, _ = answers[server.name]
    stands_in = [
        _stand_in(spare.name, watched)
        for spare in site.spares
        if (said := answers[spare.name].health) is not None
        and (watched := said.servers.get(server.name)) is not None
        and (watched.state not in (WATCHING, SUSPECT) or watched.unmerged_frames)
    ]
    cameras = []
    for camera in site.cameras_of(server.name):
        by = tuple(each.spare for each in stands_in if camera.name in each.cameras)
        seen = health.cameras.get(camera.name) if health else None
        if server.watch:
            cameras.append(CameraView(name=camera.name, state="unknown", stood_in_by=by))
            continue
        if health is None or seen is None:
            missing = (
                "its server does not answer" if health is None else "its server does not know it: reload it"
            )
            cameras.append(CameraView(name=camera.name, state="unknown", stood_in_by=by, error=missing))
            continue
        edge_ns = seen.durable_to_ns
        cameras.append(
            CameraView(
                name=camera.name,
                state=seen.state,
                lag_s=round((health.now_ns - edge_ns) / NS_PER_S, 3) if edge_ns else None,
                lost=seen.lost + seen.dropped,
                missing_s=_missing_s(server.name, camera.name, answers),
                stood_in_by=by,
                error=seen.error,
            )
        )
    return MachineView(
        name=server.name,
        role="server",
        url=site.reached_at(server),
        state=health.state if health else "down" if error else "answers",
        error=error or (health.store.error if health else ""),
        cameras=tuple(cameras),
        stood_in_by=tuple(stands_in),
        recorded_to=_recorded_to(server.name, answers) if health is None and error else "",
    )


def _recorded_to(server: str, answers: Mapping[str, Answer]) -> str:
    edges = [
        edge_ns
        for health, *_ in answers.values()
        if health is not None and server in health.servers
        for edge_ns in health.servers[server].recorded_to_ns.values()
    ]
    return format_ns(max(edges)) if edges else ""


def _missing_s(server: str, camera: str, answers: Mapping[str, Answer]) -> float:
    """As the spare says that brought the server back last."""
    watched = [
        health.servers[server]
        for health, *_ in answers.values()
        if health is not None and server in health.servers
    ]
    last = max(watched, key=lambda each: each.handback_ns, default=None)
    return round(last.missing_ns.get(camera, 0) / NS_PER_S, 3) if last is not None else 0.0


def _stand_in(spare: str, watched: Any) -> StandIn:
    return StandIn(
        spare=spare,
        state=watched.state,
        lease=watched.lease,
        cameras=tuple(watched.cameras),
        since=format_ns(watched.takeover_ns) if watched.takeover_ns else "",
        merges=watched.merges,
        merged_frames=watched.inserted_frames,
        unmerged_frames=watched.unmerged_frames,
        error=watched.error,
    )


def _spare(site: Site, spare: Endpoint, answers: Mapping[str, Answer]) -> MachineView:
    health, error, _ = answers[spare.name]
    cameras = (
        ()
        if health is None
        else tuple(
            CameraView(name=name, state=camera.state, lost=camera.lost + camera.dropped, error=camera.error)
            for name, camera in health.cameras.items()
        )
    )
    return MachineView(
        name=spare.name,
        role="spare",
        url=site.reached_at(spare),
        state=health.state if health else "down",
        error=error or (health.store.error or health.arbitration if health else ""),
        cameras=cameras,
    )


def _management(site: Site, place: Place, answers: Mapping[str, Answer]) -> MachineView:
    health, error, _ = answers[place.name]
    return MachineView(
        name=place.name,
        role="management",
        url=site.reached_at(place),
        state=health.state if health else "down",
        error=error,
    )


def _problems(machine: MachineView) -> list[str]:
    if machine.state == "down":
        lines = [f"{machine.name} does not answer: {machine.error}"]
        if machine.recorded_to:
            until = f"what it recorded until {machine.recorded_to}"
            lines.append(f"{machine.name}: {until} cannot be reached until it returns")
    else:
        lines = [f"{machine.name}: {machine.error}"] if machine.error else []
        lines += [
            f"{machine.name}: camera {camera.name} is {camera.state}"
            + (f": {camera.error}" if camera.error else "")
            for camera in machine.cameras
            if camera.state != "live" and (camera.error or camera.state != "unknown")
        ]
    for stand_in in machine.stood_in_by:
        line = f"{machine.name}: {stand_in.spare} is {stand_in.state}"
        line += f", {stand_in.unmerged_frames} frames to merge"
        lines.append(line + (f": {stand_in.error}" if stand_in.error else ""))
    return lines
