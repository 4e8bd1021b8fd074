"""Replay: stretches of a timeline out to MP4 or over RTSP, and clips that play the part of a camera."""

from fovideo.replay.clip import Clip, load_clip
from fovideo.replay.encoder import metadata_document
from fovideo.replay.loop import LoopSource, Sent
from fovideo.replay.rtsp.server import RtspServer
from fovideo.replay.rtsp.settings import Settings
from fovideo.replay.testclip import make_clip

__all__ = [
    "Clip",
    "LoopSource",
    "RtspServer",
    "Sent",
    "Settings",
    "load_clip",
    "make_clip",
    "metadata_document",
]
