"""The native reader: RTSP sessions of our own, read by one compiled event loop for many cameras.

It is chosen by a camera's `ingest = "native"`; what it does not serve, libavformat does.
docs/design/native-reader.md tells how it works.
"""

from fovideo.camera.native.ingest import Ingest
from fovideo.camera.native.offer import NotServed
from fovideo.camera.native.session import NativeSession

__all__ = ["Ingest", "NativeSession", "NotServed"]
