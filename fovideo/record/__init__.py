"""Recorder: cameras through rings into a store; standby or recording."""

from fovideo.record.events import (
    Event,
    FramesLost,
    Mode,
    ModeChanged,
    SessionBegan,
    StateChanged,
    StoreFailed,
    StoreRecovered,
)
from fovideo.record.recorder import Recorder
from fovideo.record.status import CameraStatus, StoreStatus
from fovideo.record.tap import LiveFrame, Tap

__all__ = [
    "CameraStatus",
    "Event",
    "FramesLost",
    "LiveFrame",
    "Mode",
    "ModeChanged",
    "Recorder",
    "SessionBegan",
    "StateChanged",
    "StoreFailed",
    "StoreRecovered",
    "StoreStatus",
    "Tap",
]
