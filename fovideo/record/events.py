"""What a recorder reports as it happens."""

from __future__ import annotations

import logging
from collections.abc import Callable
from enum import StrEnum
from typing import TypeAlias, TypeVar

import msgspec

from fovideo.camera.state import CameraState
from fovideo.timeline.values import Loss

_log = logging.getLogger(__name__)


class Mode(StrEnum):
    """What happens to a camera's frames."""

    STANDBY = "standby"  # the newest seconds stay in memory
    RECORD = "record"  # everything goes to the store


class StateChanged(msgspec.Struct, frozen=True, tag="state"):
    """A camera's state changed. error: why, one line; "" when nothing is wrong."""

    camera: str
    state: CameraState
    error: str = ""


class SessionBegan(msgspec.Struct, frozen=True, tag="session"):
    """The first frame of a new connection came. session: 16 hex digits."""

    camera: str
    session: str


class ModeChanged(msgspec.Struct, frozen=True, tag="mode"):
    """The writer works in another mode now. preroll_ns: how far back the footage to be written reaches."""

    camera: str
    mode: Mode
    lease: int = 0
    preroll_ns: int = 0


class FramesLost(msgspec.Struct, frozen=True, tag="loss"):
    """Frames of a camera are lost, and where they are missing."""

    camera: str
    loss: Loss


class StoreFailed(msgspec.Struct, frozen=True, tag="store-failed"):
    """The store takes nothing now; frames wait in memory and it is tried again."""

    error: str


class StoreRecovered(msgspec.Struct, frozen=True, tag="store-recovered"):
    """The store works again. failed_ns: how long it did not."""

    failed_ns: int


Event: TypeAlias = StateChanged | SessionBegan | ModeChanged | FramesLost | StoreFailed | StoreRecovered

Told = TypeVar("Told")


def tell(listener: Callable[[Told], None] | None, event: Told) -> None:
    """Hand an event to a host application, if it listens. What that raises is logged and ignored."""
    if listener is None:
        return
    try:
        listener(event)
    except Exception:
        _log.exception("the event listener failed")
