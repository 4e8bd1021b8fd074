"""What a session is given to do: which camera, into which ring, under which name, and whom it tells."""

from __future__ import annotations

import threading
from collections.abc import Callable

import msgspec

from fovideo.camera.clocks import Clocks
from fovideo.camera.config import CameraConfig
from fovideo.camera.demux import Counters
from fovideo.camera.session_start import SessionStart
from fovideo.ring import Ring


class Listener(msgspec.Struct, frozen=True):
    """Whom a session tells. live: the first frame came. pressure: the ring is half full, or drops."""

    live: Callable[[SessionStart], None]
    pressure: Callable[[], None]


class Assignment(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """One session of a camera, by whichever reader serves it.

    number, name: of the session: in this ring, and as 16 hex digits. stopping: set when it is to end.
    counters: the reader's, of all its sessions.
    """

    camera: CameraConfig
    ring: Ring
    number: int
    name: str
    stopping: threading.Event
    counters: Counters
    clocks: Clocks
    listener: Listener
