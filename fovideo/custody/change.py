"""Changes: what is not as a manifest says, and exactly where."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec

from fovideo.media.codec import AUDIO_TRACK, METADATA_TRACK, VIDEO_TRACK
from fovideo.times import format_ns

_TRACKS = {VIDEO_TRACK: "video", AUDIO_TRACK: "audio", METADATA_TRACK: "metadata"}


class ChangeKind(StrEnum):
    """What was changed. Stable words for programs."""

    MANIFEST = "manifest"  # the manifest itself
    SIGNATURE = "signature"  # there is none, or it is not that key's
    MISSING = "missing"  # footage that is not there any more
    INDEX = "index"  # the index says something else of it
    HEADER = "header"  # bytes before the first GOP of a segment file
    HEAD = "head"  # bytes of a fragment that are no samples: times, sizes, boxes for players
    SAMPLE = "sample"  # bytes of a frame, or of metadata
    ADDED = "added"  # bytes behind the last GOP of a segment file


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is not as the manifest says.

    where: segment file, or line of the manifest. gop_ns: effective start of the GOP. frame: number of the
    sample in its GOP, from 1; 0 = none. time_ns: its effective presentation time. offset: of the first byte
    that may differ, in the segment file (over a URL too); size: how many may. was, now: the bytes before and
    after, hexadecimal, where the manifest tells them: then `size` is exact and proven by a hash; else "".
    """

    kind: ChangeKind
    what: str
    where: str
    stream: str = ""
    gop_ns: int | None = None
    frame: int = 0
    track: int = 0
    time_ns: int | None = None
    offset: int | None = None
    size: int = 0
    was: str = ""
    now: str = ""

    def __str__(self) -> str:
        """One line for people."""
        parts = [self.where]
        if self.gop_ns is not None:
            parts.append(f"GOP of {format_ns(self.gop_ns)}")
        if self.frame and self.time_ns is not None:
            track = _TRACKS.get(self.track, f"track {self.track}")
            parts.append(f"sample {self.frame} ({track}, {format_ns(self.time_ns)})")
        if self.offset is not None:
            last = self.offset + self.size - 1
            parts.append(f"byte {self.offset}" if self.size == 1 else f"bytes {self.offset} to {last}")
        return ", ".join(part for part in parts if part) + f": {self.what}"

    def as_json(self) -> dict[str, Any]:
        """The object of `check --json`; times RFC 3339, what does not apply left out."""
        plain = msgspec.to_builtins(self)
        found = {key: value for key, value in plain.items() if value not in ("", None)}
        for key, name in (("gop_ns", "gop"), ("time_ns", "time")):
            if key in found:
                found[name] = format_ns(found.pop(key))
        if not self.frame:
            del found["frame"], found["track"]
        if self.offset is None:
            del found["size"]
        return found
