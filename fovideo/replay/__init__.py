"""Replay: stretches of a timeline out to MP4 or over RTSP, and clips that play the part of a camera."""

from fovideo.replay.clip import Clip, load_clip
from fovideo.replay.cut import cut_clip
from fovideo.replay.encoder import metadata_document
from fovideo.replay.export import Exported, export_mp4
from fovideo.replay.live import LiveSource
from fovideo.replay.loop import LoopSource, Sent
from fovideo.replay.ondemand import TimelineSource
from fovideo.replay.read import Packet, read_packets
from fovideo.replay.rtsp.server import RtspServer
from fovideo.replay.rtsp.settings import Settings
from fovideo.replay.source import Moved
from fovideo.replay.testclip import make_clip

__all__ = [
    "Clip",
    "Exported",
    "LiveSource",
    "LoopSource",
    "Moved",
    "Packet",
    "RtspServer",
    "Sent",
    "Settings",
    "TimelineSource",
    "cut_clip",
    "export_mp4",
    "load_clip",
    "make_clip",
    "metadata_document",
    "read_packets",
]
