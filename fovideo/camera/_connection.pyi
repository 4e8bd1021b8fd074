from collections.abc import Mapping
from typing import Final, final

KINDS: Final[tuple[str, ...]]
WHY_NOT: Final[str]
"""Why sources cannot be opened without PyAV in this process; "" when they can."""

@final
class Connection:
    """A source that libavformat opens, reads and closes without PyAV and without the interpreter lock.

    It belongs to one thread; `interrupt` and `late` are for any.
    """

    @property
    def late(self) -> bool:
        """Whether something took longer than it may, and was given up."""

    def open(self, url: str, options: Mapping[str, str], *, timeout_ns: int, paused: bool) -> int:
        """Connect, describe and set up: 0, or the negative error code of libavformat, after which it is not open.

        options: of libavformat; those that it does not know are ignored. timeout_ns: how long it may take, and then how
        long PLAY may. paused: a camera is not asked to play yet; `explore` and `_demux.run` do that.
        ValueError: it is open, or WHY_NOT.
        """

    def streams(self) -> list[tuple[int, str, str, bytes, int, int, int, int, int, int, int, int]]:
        """What is known of each stream: index, kind ("video", "audio", "data" or "unknown"), codec's name in libavcodec,
        its decoder's configuration, numerator and denominator of the time base, width, height, sample rate, channels,
        numerator and denominator of the frames a second that were told.
        What is not known is b"" or 0. [] when it is not open.
        """

    def explore(self) -> int:
        """Play, and look at packets until all is known of the streams, or as much as the options allow: as `open`.

        The packets are read by `_demux.run` all the same. ValueError: it is not open.
        """

    def interrupt(self) -> None:
        """Make what is being waited for, and all that comes later, fail. Thread-safe, also before it is open."""

    def close(self) -> None:
        """Hang up, which may take timeout_ns. May be called twice."""
