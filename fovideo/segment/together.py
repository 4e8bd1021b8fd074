"""Several fragments in one buffer, to be written at once: compiled, where they are plain."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from fovideo.media.codec import VIDEO_TRACK
from fovideo.media.frames import FRAME, FrameTable
from fovideo.segment import _fragments, moof
from fovideo.segment.compose import Room
from fovideo.segment.header import SegmentHeader

if TYPE_CHECKING:
    from typing_extensions import Buffer


def compose_together(
    room: Room,
    before: bytes,
    offset: int,
    header: SegmentHeader,
    sequence: int,
    epoch: int,
    frames: FrameTable,
    payloads: Sequence[Buffer],
    starts: Sequence[int],
    data_bytes: int,
) -> tuple[memoryview, list[int]] | None:
    """As compose_fragment for each piece of the frames, behind `before`, and the sizes of the fragments.

    starts: number of each piece's first frame; the first is 0. sequence: of the first fragment.
    data_bytes: of all frames, as they say.
    None for what compose_fragment must look at: documents, alternating tracks, long tables, wrong sizes.
    """
    if len(payloads) != len(frames) or not len(payloads):
        return None
    head_bytes = _fragments.limit(len(payloads)) + (len(starts) - 1) * _fragments.limit(0)
    view = room.take(len(before) + head_bytes + data_bytes, offset)
    has_video = any(track.id == VIDEO_TRACK and track.codec.is_video for track in header.tracks)
    sizes = _fragments.compose(
        view,
        len(before),
        np.ascontiguousarray(frames, FRAME),
        payloads,
        starts,
        moof.described(header.tracks),
        VIDEO_TRACK if has_video else 0,
        sequence,
        header.base_ns,
        epoch,
    )
    if sizes is None:
        return None
    view[: len(before)] = before
    return view[: len(before) + sum(sizes)], sizes
