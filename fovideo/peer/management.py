"""The management server, as others see it: who it is, its configuration, and the directory of streams."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import httpx
import msgspec

from fovideo.decoding import from_json
from fovideo.errors import FovideoError, PeerError, UsageError
from fovideo.peer.connection import Connection
from fovideo.peer.credentials import Credentials, credentials_from
from fovideo.site.version import Version

T = TypeVar("T")

QUICK = httpx.Timeout(2.0, connect=1.0)
MANAGEMENT, SPARE = "management", "spare"


class ManagementStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Who answers, and whether it does the managing now.

    role: "management" or "spare". acting: clients and administrators should turn to this one.
    lease: rises with each takeover of the role; firm: the lease service says that it is this one's.
    version, hash: of the configuration in force here.
    """

    name: str
    role: str
    acting: bool
    site: str = ""
    lease: int = 0
    firm: bool = False
    version: int = 0
    hash: str = ""
    since_ns: int = 0


class StreamPlace(msgspec.Struct, frozen=True, kw_only=True):
    """Where a camera is served now.

    server: whose camera it is. by: who serves it, "" = nobody. state: "recording", "standing in", "merging",
    "sealing", "live only" (a spare receives it, nobody records it yet), "unserved". live: RTSP URL or "".
    missing_frames: known to be lost; unmerged_frames: on a spare, of the whole server.
    unreachable: machines that do not answer now: what they recorded of it cannot be had until they return.
    recorded_to_ns: if its server is one of them: up to where that had it on disk, as it said last.
    """

    camera: str
    server: str
    by: str
    state: str
    live: str = ""
    durable_to_ns: int = 0
    missing_frames: int = 0
    unmerged_frames: int = 0
    lease: int = 0
    unreachable: tuple[str, ...] = ()
    recorded_to_ns: int = 0


class MachineState(msgspec.Struct, frozen=True, kw_only=True):
    """A process of the site. state: as its health says, "" = it does not answer. cameras: of a server."""

    role: str
    state: str
    url: str = ""
    error: str = ""
    store_error: str = ""
    stands_in_for: tuple[str, ...] = ()
    attached: tuple[str, ...] = ()
    cameras: int = 0


class Directory(msgspec.Struct, frozen=True, kw_only=True):
    """A site at one instant. timeline: path below the manager's URL of the recordings of all cameras."""

    site: str
    manager: ManagementStatus
    now_ns: int
    streams: tuple[StreamPlace, ...]
    machines: dict[str, MachineState]
    timeline: str = "/site"


class Publication(msgspec.Struct, frozen=True):
    """What is published: the text of a site.toml, and of the licence that goes with it."""

    text: str
    licence: str = ""


class ManagementClient:
    """Asks one management server, or a spare that may act as one. Raises PeerError and its kinds."""

    def __init__(
        self, url: str, *, credentials: Credentials | None = None, timeout: httpx.Timeout = QUICK
    ) -> None:
        credentials = credentials_from(os.environ) if credentials is None else credentials
        self._connection = Connection(url, credentials=credentials, timeout=timeout, pauses_s=(0.0,))

    @property
    def url(self) -> str:
        return self._connection.url

    @property
    def timeline_url(self) -> str:
        """Of the recordings of all cameras: for open_timeline, or wherever a store's URL is taken."""
        return f"{self._connection.url}/site"

    def status(self) -> ManagementStatus:
        return self._get("/management", ManagementStatus)

    def directory(self) -> Directory:
        return self._get("/directory", Directory)

    def configuration(self) -> Version:
        """The version in force, with its text. PeerUnauthorized unless one is a machine or an admin."""
        return self._get("/configuration", Version)

    def publish(self, text: str, *, after: int | None = None, licence: str = "") -> ManagementStatus:
        """Put a new text into force. after: only if that is the number in force now; else ConfigStale.

        licence: text of the licence that goes with it; "" = the one in force stays.
        """
        params: dict[str, Any] = {} if after is None else {"after": after}
        body = msgspec.json.encode(Publication(text, licence))
        headers = {"content-type": "application/json"}
        answer = self._connection.post("/configuration", body, params=params, headers=headers)
        return self._decode(answer, ManagementStatus)

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> ManagementClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _get(self, path: str, kind: type[T]) -> T:
        return self._decode(self._connection.get(path), kind)

    def _decode(self, answer: httpx.Response, kind: type[T]) -> T:
        try:
            return from_json(answer.content, kind)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise PeerError(f"its answer cannot be read: {error}", where=self.url) from None


def find_manager(addresses: Sequence[str], *, credentials: Credentials | None = None) -> ManagementClient:
    """The management server of a site, or the spare that stands in for it: the first thing a client does, and
    does again when the one it had falls silent.

    addresses: URLs of the management server and of the spares, in any order; all are asked at once.
    credentials: None = from the environment. Of two that cannot hear each other and both manage, it is the
    management server, then whoever has the lease, then the highest number.
    Raises PeerError when none of them manages now.
    """
    if not addresses:
        raise UsageError("no addresses to ask", hint="give the URLs of the management server and the spares")
    clients = [ManagementClient(url, credentials=credentials) for url in addresses]
    with ThreadPoolExecutor(len(clients), thread_name_prefix="find-manager") as pool:
        found = list(pool.map(_asked, clients))
    chosen = foremost(found)
    for number, client in enumerate(clients):
        if number != chosen:
            client.close()
    if chosen is not None:
        return clients[chosen]
    failures = [each for each in found if isinstance(each, FovideoError)]
    if failures and len(failures) == len(found):
        raise failures[0]
    raise PeerError("nobody manages the site now", where=", ".join(addresses), hint="ask again in a moment")


def foremost(found: Sequence[ManagementStatus | FovideoError]) -> int | None:
    """Which of several answers is that of the one that manages now; None: none is."""
    acting = [
        (status.role == MANAGEMENT, status.firm, status.lease, -number)
        for number, status in enumerate(found)
        if isinstance(status, ManagementStatus) and status.acting
    ]
    return -max(acting)[-1] if acting else None


def _asked(client: ManagementClient) -> ManagementStatus | FovideoError:
    try:
        return client.status()
    except FovideoError as error:
        return error
