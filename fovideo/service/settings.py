"""From the tables of site.toml to the settings of the parts."""

from __future__ import annotations

from fovideo.camera import CameraConfig
from fovideo.failover import Settings
from fovideo.site import Camera, Detection, Endpoint
from fovideo.store import StoreOptions


def store_options(endpoint: Endpoint) -> StoreOptions:
    return StoreOptions(
        segment_bytes=endpoint.segment_bytes,
        segment_duration_ns=endpoint.segment_duration_ns,
        durability_ns=endpoint.durability_ns,
        quota_bytes=endpoint.quota_bytes,
        max_age_ns=endpoint.max_age_ns,
    )


def camera_config(camera: Camera) -> CameraConfig:
    """Raises ConfigError when its password is not where the site says, or the whole makes no sense."""
    return CameraConfig(
        name=camera.name,
        url=str(camera.url),
        transport=camera.transport,
        ingest=camera.ingest,
        user=camera.user,
        password=camera.secret_password(),
        open_timeout_ns=camera.open_timeout_ns,
        freeze_ns=camera.freeze_ns,
        backoff_min_ns=camera.backoff_min_ns,
        backoff_max_ns=camera.backoff_max_ns,
        preroll_ns=camera.preroll_ns if camera.standby == "hot" else 0,
        ring_bytes=camera.ring_bytes,
        audio=camera.audio,
        metadata=camera.metadata,
        realtime=True,
    )


def failover_settings(detection: Detection) -> Settings:
    names = set(Settings.__struct_fields__) & set(type(detection).__struct_fields__)
    return Settings(**{name: getattr(detection, name) for name in names})
