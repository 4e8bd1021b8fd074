"""SOURCE of a merge: a store, a server, a video file, or a camera's own recording."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

from fovideo.cli.output import warn
from fovideo.cli.peers import open_timeline
from fovideo.errors import StoreBusy, StoreError, UsageError
from fovideo.timeline.endpoint import Timeline

_READ_ONLY = (errno.EACCES, errno.EPERM, errno.EROFS)


class Wanted(NamedTuple):
    """What the command line says of the source."""

    location: str
    stream: str | None
    from_ns: int | None
    to_ns: int | None
    at_ns: int | None

    @property
    def is_camera(self) -> bool:
        return self.location.startswith(("rtsp://", "rtsps://"))

    @property
    def is_scratch(self) -> bool:
        """Whether its footage has to be recorded first."""
        return self.is_camera or Path(self.location).is_file()


@contextmanager
def open_source(wanted: Wanted, *, write: bool) -> Iterator[Timeline]:
    """The timeline to merge from, closed afterwards."""
    if wanted.at_ns is not None and not Path(wanted.location).is_file():
        raise UsageError("--at is for a video file", where=_shown(wanted))
    if not wanted.is_scratch:
        with closing(_open(wanted.location, write)) as timeline:
            yield timeline
        return
    from fovideo.record.edge import file_footage, replayed_footage

    if wanted.stream is None:
        raise UsageError("say which stream it belongs to", where=_shown(wanted), hint="give --stream")
    if wanted.is_camera:
        if wanted.from_ns is None or wanted.to_ns is None:
            raise UsageError(
                "say what to ask the camera for", where=_shown(wanted), hint="give --from and --to"
            )
        with replayed_footage(
            wanted.location, wanted.stream, from_ns=wanted.from_ns, to_ns=wanted.to_ns, on_retry=warn
        ) as timeline:
            yield timeline
        return
    with file_footage(Path(wanted.location), wanted.stream, at_ns=wanted.at_ns, on_trouble=warn) as timeline:
        yield timeline


def _shown(wanted: Wanted) -> str:
    from fovideo.camera import redact

    return redact(wanted.location)


def _open(location: str, write: bool) -> Timeline:
    """Open for writing, so that the source learns what is merged; for reading where that can't be."""
    if not write:
        return open_timeline(location)
    try:
        return open_timeline(location, write=True)
    except StoreBusy:
        return open_timeline(location)
    except StoreError as error:
        if getattr(error.__cause__, "errno", None) in _READ_ONLY:
            return open_timeline(location)
        raise
