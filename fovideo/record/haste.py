"""Whether frames come faster than they are written."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from fovideo.times import NS_PER_S, format_bytes, format_duration

if TYPE_CHECKING:
    from fovideo.record.lane import Lane

_log = logging.getLogger(__name__)

_PATIENCE = 2  # times the promised durability
_TELLING_NS = 10 * NS_PER_S


class Haste:
    """Says in the log when writing falls behind, when frames are lost by it, and when it keeps up again."""

    def __init__(self, name: str, durability_ns: int) -> None:
        self._name, self._durability_ns = name, durability_ns
        self._behind = False
        self._before = self._told = self._told_ns = 0

    def took(self, round_ns: int, now_ns: int, lanes: Sequence[Lane]) -> None:
        """A round over these lanes took this long. now_ns: of any clock that only rises."""
        if not self._behind and round_ns <= _PATIENCE * self._durability_ns:
            return
        dropped = sum(lane.dropped_frames for lane in lanes)
        if not self._behind:
            self._behind, self._before, self._told, self._told_ns = True, dropped, dropped, 0
            _log.warning(
                "%s: the disk, or the machine, is too slow for what comes: writing took %s, %s are promised",
                self._name,
                format_duration(round_ns),
                format_duration(self._durability_ns),
            )
        if dropped > self._told and now_ns >= self._told_ns + _TELLING_NS:
            self._told, self._told_ns = dropped, now_ns
            room = format_bytes(sum(lane.allowed_bytes for lane in lanes))
            _log.error(
                "%s: the disk is too slow, and memory for what waits (%s) is full: %d frames are lost so far",
                self._name,
                room,
                dropped - self._before,
            )
        if round_ns <= self._durability_ns:
            self._behind = False
            lost = dropped - self._before
            _log.warning("%s: writing keeps up again; %d frames were lost meanwhile", self._name, lost)
