"""Reading a live camera without the interpreter lock, where the compiled parts fit the installed PyAV.

A session opens a Connection and hands it to `demux`, in place of the loop over `container.demux()`, with a
Counters of this module. PyAV's own opening and loop are the way where `can_demux` says no
(FOVIDEO_DEMUX=pyav in the environment makes it), and for files, which wait for room in the ring.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence

import av

from fovideo.camera import _demux
from fovideo.camera._connection import WHY_NOT, Connection
from fovideo.camera._demux import Counters
from fovideo.camera.herald import Herald
from fovideo.camera.tracks import SourceTrack
from fovideo.camera.translate import NO_ROOM
from fovideo.errors import CameraError, CameraFrozen
from fovideo.media.codec import METADATA_TRACK
from fovideo.media.nal import packing_of
from fovideo.platform import bursts_allowed
from fovideo.ring import Ring

__all__ = ["Counters", "can_demux", "demux"]

_herald = Herald()


def can_demux() -> bool:
    """Whether cameras can be opened and read without PyAV in this process."""
    return os.environ.get("FOVIDEO_DEMUX") != "pyav" and not WHY_NOT


def demux(
    connection: Connection,
    ring: Ring,
    tracks: Sequence[SourceTrack],
    counters: Counters,
    *,
    session: int,
    freeze_ns: int,
    batch_ns: int,
    source: str,
    start: bytes,
    on_live: Callable[[], object],
    on_pressure: Callable[[], object],
    on_fragment: Callable[[bytes, int, int, int], object],
) -> None:
    """Play, and read packets into the ring until the source ends or is interrupted between two packets.

    The calling thread is the ring's only producer meanwhile.

    session: UNIT["session"] of the frames. source: redacted, for messages.
    freeze_ns: video that is silent for longer while other tracks go on raises CameraFrozen; 0 = it may.
    batch_ns: how long the bytes of a TCP connection may wait to be read together, where the process
        allows that (fovideo.platform.allow_bursts); 0 = none waits.
    start: payload of the FORMAT unit, which goes before the first frame.
    on_live: the first frame came; called once, by a thread of its own, since a frame does not wait for the
        interpreter's lock. on_pressure: as it, the ring is half full or drops; at most 50 times a second.
        Neither is called after the return.
    on_fragment: called by this thread: payload, pts_ns, wall_ns and receipt_ns of a packet of ONVIF metadata,
        which the callee joins to documents, pushes and counts.
    Raises what on_fragment raises, CameraError when the ring has no room for FORMAT, and av.error.FFmpegError
        as PyAV's own loop does: ExitError when a blocked read was interrupted.
    """
    lanes = [
        (
            each.index,
            each.track.id,
            packing_of(each.track.codec, annexb=not each.nal_length_size),
            each.nal_length_size or 4,
            each.numerator,
            each.denominator,
            each.track.id == METADATA_TRACK,
        )
        for each in tracks
    ]
    telling = threading.Lock()

    def tell() -> None:
        with telling:
            news = counters.take_news()
            if news & _demux.LIVE:
                on_live()
            if news & _demux.PRESSURE:
                on_pressure()

    news_fd, number = _herald.join(tell)
    try:
        code = _demux.run(
            connection,
            ring,
            counters,
            tracks=lanes,
            session=session,
            freeze_ns=freeze_ns,
            batch_ns=batch_ns if bursts_allowed() else 0,
            start=start,
            news_fd=news_fd,
            news_number=number,
            on_news=tell,
            on_fragment=on_fragment,
        )
    finally:
        _herald.leave(number)
        tell()
    if code == _demux.NO_ROOM:
        raise CameraError(NO_ROOM, where=source)
    if code == _demux.VIDEO_SILENT:
        raise CameraFrozen("video is silent while other tracks go on", where=source)
    if code < 0:
        try:
            av.error.err_check(code)
        except av.error.EOFError:
            return
