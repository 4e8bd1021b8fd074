"""Camera sessions: open a source, put its units into a ring, reconnect; stamping is in `clock`.

Who only names cameras needs no libavformat: that comes with `reader`.
"""

from fovideo.camera.clocks import Clocks
from fovideo.camera.config import CameraConfig, Credentials
from fovideo.camera.redact import redact, redact_text
from fovideo.camera.session_start import SessionStart
from fovideo.camera.state import CameraState, ReaderStatus

__all__ = [
    "CameraConfig",
    "CameraState",
    "Clocks",
    "Credentials",
    "ReaderStatus",
    "SessionStart",
    "redact",
    "redact_text",
]
