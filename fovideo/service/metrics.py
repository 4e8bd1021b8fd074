"""Prometheus metrics, made from the health of the process at the time of the scrape."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from fovideo.failover import State
from fovideo.peer.health import CameraHealth, Health, WatchedServer
from fovideo.times import NS_PER_S

AnyFamily = TypeVar("AnyFamily", CounterMetricFamily, GaugeMetricFamily)
Entry = TypeVar("Entry")

_CAMERA_COUNTERS: tuple[tuple[str, str, Callable[[CameraHealth], float]], ...] = (
    ("fovideo_camera_frames", "Frames received.", lambda c: c.frames),
    ("fovideo_camera_dropped_frames", "Frames for which memory had no room.", lambda c: c.dropped),
    ("fovideo_camera_lost_frames", "Frames that never reached the disk.", lambda c: c.lost),
    ("fovideo_camera_sessions", "Connections to the camera.", lambda c: c.sessions),
)
_CAMERA_GAUGES: tuple[tuple[str, str, Callable[[CameraHealth], float]], ...] = (
    ("fovideo_camera_live", "1 while the camera delivers.", lambda c: c.state == "live"),
    (
        "fovideo_camera_recording",
        "1 while it is recorded, 0 in standby.",
        lambda c: c.mode == "record",
    ),
    (
        "fovideo_camera_durable_edge_seconds",
        "Time of the newest frame on disk, since the Unix epoch; 0 before the first.",
        lambda c: c.durable_to_ns / NS_PER_S,
    ),
    ("fovideo_camera_held_bytes", "Received, but not on disk.", lambda c: c.held_bytes),
)
_SERVER_COUNTERS: tuple[tuple[str, str, Callable[[WatchedServer], float]], ...] = (
    ("fovideo_takeovers", "Times this spare took over cameras of the server.", lambda s: s.takeovers),
    ("fovideo_merge_passes", "Merge passes into the server.", lambda s: s.merges),
    ("fovideo_merged_frames", "Frames given back to the server.", lambda s: s.inserted_frames),
)
_SERVER_GAUGES: tuple[tuple[str, str, Callable[[WatchedServer], float]], ...] = (
    ("fovideo_cameras_stood_in", "Cameras of the server with this spare now.", lambda s: len(s.cameras)),
    ("fovideo_unmerged_frames", "Frames not yet confirmed by the server.", lambda s: s.unmerged_frames),
    (
        "fovideo_outage_missing_seconds",
        "Of the last outage, what no machine received, over all cameras.",
        lambda s: sum(s.missing_ns.values()) / NS_PER_S,
    ),
    (
        "fovideo_server_answered_seconds",
        "Last sign of life, since the Unix epoch.",
        lambda s: s.answered_ns / NS_PER_S,
    ),
    ("fovideo_server_suspicion", "0 at an answer, 1 and more: it counts as down.", lambda s: s.suspicion),
    ("fovideo_cameras_uncovered", "Cameras that no spare has room for.", lambda s: len(s.left)),
    ("fovideo_spare_cut_off", "1 while it may be this spare that is cut off.", lambda s: s.cut_off),
)


class HealthCollector(Collector):
    """Collects from a Health; belongs in a registry of its own."""

    def __init__(self, health: Callable[[], Health]) -> None:
        self._health = health

    def describe(self) -> Iterable[Metric]:
        """Nothing: what there is depends on the cameras."""
        return ()

    def collect(self) -> Iterable[Metric]:
        health = self._health()
        about = {"name": health.name, "role": health.role, "site": health.site, "version": health.version}
        yield InfoMetricFamily("fovideo", "The process.", value={**about, "store": health.store.id})
        for name, text, of_camera in _CAMERA_COUNTERS:
            yield _family(CounterMetricFamily, name, text, "camera", health.cameras, of_camera)
        for name, text, of_camera in _CAMERA_GAUGES:
            yield _family(GaugeMetricFamily, name, text, "camera", health.cameras, of_camera)
        yield CounterMetricFamily("fovideo_store_commits", "Group commits.", value=health.store.commits)
        yield CounterMetricFamily("fovideo_store_failures", "Failed commits.", value=health.store.failures)
        yield GaugeMetricFamily(
            "fovideo_store_working", "0 while it takes nothing.", value=not health.store.error
        )
        if not health.servers:
            return
        for name, text, of_server in _SERVER_COUNTERS:
            yield _family(CounterMetricFamily, name, text, "server", health.servers, of_server)
        for name, text, of_server in _SERVER_GAUGES:
            yield _family(GaugeMetricFamily, name, text, "server", health.servers, of_server)
        states = GaugeMetricFamily(
            "fovideo_failover_state", "1 for the state that holds.", labels=("server", "state")
        )
        for server, watched in health.servers.items():
            for state in State:
                states.add_metric((server, state.value), watched.state == state)
        yield states


def _family(
    kind: Callable[..., AnyFamily],
    name: str,
    text: str,
    label: str,
    entries: Mapping[str, Entry],
    value: Callable[[Entry], float],
) -> AnyFamily:
    family = kind(name, text, labels=(label,))
    for key, entry in entries.items():
        family.add_metric((key,), float(value(entry)))
    return family
