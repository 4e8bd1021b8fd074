"""After a hand-back: what of the outage no machine received, read from the server's own timeline."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from fovideo.errors import FovideoError, NoSuchStream
from fovideo.service.events import Outage
from fovideo.store.describe import gaps
from fovideo.timeline import Gap, Timeline

_log = logging.getLogger(__name__)


def survey(timeline: Timeline, server: str, lease: int, cameras: Iterable[str], from_ns: int) -> Outage:
    """Look for gaps from a time on. Whatever stands in the way is said in the outage; nothing is raised."""
    missing: dict[str, tuple[Gap, ...]] = {}
    try:
        for camera in cameras:
            try:
                first = min((row.start_ns for row in timeline.gops(camera, from_ns)), default=None)
            except NoSuchStream:
                continue
            if first is not None and (found := gaps(timeline, camera, max(first, from_ns))):
                missing[camera] = tuple(found)
    except FovideoError as error:
        _log.warning("%s: cannot look for what is missing: %s", server, error)
        return Outage(server, lease, missing, str(error))
    return Outage(server, lease, missing)
