"""Segment files: fragmented MP4 that any player opens, with checksums, frame tables and clocks for a store.

Bytes in, values out: nothing here opens files or knows the index. Format: docs/ref/segment.md.
"""

from fovideo.segment.compose import Room, compose_fragment, encode_fragment, relocate
from fovideo.segment.fragment import Fragment, Notes, parse_fragment, samples
from fovideo.segment.frametable import decode_table, decode_tables, encode_table
from fovideo.segment.header import SegmentHeader, encode_header, read_header
from fovideo.segment.scan import fragments, next_fragment, scan
from fovideo.segment.together import compose_together

__all__ = [
    "Fragment",
    "Notes",
    "Room",
    "SegmentHeader",
    "compose_fragment",
    "compose_together",
    "decode_table",
    "decode_tables",
    "encode_fragment",
    "encode_header",
    "encode_table",
    "fragments",
    "next_fragment",
    "parse_fragment",
    "read_header",
    "relocate",
    "samples",
    "scan",
]
