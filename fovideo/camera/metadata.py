"""ONVIF metadata over RTP: fragments of XML documents put together again."""

from __future__ import annotations

import re

_LIMIT_BYTES = 1 << 20
_END = re.compile(rb"</(?:[\w.-]+:)?MetadataStream\s*>\s*\Z")
_END_BYTES = 64


class Documents:
    """Collects fragments that share a time until the document's closing tag.

    libavformat does not know this payload and hands over each RTP packet by itself, without its marker bit.
    """

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0
        self._times = (0, 0)

    def add(self, fragment: bytes, pts_ns: int, wall_ns: int) -> list[tuple[bytes, int, int]]:
        """Documents that are complete now, with pts and wall clock: none, one, or also the cut one before."""
        done = []
        if self._parts and (pts_ns != self._times[0] or self._size + len(fragment) > _LIMIT_BYTES):
            done.append(self._take())
        self._parts.append(fragment)
        self._size += len(fragment)
        self._times = pts_ns, wall_ns
        if _END.search(self._tail()):
            done.append(self._take())
        return done

    def _tail(self) -> bytes:
        """The end of what was collected; a tag may lie across fragments."""
        tail = b""
        for part in reversed(self._parts):
            tail = part[-_END_BYTES:] + tail
            if len(tail) >= _END_BYTES:
                break
        return tail

    def _take(self) -> tuple[bytes, int, int]:
        document = b"".join(self._parts)
        self._parts, self._size = [], 0
        return document, *self._times
