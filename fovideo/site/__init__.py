"""The site: servers, spares and cameras, as site.toml names them (docs/ref/site.md)."""

from fovideo.site.check import Problem, advice
from fovideo.site.load import load_site
from fovideo.site.values import (
    Camera,
    Client,
    Detection,
    Duration,
    Endpoint,
    EventName,
    Server,
    Site,
    Size,
    Spare,
    Tls,
    Webhook,
)

__all__ = [
    "Camera",
    "Client",
    "Detection",
    "Duration",
    "Endpoint",
    "EventName",
    "Problem",
    "Server",
    "Site",
    "Size",
    "Spare",
    "Tls",
    "Webhook",
    "advice",
    "load_site",
]
