"""The values of a site: what site.toml says, typed, with every default. Nothing here reaches anything."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, TypeAlias, TypeVar
from urllib.parse import urlsplit

import msgspec
from msgspec import field

from fovideo.errors import ConfigError
from fovideo.site.fields import Duration, Secret, Size, SourceUrl, Table, parse_listen, resolve_secret
from fovideo.times import NS_PER_MS, NS_PER_S


class Detection(Table, frozen=True, kw_only=True):
    """When a server counts as down, and when as whole again (docs/design/failover.md)."""

    poll_ns: Duration = field(name="poll", default=Duration(500 * NS_PER_MS))
    timeout_ns: Duration = field(name="timeout", default=Duration(700 * NS_PER_MS))
    refused_after_ns: Duration = field(name="refused_after", default=Duration(NS_PER_S))
    takeover_after_ns: Duration = field(name="takeover_after", default=Duration(1500 * NS_PER_MS))
    slack_ns: Duration = field(name="slack", default=Duration(400 * NS_PER_MS))
    reboot_grace_ns: Duration = field(name="reboot_grace", default=Duration(0))
    stalled_after_ns: Duration = field(name="stalled_after", default=Duration(5 * NS_PER_S))
    late_after_ns: Duration = field(name="late_after", default=Duration(8 * NS_PER_S))
    handback_after_ns: Duration = field(name="handback_after", default=Duration(3 * NS_PER_S))
    merge_every_ns: Duration = field(name="merge_every", default=Duration(NS_PER_S))
    quiet_after_ns: Duration = field(name="quiet_after", default=Duration(30 * NS_PER_S))


class Tls(Table, frozen=True, kw_only=True):
    """[tls]: endpoints speak HTTPS if there is a cert. Paths of PEM files; {name} in them is the endpoint's.

    ca: signs the certificates of endpoints and clients. Who shows one has the role of the [[client]] of its
    common name, or of the server or spare of that name.
    """

    cert: str = ""
    key: str = ""
    ca: str = ""
    client_certificates: Literal["optional", "required"] = "optional"

    def of(self, name: str) -> Tls:
        """That of one endpoint."""
        filled = {key: getattr(self, key).replace("{name}", name) for key in ("cert", "key", "ca")}
        return msgspec.structs.replace(self, **filled)


class Client(Table, frozen=True, kw_only=True):
    """[[client]]: somebody who may ask the endpoints, by a token or a certificate of this name."""

    name: str
    role: Literal["monitor", "viewer", "spare", "admin"]
    token: Secret = Secret()
    token_file: str = ""
    token_env: str = ""

    def secret_token(self) -> str:
        """Its token, "" for none. ConfigError if its file or variable is not there."""
        return resolve_secret(self.token, self.token_file, self.token_env, f"token of client {self.name!r}")


class Arbitration(Table, frozen=True, kw_only=True):
    """[arbitration]: where spares settle who stands in. etcd: endpoints; none = the order of the site.

    ca, cert, key: paths of PEM files, for https endpoints. ttl_ns: how long claims outlive their spare.
    """

    etcd: tuple[str, ...] = ()
    ca: str = ""
    cert: str = ""
    key: str = ""
    user: str = ""
    password: Secret = Secret()
    password_file: str = ""
    password_env: str = ""
    ttl_ns: Duration = field(name="ttl", default=Duration(6 * NS_PER_S))
    prefix: str = "/fovideo"

    def secret_password(self) -> str:
        """The password, "" for none. ConfigError if its file or variable is not there."""
        return resolve_secret(self.password, self.password_file, self.password_env, "password of etcd")


class Place(Table, frozen=True, kw_only=True):
    """What every process of a site has: a name, an address, a token. restream: address for RTSP clients."""

    name: str
    listen: str
    url: str = ""
    token: Secret = Secret()
    token_file: str = ""
    token_env: str = ""
    restream: str = ""

    @property
    def address(self) -> tuple[str, int]:
        """Host ("" = all interfaces) and port of `listen`."""
        return parse_listen(self.listen)

    @property
    def reached_at(self) -> str:
        """URL under which others reach it; "" when `url` is not given and `listen` does not tell."""
        if self.url or not self.listen:
            return self.url
        host, port = self.address
        if host in ("", "0.0.0.0", "::") or port == 0:
            return ""
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    @property
    def restreams_at(self) -> str:
        """RTSP URL under which clients reach it, without a path; "" when it has none, or nothing tells."""
        if not self.restream:
            return ""
        host, port = parse_listen(self.restream)
        if host in ("", "0.0.0.0", "::"):
            host = urlsplit(self.reached_at).hostname or ""
        if not host or not port:
            return ""
        return f"rtsp://[{host}]:{port}" if ":" in host else f"rtsp://{host}:{port}"

    def secret_token(self) -> str:
        """The token that clients must show, "" for none. ConfigError if its file or variable is not there."""
        return resolve_secret(self.token, self.token_file, self.token_env, f"token of {self.name!r}")


class Endpoint(Place, frozen=True, kw_only=True):
    """What a server and a spare have in common: a place, and a store."""

    store: str
    durability_ns: Duration = field(name="durability", default=Duration(NS_PER_S))
    quota_bytes: Size = field(name="quota", default=Size(0))
    max_age_ns: Duration = field(name="max_age", default=Duration(0))
    segment_bytes: Size = field(name="segment_size", default=Size(256 * 2**20))
    segment_duration_ns: Duration = field(name="segment_duration", default=Duration(600 * NS_PER_S))
    workers: int = 0
    memory_bytes: Size = field(name="memory", default=Size(0))


AnyPlace = TypeVar("AnyPlace", bound=Place)


class Server(Endpoint, frozen=True, kw_only=True):
    """A recording server: [[server]]. attached: devices on the machine itself, which no spare can reach.


    watch: how to see whether it is there, if it is not fovideo's; then it needs no listen and no store.
    merge_into: the server into which footage of such a one goes at hand-back; none = it stays with the spare.
    """

    listen: str = ""
    store: str = ""
    watch: str = ""
    merge_into: str = ""
    detection: Detection = Detection()
    attached: tuple[str, ...] = ()


class Spare(Endpoint, frozen=True, kw_only=True):
    """A hot spare: [[spare]]. servers: names of those it watches; none = all of the site.

    capacity: how many cameras it may record at once; 0 = any number.
    max_age_ns concerns what the servers have confirmed to hold: a copy, kept for a while.
    """

    max_age_ns: Duration = field(name="max_age", default=Duration(86_400 * NS_PER_S))
    servers: tuple[str, ...] = ()
    capacity: int = 0
    merge_order: Literal["oldest", "newest"] = "oldest"
    merge_rate_bytes: Size = field(name="merge_rate", default=Size(0))


class Management(Place, frozen=True, kw_only=True):
    """The management server: [[management]]. folder: where it keeps the site's configuration, by version."""

    folder: str
    detection: Detection = Detection()


class Restream(Table, frozen=True, kw_only=True):
    """[restream]: what RTSP clients of the site must show. Without a user everybody may watch."""

    user: str = ""
    password: Secret = Secret()
    password_file: str = ""
    password_env: str = ""

    def secret_password(self) -> str:
        """The password, "" for none. ConfigError if its file or variable is not there."""
        return resolve_secret(self.password, self.password_file, self.password_env, "password of [restream]")


class Hook(Table, frozen=True, kw_only=True):
    """[[hook]]: a command that a spare runs when it stands in, and when it hands back.

    servers: names of those, management servers too, whose takeovers concern it; none = all.
    """

    command: tuple[str, ...]
    on: tuple[Literal["takeover", "handback"], ...] = ("takeover", "handback")
    servers: tuple[str, ...] = ()
    timeout_ns: Duration = field(name="timeout", default=Duration(30 * NS_PER_S))


class Licence(Table, frozen=True, kw_only=True):
    """[licence]: where the site's licence is, and who issued it. Without a file everything is allowed.

    public_key: the issuer's, 64 hex digits; an application that embeds fovideo can pin its own instead.
    """

    file: str = ""
    public_key: str = ""


class Camera(Table, frozen=True, kw_only=True):
    """A camera: [[camera]]. `server` records it; its name is also the name of its stream.

    standby: what a spare does about it before a takeover: hold its last seconds, be connected, or nothing.
    priority: those with a higher one are taken first where there is not room for all.
    """

    name: str
    server: str
    url: SourceUrl
    standby: Literal["hot", "warm", "cold"] = "hot"
    priority: int = 0
    transport: Literal["tcp", "udp"] = "tcp"
    ingest: Literal["pyav", "native"] = "pyav"
    user: str = ""
    password: Secret = Secret()
    password_file: str = ""
    password_env: str = ""
    audio: bool = True
    metadata: bool = True
    preroll_ns: Duration = field(name="preroll", default=Duration(10 * NS_PER_S))
    ring_bytes: Size = field(name="ring", default=Size(32 * 2**20))
    freeze_ns: Duration = field(name="freeze", default=Duration(3 * NS_PER_S))
    open_timeout_ns: Duration = field(name="open_timeout", default=Duration(5 * NS_PER_S))
    backoff_min_ns: Duration = field(name="backoff_min", default=Duration(250 * NS_PER_MS))
    backoff_max_ns: Duration = field(name="backoff_max", default=Duration(8 * NS_PER_S))

    bit_rate: int = 0

    def secret_password(self) -> str:
        """The password, "" for none. ConfigError if its file or variable is not there."""
        return resolve_secret(
            self.password, self.password_file, self.password_env, f"password of camera {self.name!r}"
        )


EventName: TypeAlias = Literal[
    "takeover",
    "uncovered",
    "hand-back",
    "merge-done",
    "merge-failed",
    "outage",
    "loss",
    "camera-down",
    "camera-up",
    "store-failed",
    "store-recovered",
    "reloaded",
    "reload-refused",
    "hook-failed",
]
"""What is told to logs, webhooks and metrics."""


class Webhook(Table, frozen=True, kw_only=True):
    """Where events are told: [[webhook]]. events: names of those that are wanted; none = all."""

    name: str
    url: SourceUrl
    token: Secret = Secret()
    token_file: str = ""
    token_env: str = ""
    events: tuple[EventName, ...] = ()
    timeout_ns: Duration = field(name="timeout", default=Duration(5 * NS_PER_S))
    queue: int = 1000

    def secret_token(self) -> str:
        """The token that it is shown, "" for none. ConfigError if its file or variable is not there."""
        return resolve_secret(self.token, self.token_file, self.token_env, f"token of webhook {self.name!r}")


class Site(msgspec.Struct, frozen=True, kw_only=True):
    """A whole site: what `fovideo serve` and `fovideo spare` need to know, each of its own part.

    licence_text: the licence as it came with the configuration; "" = the file of [licence] is to be read.
    """

    name: str
    servers: tuple[Server, ...]
    spares: tuple[Spare, ...]
    cameras: tuple[Camera, ...]
    path: Path
    tls: Tls = Tls()
    clients: tuple[Client, ...] = ()
    webhooks: tuple[Webhook, ...] = ()
    managements: tuple[Management, ...] = ()
    restream: Restream = Restream()
    hooks: tuple[Hook, ...] = ()
    licence: Licence = Licence()
    licence_text: str = ""
    gateways: tuple[str, ...] = ()
    arbitration: Arbitration = Arbitration()

    def reached_at(self, endpoint: Place) -> str:
        """URL under which others reach an endpoint; "" when nothing tells."""
        found = endpoint.reached_at
        if self.tls.cert and not endpoint.url and found:
            return "https" + found.removeprefix("http")
        return found

    def restreams_at(self, place: Place) -> str:
        """RTSP URL under which clients reach a process, without a path; "" when nothing tells."""
        found = place.restreams_at
        return "rtsps" + found.removeprefix("rtsp") if self.tls.cert and found else found

    def server(self, name: str) -> Server:
        """The server of that name; ConfigError with the names there are."""
        return _named(self.servers, name, "server", self.path)

    def spare(self, name: str) -> Spare:
        """The spare of that name; ConfigError with the names there are."""
        return _named(self.spares, name, "spare", self.path)

    def management(self, name: str) -> Management:
        """The management server of that name; ConfigError with the names there are."""
        return _named(self.managements, name, "management server", self.path)

    def cameras_of(self, server: str) -> tuple[Camera, ...]:
        """The cameras that a server records."""
        return tuple(camera for camera in self.cameras if camera.server == server)

    def watched_by(self, spare: Spare) -> tuple[Server, ...]:
        """The servers that a spare stands in for."""
        return tuple(s for s in self.servers if not spare.servers or s.name in spare.servers)


def _named(entries: tuple[AnyPlace, ...], name: str, kind: str, path: Path) -> AnyPlace:
    for entry in entries:
        if entry.name == name:
            return entry
    known = ", ".join(entry.name for entry in entries) or "none"
    raise ConfigError(f"no {kind} named {name!r}", where=str(path), hint=f"{kind}s here: {known}")
