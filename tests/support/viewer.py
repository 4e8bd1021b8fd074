"""A player that reads the numbers out of the pictures that it gets."""

from __future__ import annotations

import av

from fovideo.media.codec import Codec
from fovideo.media.marker import read_marker
from fovideo.media.nal import packing_of, store_form


def watched_numbers(url: str, count: int = 1 << 30) -> list[int]:
    """Markers of the first `count` video frames that a player gets, fewer if the stream ends before."""
    found: list[int] = []
    with av.open(url, options={"rtsp_transport": "tcp", "analyzeduration": "100000"}, timeout=30) as opened:
        for packet in opened.demux(video=0):
            if packet.size:
                sample = store_form(bytes(packet), packing_of(Codec.H264, annexb=True)).sample
                marker = read_marker(sample, Codec.H264)
                assert marker is not None
                found.append(marker[1])
            if len(found) == count:
                break
    return found
