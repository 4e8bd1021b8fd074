"""What a recorder and its workers say to each other, one datagram each, over a pair of connected sockets."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from fovideo.camera.config import CameraConfig
from fovideo.camera.session_start import SessionStart
from fovideo.camera.state import CameraState, ReaderStatus
from fovideo.decoding import msgpack_decoder

LARGEST_BYTES = 1 << 18
"""Of a message."""


class Read(msgspec.Struct, frozen=True, tag="read"):
    """Read a camera into the ring whose descriptor comes along.

    key: what the reader is called from now on. sessions: connections that it had before.
    """

    key: int
    camera: CameraConfig
    sessions: int = 0


class Leave(msgspec.Struct, frozen=True, tag="leave"):
    """Stop reading a camera."""

    key: int


Order: TypeAlias = Read | Leave
"""From the recorder."""


class State(msgspec.Struct, frozen=True, tag="state"):
    """As a Reader's on_state. error: its text."""

    key: int
    state: CameraState
    error: str = ""


class Session(msgspec.Struct, frozen=True, tag="session"):
    """As a Reader's on_session."""

    key: int
    start: SessionStart


class Pressure(msgspec.Struct, frozen=True, tag="pressure"):
    """As a Reader's on_pressure."""

    key: int


class Known(msgspec.Struct, frozen=True, tag="known"):
    """What there is to know of a camera's reader. ended: its thread is over, and the ring let go of."""

    key: int
    status: ReaderStatus
    ended: bool = False


News: TypeAlias = State | Session | Pressure | Known
"""From a worker."""

encode = msgspec.msgpack.Encoder().encode
decode_order = msgpack_decoder(Order).decode
decode_news = msgpack_decoder(News).decode
