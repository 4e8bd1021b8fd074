"""The values of a timeline: GOPs, spans, gaps, provenance. Pure data; all times ns since the Unix epoch."""

from __future__ import annotations

import re

import msgspec

from fovideo.errors import UsageError
from fovideo.media.codec import Track

STREAM_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def check_stream_name(name: str) -> str:
    """The name, if it can name a stream (and a folder on every system); else UsageError."""
    if STREAM_NAME.fullmatch(name) is None or name.endswith("."):
        raise UsageError(
            f"not a stream name: {name!r}",
            hint="letters, digits, '.', '_' and '-', at most 64, no leading '.'",
        )
    return name


class Correction(msgspec.Struct, frozen=True, array_like=True):
    """Clock correction of inserted footage: corrected = stored + offset + drift * (stored - reference)."""

    offset_ns: int = 0
    drift_ppb: int = 0
    reference_ns: int = 0

    def shift_ns(self, stored_ns: int) -> int:
        """What to add to a stored time."""
        return self.offset_ns + self.drift_ppb * (stored_ns - self.reference_ns) // 1_000_000_000


class Splice:
    """Bits of Provenance.splice: how inserted footage meets what lies beside it in the timeline."""

    FOLLOWS = 1  # what does not start at a keyframe continues the frame before it
    LEADS = 2  # a frame right after it that is no keyframe continues it
    CONFLICT = 4  # the same instants are held with other content: not shown by default
    DOUBTFUL = 8  # beside CONFLICT: with equal content, but perhaps of another repetition of the scene
    NAMED = 16  # Provenance.links says which frames continue which: FOLLOWS and LEADS are for older readers
    GUESSED = 32  # Provenance.ahead_ns may be wrong: clocks left open more than one


class Provenance(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who recorded a stretch, and how it came here. Kept in the segment file and the index.

    recorder: name of the machine or process that received the frames ("rec-1", "spare-1").
    session: 16 hex digits, new for each connection to the camera.
    source: where the frames came from, redacted ("rtsp://10.0.0.7/stream1").
    store: id of the store that first wrote the frames.
    inserted_from: id of the store they were merged from; "" = recorded here.
    inserted_ns: when they were merged.
    lease: fencing number of the takeover under which they were recorded or merged; 0 = none.
    splice: Splice bits of what was inserted; 0 = recorded here, or neither end continues anything.
    ahead_ns: what to add to the times at which the frames were received, so that the least delay tells when
        they reached the machine that they were merged into; None = recorded here, or not known.
    links: with Splice.NAMED, names of the pairs of frames that meet at its seams (fovideo.timeline.links).
    """

    recorder: str
    session: str
    source: str = ""
    store: str = ""
    inserted_from: str = ""
    inserted_ns: int = 0
    lease: int = 0
    correction: Correction = Correction()
    splice: int = 0
    ahead_ns: int | None = None
    links: bytes = b""

    @property
    def label(self) -> str:
        """Short text for people and for `timeline --json`: "rec-1", "spare-1 (merged)", or, in a union only,
        "spare-1 (to merge)".
        """
        if not self.inserted_from:
            return self.recorder
        return f"{self.recorder} ({'merged' if self.inserted_ns else 'to merge'})"


class GopFlag:
    """Bits of Gop.flags."""

    KEY = 1  # starts at a keyframe: decodes from its first byte
    COMPLETE = 2  # no frame will be added any more
    GAPS = 4  # frames are missing inside (a frame carries LOST_BEFORE, or an interval is too long)
    PENDING = 8  # on a spare: not yet merged back


class Gop(msgspec.Struct, frozen=True, array_like=True):
    """One row of the index: a GOP, or the piece of one that this store holds.

    Its bytes are whole fragments, contiguous in one segment file. Times are effective times:
    stored time + shift_ns, where shift_ns is one number for the whole row (back-dating plus merge
    correction).

    start_ns: decode time of its first frame, which is the earliest presentation time in it.
    end_ns: end of its coverage: last frame's time + nominal frame interval (exclusive).
    frames: frames of the primary track (video, else audio, else metadata).
    size_bytes: bytes in the segment file.
    interval_ns: nominal frame interval (median), 0 when unknown.
    table: compressed frame table of all tracks with *stored* times (fovideo.segment.frametable).
    """

    stream: str
    serial: int
    start_ns: int
    end_ns: int
    shift_ns: int
    segment: int
    offset: int
    size_bytes: int
    provenance: int
    epoch: int
    frames: int
    interval_ns: int
    flags: int
    table: bytes = b""


class Span(msgspec.Struct, frozen=True):
    """Uninterrupted coverage by one provenance: [start_ns, end_ns)."""

    start_ns: int
    end_ns: int
    frames: int
    provenance: str


class Gap(msgspec.Struct, frozen=True):
    """A stretch without frames: from the end of the frame before to the start of the frame after.

    reason: "" = never recorded as far as this store knows; else a Loss reason.
    """

    start_ns: int
    end_ns: int
    reason: str = ""


class Loss(msgspec.Struct, frozen=True, array_like=True):
    """Frames that the recorder knows to have lost.

    reason: "disk-slow" (ring full, whole GOPs dropped), "transport", "expired" (quota forced it), "cut" (torn
    tail), "damaged" (found by check --repair), "unwritable" (frames that no segment file can hold).
    """

    start_ns: int
    end_ns: int
    frames: int
    reason: str


class StreamInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A stream of a store.

    live_edge_ns: end of what is durable if this stream is being recorded into this store right now, else 0.
    generation: rises with every insertion and every change of already visible rows (not with live appends).
    """

    name: str
    tracks: tuple[Track, ...]
    frames: int
    size_bytes: int
    start_ns: int
    end_ns: int
    live_edge_ns: int = 0
    generation: int = 0
