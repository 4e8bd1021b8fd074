"""libavformat's errors as errors of fovideo: what went wrong and whose fault it is, without the password."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Callable, Iterator

import av.error

from fovideo.camera.config import CameraConfig
from fovideo.camera.redact import redact_text
from fovideo.errors import CameraBroken, CameraError, CameraFrozen, CameraUnauthorized, CameraUnreachable

SILENT = "connected, but silent"
NO_ROOM = "no room in memory for a new session: the disk is too slow"
_PATH_HINT = "check the path of the url; ONVIF or the camera's manual names it"
_NETWORK_ERRNOS = {
    getattr(errno, name, None)
    for name in (
        "EHOSTUNREACH",
        "ENETUNREACH",
        "EHOSTDOWN",
        "ENETDOWN",
        "EADDRNOTAVAIL",
        "ETIMEDOUT",
        "EPIPE",
    )
}


@contextlib.contextmanager
def translated(
    camera: CameraConfig, *, opening: bool, late: Callable[[], bool] = lambda: False
) -> Iterator[None]:
    """Raise CameraError instead of libavformat's errors. Their chain is cut: it would show the URL.

    late: the time limit has passed; libavformat then says anything, and rarely that.
    """
    try:
        yield
    except av.error.FFmpegError as error:
        made = translate(error, camera, opening=opening)
        if late():
            made = CameraUnreachable("no answer in time", where=camera.source, hint="is it an RTSP server?")
    else:
        return
    raise made


def translate(error: av.error.FFmpegError, camera: CameraConfig, *, opening: bool) -> CameraError:
    """The error of fovideo that says the same. opening: not yet playing."""
    where = camera.source
    reason = redact_text(error.strerror or type(error).__name__)
    match error:
        case av.error.HTTPUnauthorizedError() | av.error.HTTPForbiddenError():
            return CameraUnauthorized(
                "the camera refuses the credentials"
                if camera.credentials()
                else "the camera wants credentials",
                where=where,
                hint="give user and password in the url, a credentials file or FOVIDEO_CAMERA_PASSWORD",
            )
        case av.error.HTTPNotFoundError():
            return CameraBroken("the camera has no such stream", where=where, hint=_PATH_HINT)
        case av.error.HTTPError():
            return CameraBroken(f"the camera answers with an error: {reason}", where=where, hint=_PATH_HINT)
        case av.error.ExitError():
            return CameraFrozen(SILENT, where=where)
        case av.error.InvalidDataError():
            what = (
                "not a video that can be read" if camera.is_file else "does not speak RTSP, or sends garbage"
            )
            return CameraBroken(what, where=where)
        case FileNotFoundError() | IsADirectoryError() | NotADirectoryError() | PermissionError():
            return CameraUnreachable(reason, where=where, hint="the path of a video file is wanted")
        case ConnectionError() | TimeoutError():
            return CameraUnreachable(reason if opening else f"connection lost: {reason}", where=where)
        case _ if error.errno in _NETWORK_ERRNOS:
            return CameraUnreachable(reason, where=where)
        case _:
            return CameraBroken(reason, where=where)
