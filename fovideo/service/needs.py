"""What spares must hold in memory for the cameras that they watch, and whether there is room. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from fovideo.record.memory import shares
from fovideo.site import Camera, Problem, Site, Spare
from fovideo.times import NS_PER_S, format_bytes, format_duration

_PREROLL_MARGIN = 1.25
"""Bit rates swing, and the pre-roll is whole GOPs."""


class SpareNeeds(msgspec.Struct, frozen=True, kw_only=True):
    """What a spare spends on watching, whether it stands in or not. Bit rates as measured or stated.

    preroll_bytes: of the footage held in memory; ring_bytes: the most that it may become, which is what its
    cameras ask for or what the spare allows all of them together. held: of what part of the pre-roll that
    they ask for there is room, by camera; those that have room for all are not named.
    unknown: cameras whose bit rate is not known, so that they are not in the sums.
    """

    cameras: int
    preroll_bytes: int
    ring_bytes: int
    bits_per_second: int
    held: dict[str, float] = {}
    unknown: tuple[str, ...] = ()


def spare_needs(site: Site, spare: Spare, rates: Mapping[str, int], memory_bytes: int = 0) -> SpareNeeds:
    """Sums over the cameras that a spare watches. Pure.

    rates: bits a second by camera, 0 = not known. memory_bytes: for all rings together, 0 = not known.
    """
    watched = {server.name for server in site.watched_by(spare)}
    cameras = [c for c in site.cameras if c.server in watched and c.standby != "cold"]
    rooms = shares({camera.name: camera.ring_bytes for camera in cameras}, memory_bytes)
    prerolls = {c.name: _preroll_bytes(c, rates[c.name]) for c in cameras if c.standby == "hot"}
    return SpareNeeds(
        cameras=len(cameras),
        preroll_bytes=sum(min(size, rooms[name]) for name, size in prerolls.items()),
        ring_bytes=sum(rooms.values()),
        held={name: rooms[name] / size for name, size in prerolls.items() if size > rooms[name]},
        bits_per_second=sum(rates[camera.name] for camera in cameras),
        unknown=tuple(camera.name for camera in cameras if not rates[camera.name]),
    )


def _preroll_bytes(camera: Camera, bits_per_second: int) -> int:
    return round(camera.preroll_ns / NS_PER_S * bits_per_second / 8 * _PREROLL_MARGIN)


def ring_problems(site: Site, rates: Mapping[str, int]) -> Iterator[Problem]:
    """Cameras whose own rings are too small for their pre-roll."""
    for camera in site.cameras if site.spares else ():
        needed = _preroll_bytes(camera, rates[camera.name])
        if needed > camera.ring_bytes:
            held_ns = camera.preroll_ns * camera.ring_bytes // needed
            what = f"its ring holds only {format_duration(held_ns)} of {format_duration(camera.preroll_ns)}"
            yield Problem(f"camera {camera.name}", what, f'ring = "{-(-needed // 2**20)}MiB" holds all')


def memory_problems(
    site: Site, rates: Mapping[str, int], needs: Mapping[str, SpareNeeds]
) -> Iterator[Problem]:
    """Spares whose memory for all rings cuts pre-rolls that the rings by themselves would hold."""
    cameras = {camera.name: camera for camera in site.cameras}
    for spare, need in needs.items():
        own = {n: cameras[n].ring_bytes / _preroll_bytes(cameras[n], rates[n]) for n in need.held}
        cut = {name: held for name, held in need.held.items() if held < min(own[name], 1)}
        if not cut:
            continue
        name = min(cut, key=cut.__getitem__)
        preroll_ns = cameras[name].preroll_ns
        held_ns = round(preroll_ns * cut[name])
        yield Problem(
            f"spare {spare}",
            f"its memory for all rings, {format_bytes(need.ring_bytes)}, is too small for the pre-roll of "
            f"{len(cut)} cameras: of {name} it holds {format_duration(held_ns)} "
            f"of {format_duration(preroll_ns)}",
            "give it more memory, or its cameras to more spares",
        )
