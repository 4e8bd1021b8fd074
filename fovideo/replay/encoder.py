"""Virtual encoders: frame n of a looped track is a function of n. Pure but for caches.

Media times are ns since the start of the camera. A frame is due once it is captured and, with B-frames,
once the frames that decode before it are.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Protocol, TypeAlias

from fovideo.media.codec import METADATA_TRACK, Codec, Track
from fovideo.media.marker import make_marker
from fovideo.media.nal import digest_video
from fovideo.replay.clip import ClipTrack
from fovideo.replay.rtp import h264, h265
from fovideo.replay.rtp.payload import Payload, packetise, video
from fovideo.times import NS_PER_S, format_ns

Document: TypeAlias = Callable[[int, int], bytes]
"""(running number, capture time in ns) to a metadata document."""


class Encoder(Protocol):
    """One track of a looped camera."""

    track: Track

    def media_ns(self, number: int) -> int:
        """When frame `number` (in decode order) is captured."""

    def due_ns(self, number: int) -> int:
        """When it is sent."""

    def due_by(self, media_ns: int) -> int:
        """How many frames are due at an instant."""

    def is_over(self, number: int) -> bool: ...

    def payloads(self, number: int, time_ns: int, limit: int) -> tuple[bool, list[Payload]]:
        """(key, RTP payloads) of a frame captured at wall clock time_ns."""


class _Even:
    """Even frame times at an exact rate."""

    def __init__(self, rate: Fraction, delay: int = 0) -> None:
        self._ns, self._per, self._delay = rate.denominator * NS_PER_S, rate.numerator, delay

    def at(self, place: int) -> int:
        return place * self._ns // self._per

    def due_ns(self, number: int) -> int:
        return self.at(number + self._delay)

    def due_by(self, media_ns: int) -> int:
        return max(0, ((media_ns + 1) * self._per - 1) // self._ns - self._delay + 1)


class ClipEncoder(_Even):
    """Frames of a clip over and over, in order of presentation re-stamped evenly."""

    def __init__(self, clip: ClipTrack, rate: Fraction, marker: int | None, loop: bool) -> None:
        super().__init__(rate, clip.delay)
        self.track, self._samples = clip.track, clip.samples
        self._marker, self._loop = marker if clip.track.codec.is_video else None, loop
        self._packetised: dict[tuple[int, int], tuple[list[Payload], list[Payload]]] = {}
        self._digests: dict[int, int] = {}

    def media_ns(self, number: int) -> int:
        rounds, place = divmod(number, len(self._samples))
        return self.at(rounds * len(self._samples) + self._samples[place].rank)

    def is_over(self, number: int) -> bool:
        return not self._loop and number >= len(self._samples)

    def due_by(self, media_ns: int) -> int:
        count = super().due_by(media_ns)
        return count if self._loop else min(count, len(self._samples))

    def payloads(self, number: int, time_ns: int, limit: int) -> tuple[bool, list[Payload]]:
        place = number % len(self._samples)
        prepared = self._packetised.get((place, limit))
        if prepared is None:
            prepared = self._packetised[place, limit] = self._prepare(place, limit)
        head, body = prepared
        key = self._samples[place].key
        if self._marker is None:
            return key, head + body
        return key, [*head, (make_marker(self.track.codec, self._marker, number), 0, False), *body]

    def _prepare(self, place: int, limit: int) -> tuple[list[Payload], list[Payload]]:
        """Payloads that come before a marker, and those after it."""
        nals, codec = self._samples[place].parts, self.track.codec
        if not codec.is_video:
            return [], packetise(self.track, nals, limit)
        is_vcl = h264.is_vcl if codec is Codec.H264 else h265.is_vcl
        slices = next((at for at, nal in enumerate(nals) if is_vcl(nal)), len(nals))
        return video(codec, nals[:slices], limit, last=False), video(codec, nals[slices:], limit)

    def digest(self, number: int) -> int:
        """Digest of the VCL NAL units of a frame."""
        place = number % len(self._samples)
        if place not in self._digests:
            self._digests[place] = digest_video(self._samples[place].lengths, self.track.codec)
        return self._digests[place]


class DocumentEncoder(_Even):
    """ONVIF metadata documents at an even rate."""

    track = Track(id=METADATA_TRACK, codec=Codec.ONVIF)

    def __init__(self, document: Document, rate: Fraction) -> None:
        super().__init__(rate)
        self._document = document

    def media_ns(self, number: int) -> int:
        return self.at(number)

    def is_over(self, number: int) -> bool:
        return False

    def payloads(self, number: int, time_ns: int, limit: int) -> tuple[bool, list[Payload]]:
        return True, packetise(self.track, [self._document(number, time_ns)], limit)


def metadata_document(number: int, time_ns: int) -> bytes:
    """A small ONVIF metadata document with one frame and no objects."""
    return (
        '<?xml version="1.0" encoding="UTF-8"?><tt:MetadataStream xmlns:tt="http://www.onvif.org/ver10/schema">'
        f'<tt:VideoAnalytics><tt:Frame UtcTime="{format_ns(time_ns)}" Source="{number}"/></tt:VideoAnalytics>'
        "</tt:MetadataStream>"
    ).encode()
