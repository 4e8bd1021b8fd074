"""The index of a store, in LMDB: streams, segments, GOP rows, provenance, losses. Opens no segment file."""

from fovideo.index.env import DEFAULT_MAP_BYTES
from fovideo.index.index import Index
from fovideo.index.rows import SERIALS_PER_SEGMENT, SegmentRow, SegmentState, StreamRow, segment_of
from fovideo.index.update import Update
from fovideo.index.view import View

__all__ = [
    "DEFAULT_MAP_BYTES",
    "SERIALS_PER_SEGMENT",
    "Index",
    "SegmentRow",
    "SegmentState",
    "StreamRow",
    "Update",
    "View",
    "segment_of",
]
