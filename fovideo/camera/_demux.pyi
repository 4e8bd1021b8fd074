from collections.abc import Callable, Iterable
from typing import Final, final

from fovideo.camera._connection import Connection
from fovideo.ring._ring import Ring

STOPPED: Final[int]
VIDEO_SILENT: Final[int]
NO_ROOM: Final[int]
LIVE: Final[int]
PRESSURE: Final[int]

@final
class Counters:
    """What a reader counts, over all sessions. Written by the reading thread, read by any."""

    sessions: int
    frames: int
    bytes: int
    dropped_frames: int
    last_receipt_ns: int
    last_video_ns: int

    def take_news(self) -> int:
        """LIVE and PRESSURE, those that nobody has taken since they were told; any thread."""

def why_no_bursts() -> str:
    """Why `run` reads connections piece by piece whatever `batch_ns` says; "" when it need not.

    The first call leads libavformat's calls of poll and recv, in this process, to functions of this module, which pass
    them on but for threads that are in `run`.
    """

def run(
    connection: Connection,
    ring: Ring,
    counters: Counters,
    *,
    tracks: Iterable[tuple[int, int, int, int, int, int, bool]],
    session: int,
    freeze_ns: int,
    batch_ns: int,
    start: bytes,
    news_fd: int,
    news_number: int,
    on_news: Callable[[], object],
    on_fragment: Callable[[bytes, int, int, int], object],
) -> int:
    """Play what was opened paused, and read packets into the ring, until the source ends or is interrupted.

    All of it without the interpreter lock: nothing of Python is between PLAY and the first frame. The calling thread is
    the ring's only producer meanwhile.

    tracks: of each stream that is recorded (index, Track.id, Packing, NAL length size (1 to 4), numerator and
        denominator of its time base, by hand). Other streams are skipped.
    session: UNIT["session"] of the frames. freeze_ns: how long video may be silent while other tracks go on;
        0 = for ever.
    batch_ns: how long bytes may wait in a connection to be read together; 0 = each piece as libavformat asks for it.
    start: payload of the FORMAT unit that goes before the first frame.
    news_fd, news_number: when there are news in counters (LIVE: the first frame comes; PRESSURE: the ring is half full
        or drops; at most 50 times a second) and none were there, the number's 8 bytes are written there, without
        waiting. on_news: is called instead where that fails, as it does for -1.
    on_fragment: payload, pts_ns, wall_ns, receipt_ns of each packet of a track that is read "by hand"; it pushes
        and counts what it makes of it. What these two raise ends the reading and comes out here.

    Returns STOPPED (interrupted between two packets), VIDEO_SILENT, NO_ROOM (for FORMAT), or the negative error code of libavformat,
    which av.error.err_check turns into its exception: also AVERROR_EOF at the end of the source, and
    AVERROR_EXIT if a blocked read was interrupted. ValueError: the connection is not open, or a track cannot be.
    """
