"""WholeTimeline: the recordings of all cameras of a site, wherever they are. Reads only."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable
from contextlib import suppress

from msgspec.structs import replace

from fovideo.errors import ConfigError, FovideoError, NoSuchStream, UsageError
from fovideo.media.codec import Track
from fovideo.merge import Union
from fovideo.peer import Connection, RemoteStore
from fovideo.service.directory import holders
from fovideo.service.security import credentials_for
from fovideo.service.sight import TIMEOUT
from fovideo.site import Endpoint, Place, Site
from fovideo.timeline.endpoint import FileRange, Inserted, Stretch, Timeline
from fovideo.timeline.values import Gop, Loss, Provenance, StreamInfo


class WholeTimeline:
    """A Timeline. Of each camera the union of what its server and the spares that watch it hold; who does not
    answer is left out until it does. Thread-safe.

    by: the process that asks. own: timelines of this machine, by name of the server or spare. recorded_to_ns:
    up to where a camera's server had it on disk when it was heard last, 0 = not known.
    """

    def __init__(
        self,
        site: Site,
        by: Place,
        own: dict[str, Timeline] | None = None,
        *,
        recorded_to_ns: Callable[[str], int] = lambda camera: 0,
        wall_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._recorded_to_ns, self._wall_ns = recorded_to_ns, wall_ns
        self._names: dict[str, str] = {}
        self._whole: dict[str, StreamInfo] = {}
        self.location = f"site {site.name}"
        self.identity = hashlib.sha256(f"site/{site.name}".encode()).hexdigest()[:32]
        self._opened: list[RemoteStore] = []
        self._server_of = {camera.name: camera.server for camera in site.cameras}
        own = own or {}
        known: dict[str, Timeline] = {}
        for place in (*site.servers, *site.spares):
            timeline = own.get(place.name) or self._open(site, by, place)
            if timeline is not None:
                known[place.name] = timeline
                self._names[timeline.location] = place.name
        self._unions: dict[str, Union] = {}
        for server in site.servers:
            members = [known[name] for name in holders(site, server.name) if name in known]
            if members:
                self._unions[server.name] = Union(members, patient=True)

    def _open(self, site: Site, by: Place, place: Endpoint) -> RemoteStore | None:
        url = site.reached_at(place)
        try:
            credentials = credentials_for(site, by, place)
        except ConfigError:
            return None
        if not url:
            return None
        connection = Connection(url, credentials=credentials, timeout=TIMEOUT)
        self._opened.append(RemoteStore(url, connection=connection))
        return self._opened[-1]

    def streams(self) -> list[StreamInfo]:
        found = []
        for server, union in self._unions.items():
            with suppress(FovideoError):  # nobody who has its cameras answers now
                infos = [info for info in union.streams() if self._server_of.get(info.name) == server]
                found += [self._stretched(info, union) for info in infos]
        return sorted(found, key=lambda info: info.name)

    @property
    def unreachable(self) -> tuple[str, ...]:
        """Machines that did not answer when their recordings were asked for last."""
        return tuple(dict.fromkeys(name for union in self._unions.values() for name in self._away(union)))

    def gops(self, stream: str, from_ns: int | None = None, to_ns: int | None = None) -> list[Gop]:
        return self._of(stream).gops(stream, from_ns, to_ns)

    def provenances(self, stream: str) -> dict[int, Provenance]:
        """A server's own footage has no store here: it is "recorded here" for whoever reads the whole."""
        return {
            number: each if each.inserted_from else replace(each, store="")
            for number, each in self._of(stream).provenances(stream).items()
        }

    def tracks(self, stream: str, gop: Gop) -> tuple[Track, ...]:
        return self._of(stream).tracks(stream, gop)

    def read(self, stream: str, gop: Gop) -> bytes | FileRange:
        return self._of(stream).read(stream, gop)

    def find(self, stream: str, serial: int) -> Gop | None:
        """As Union.find."""
        return self._of(stream).find(stream, serial)

    def losses(self, stream: str, from_ns: int | None = None, to_ns: int | None = None) -> list[Loss]:
        """As Union.losses; and what machines have that do not answer, so that a gap is named after them."""
        union, begin_ns = self._of(stream), from_ns or 0
        found, end_ns = union.losses(stream, from_ns, to_ns), to_ns or self._wall_ns()
        server, edge_ns = self._server_of[stream], self._recorded_to_ns(stream)
        for name in self._away(union):
            known_ns = min(max(edge_ns if name == server else 0, begin_ns), end_ns)
            found.append(Loss(begin_ns, known_ns, 0, f"on {name}, not reachable until it returns"))
            found.append(Loss(known_ns, end_ns, 0, f"perhaps on {name}, which does not answer"))
        found = [loss for loss in found if loss.frames or loss.end_ns > loss.start_ns]
        return sorted(found, key=lambda loss: (loss.start_ns, loss.end_ns))

    def insert(self, stretch: Stretch) -> Inserted:
        raise UsageError("the whole site cannot be written to", hint="merge into the camera's server")

    def settle(self, stream: str, gops: Iterable[int]) -> None:
        raise UsageError("the whole site cannot be written to", hint="merge into the camera's server")

    def close(self) -> None:
        for each in self._opened:
            each.close()

    def _away(self, union: Union) -> list[str]:
        return [self._names[location] for location in union.missing if location in self._names]

    def _stretched(self, info: StreamInfo, union: Union) -> StreamInfo:
        """Beginning where it began when everybody answered: that is there still, though not to be had."""
        if not self._away(union):
            self._whole[info.name] = info
        known = self._whole.get(info.name, info)
        return replace(info, start_ns=min(info.start_ns, known.start_ns))

    def _of(self, stream: str) -> Union:
        union = self._unions.get(self._server_of.get(stream, ""))
        if union is None:
            raise NoSuchStream(f"no stream {stream!r}", where=self.location)
        return union
