"""Timelines: values, pure functions over rows, and the interface that stores and peers implement."""

from fovideo.timeline.choose import Choice, choose
from fovideo.timeline.cover import covers
from fovideo.timeline.endpoint import FileRange, Inserted, Stretch, Timeline
from fovideo.timeline.gaps import gaps
from fovideo.timeline.order import effective, play_order
from fovideo.timeline.spans import spans
from fovideo.timeline.values import Correction, Gap, Gop, GopFlag, Loss, Provenance, Span, StreamInfo

__all__ = [
    "Choice",
    "Correction",
    "FileRange",
    "Gap",
    "Gop",
    "GopFlag",
    "Inserted",
    "Loss",
    "Provenance",
    "Span",
    "StreamInfo",
    "Stretch",
    "Timeline",
    "choose",
    "covers",
    "effective",
    "gaps",
    "play_order",
    "spans",
]
