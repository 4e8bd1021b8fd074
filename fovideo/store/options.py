"""Settings of a store."""

from __future__ import annotations

import msgspec

from fovideo.index import DEFAULT_MAP_BYTES
from fovideo.times import NS_PER_S


class StoreOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How a store is written. They may differ from one opening to the next.

    segment_bytes, segment_duration_ns: a segment that reaches one of them ends at the next GOP.
    durability_ns: the longest that a frame may stay unsafe; whoever writes commits at least twice as often.
    quota_bytes, max_age_ns: retention, 0 = unlimited.
    map_bytes: address space reserved for the index.
    """

    segment_bytes: int = 256 << 20
    segment_duration_ns: int = 600 * NS_PER_S
    durability_ns: int = NS_PER_S
    quota_bytes: int = 0
    max_age_ns: int = 0
    map_bytes: int = DEFAULT_MAP_BYTES
