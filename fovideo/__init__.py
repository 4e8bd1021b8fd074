"""fovideo: failover recording for video surveillance.

What most hosts need is here; `import fovideo` itself loads nothing, a name is loaded when it is first used.
Merging is `from fovideo.merge import merge`.
"""

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

try:
    __version__ = version("fovideo")
except PackageNotFoundError:  # imported from a source tree that was never installed
    __version__ = "0+source"

if TYPE_CHECKING:
    from fovideo.camera import CameraConfig, CameraState
    from fovideo.errors import FovideoError
    from fovideo.merge import MergeReport
    from fovideo.peer import RemoteStore, open_timeline
    from fovideo.record import CameraStatus, Mode, Recorder
    from fovideo.replay import LoopSource, Packet, RtspServer, TimelineSource, export_mp4, read_packets
    from fovideo.service.serve import RecordingServer
    from fovideo.service.spare import Spare
    from fovideo.site import Site, load_site
    from fovideo.store import Store, StoreOptions
    from fovideo.store.describe import StreamDescription, describe, gaps
    from fovideo.timeline import Gap, Span, Timeline
    from fovideo.times import format_ns, parse_ns

_HOMES = {
    "fovideo.camera": ("CameraConfig", "CameraState"),
    "fovideo.errors": ("FovideoError",),
    "fovideo.merge": ("MergeReport",),
    "fovideo.peer": ("RemoteStore", "open_timeline"),
    "fovideo.record": ("CameraStatus", "Mode", "Recorder"),
    "fovideo.replay": ("LoopSource", "Packet", "RtspServer", "TimelineSource", "export_mp4", "read_packets"),
    "fovideo.service.serve": ("RecordingServer",),
    "fovideo.service.spare": ("Spare",),
    "fovideo.site": ("Site", "load_site"),
    "fovideo.store": ("Store", "StoreOptions"),
    "fovideo.store.describe": ("StreamDescription", "describe", "gaps"),
    "fovideo.timeline": ("Gap", "Span", "Timeline"),
    "fovideo.times": ("format_ns", "parse_ns"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "CameraConfig",
    "CameraState",
    "CameraStatus",
    "FovideoError",
    "Gap",
    "LoopSource",
    "MergeReport",
    "Mode",
    "Packet",
    "Recorder",
    "RecordingServer",
    "RemoteStore",
    "RtspServer",
    "Site",
    "Span",
    "Spare",
    "Store",
    "StoreOptions",
    "StreamDescription",
    "Timeline",
    "TimelineSource",
    "describe",
    "export_mp4",
    "format_ns",
    "gaps",
    "load_site",
    "open_timeline",
    "parse_ns",
    "read_packets",
]


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module 'fovideo' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(home), name)
    return value


def __dir__() -> list[str]:
    return [*globals(), *_HOME_OF]
