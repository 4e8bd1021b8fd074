"""The site: servers, spares and cameras, as site.toml names them (docs/ref/site.md)."""

from fovideo.site.check import advice
from fovideo.site.fields import Duration, Size
from fovideo.site.load import load_site, read_text, site_from
from fovideo.site.problem import Problem
from fovideo.site.values import (
    Arbitration,
    Camera,
    Client,
    Detection,
    Endpoint,
    EventName,
    Hook,
    Licence,
    Management,
    Place,
    Restream,
    Server,
    Site,
    Spare,
    Tls,
    Webhook,
)

__all__ = [
    "Arbitration",
    "Camera",
    "Client",
    "Detection",
    "Duration",
    "Endpoint",
    "EventName",
    "Hook",
    "Licence",
    "Management",
    "Place",
    "Problem",
    "Restream",
    "Server",
    "Site",
    "Size",
    "Spare",
    "Tls",
    "Webhook",
    "advice",
    "load_site",
    "read_text",
    "site_from",
]
