"""Payloads: what goes after the RTP header, for each codec. Pure.

A payload is (bytes, ticks, marker): ticks is what its RTP timestamp is later than the unit's own,
marker the RTP marker bit (end of the access unit).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from fovideo.media.codec import Codec, Track
from fovideo.replay.rtp import h264, h265

Payload: TypeAlias = tuple[bytes, int, bool]

MAX_PAYLOAD_BYTES = 1400
"""Fits an Ethernet frame with IPv6, UDP, RTP and a header extension."""

_AU_HEADERS_BITS = b"\x00\x10"


def packetise(track: Track, parts: Sequence[bytes], limit: int = MAX_PAYLOAD_BYTES) -> list[Payload]:
    """Payloads of one unit. parts: the NAL units of an access unit, or one audio frame or document."""
    if track.codec.is_video:
        return video(track.codec, parts, limit)
    (data,) = parts
    match track.codec:
        case Codec.AAC:
            return _aac(data, limit)
        case Codec.OPUS:
            return [(data, 0, False)]
        case Codec.PCMU | Codec.PCMA:
            channels = max(1, track.channels)
            step = limit // channels * channels
            return [(data[at : at + step], at // channels, False) for at in range(0, len(data), step)]
        case _:
            return _document(data, limit)


def video(codec: Codec, nals: Sequence[bytes], limit: int, *, last: bool = True) -> list[Payload]:
    """Payloads of NAL units; `last`: they end their access unit."""
    split = h264.split if codec is Codec.H264 else h265.split
    payloads = [(data, 0, False) for data in split(nals, limit)]
    if last and payloads:
        payloads[-1] = (payloads[-1][0], 0, True)
    return payloads


def _aac(frame: bytes, limit: int) -> list[Payload]:
    """RFC 3640, AAC-hbr, a frame a packet; one that does not fit is cut, each piece under the same header."""
    header = _AU_HEADERS_BITS + (len(frame) << 3).to_bytes(2, "big")
    step = limit - len(header)
    pieces = [header + frame[at : at + step] for at in range(0, len(frame), step)]
    return [(piece, 0, number == len(pieces)) for number, piece in enumerate(pieces, 1)]


def _document(data: bytes, limit: int) -> list[Payload]:
    """ONVIF streaming specification 5.1.2.1.1: the marker bit ends a metadata document."""
    return [(data[at : at + limit], 0, at + limit >= len(data)) for at in range(0, len(data), limit)]
