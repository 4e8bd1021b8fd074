"""What a camera is and how to reach it: validated once, and its password never shown."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal
from urllib.parse import quote, unquote, urlsplit, urlunsplit
from urllib.request import url2pathname

import msgspec

from fovideo.camera.redact import redact
from fovideo.errors import ConfigError
from fovideo.times import NS_PER_MS, NS_PER_S

RTSP_SCHEMES = ("rtsp", "rtsps")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")


class Credentials(msgspec.Struct, frozen=True):
    """User and password of a camera. Its repr shows neither."""

    user: str = ""
    password: str = ""

    def __bool__(self) -> bool:
        return bool(self.user or self.password)

    def __repr__(self) -> str:
        return "Credentials(***)" if self else "Credentials()"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        return []


class CameraConfig(msgspec.Struct, frozen=True, kw_only=True):
    """A camera: where it is and how to treat it. Raises ConfigError when it cannot be right.

    name: also the name of its stream in a store.
    url: rtsp://, rtsps://, file:// or the path of a video file. A user and password in it are honoured.
    transport: how RTP travels; "tcp" interleaves it into the RTSP connection.
    ingest: who reads a network camera: "pyav" (libavformat, a thread each), or "native" (one event loop for
        all; what that does not serve, libavformat reads all the same).
    user, password: take precedence over those of the URL.
    credentials_file: a file whose first line is user:password.
    tls_ca_file: certificates (PEM) by which an rtsps camera's is checked; without it any is taken, since most
        cameras sign their own.
    open_timeout_ns: limit for connecting and for the answer that describes the stream.
    freeze_ns: a camera that is connected but silent for longer is frozen, and reconnected.
    backoff_min_ns, backoff_max_ns: first and longest pause before a reconnection; doubled each time, with
        jitter.
    preroll_ns: footage held in memory in standby.
    ring_bytes: memory for frames that are not yet durable; in standby it limits the pre-roll.
    audio, metadata: record these tracks too, when the camera has them.
    realtime: a file is delivered at the pace of its clock; else as fast as it can be written.
    file_start_ns: when a file begins; 0 = as the file says, and if it says nothing, as if it were filmed now.
    replay_from_ns, replay_to_ns: of a camera with a memory of its own (ONVIF replay): not what it sees now,
        but what it recorded then, as fast as it comes. Both 0: live. Natively only.
    """

    name: str
    url: str
    transport: Literal["tcp", "udp"] = "tcp"
    ingest: Literal["pyav", "native"] = "pyav"
    user: str = ""
    password: str = ""
    credentials_file: str = ""
    tls_ca_file: str = ""
    open_timeout_ns: int = 5 * NS_PER_S
    freeze_ns: int = 3 * NS_PER_S
    backoff_min_ns: int = 250 * NS_PER_MS
    backoff_max_ns: int = 8 * NS_PER_S
    preroll_ns: int = 10 * NS_PER_S
    ring_bytes: int = 32 * 2**20
    audio: bool = True
    metadata: bool = True
    realtime: bool = False
    file_start_ns: int = 0
    replay_from_ns: int = 0
    replay_to_ns: int = 0

    def __post_init__(self) -> None:
        where = f"camera {self.name}" if self.name else "camera"
        if _NAME.fullmatch(self.name) is None or self.name.endswith("."):
            raise ConfigError(
                f"not a camera name: {self.name!r}",
                hint="letters, digits, '.', '_' and '-', at most 64, no leading '.'",
            )
        self._check_url(where)
        if self.transport not in ("tcp", "udp"):
            raise ConfigError(f"unknown transport {self.transport!r}", where=where, hint="tcp or udp")
        if self.ingest not in ("pyav", "native"):
            raise ConfigError(f"unknown ingest {self.ingest!r}", where=where, hint="pyav or native")
        for field in ("open_timeout_ns", "freeze_ns", "backoff_min_ns", "backoff_max_ns"):
            if getattr(self, field) <= 0:
                raise ConfigError(f"{field} must be positive", where=where)
        if self.backoff_max_ns < self.backoff_min_ns:
            raise ConfigError("backoff_max is shorter than backoff_min", where=where)
        if self.preroll_ns < 0:
            raise ConfigError("preroll must not be negative", where=where)
        if self.ring_bytes < 2**16:
            raise ConfigError("ring is too small", where=where, hint="at least 64 KiB; 32 MiB is the default")
        if self.replay_to_ns < self.replay_from_ns or (self.is_replay and self.ingest != "native"):
            raise ConfigError("a replay has a beginning and an end, and is read natively", where=where)
        if self.password and not self.user and not urlsplit(self.url).username:
            raise ConfigError("a password without a user", where=where)

    def _check_url(self, where: str) -> None:
        if not self.url:
            raise ConfigError("no url", where=where, hint="rtsp://HOST/PATH or the path of a video file")
        if "\0" in self.url or "\n" in self.url:
            raise ConfigError("url holds a character that no url has", where=where)
        match = _SCHEME.match(self.url)
        if match is None:
            return
        scheme = match[1].lower()
        if scheme == "file":
            return
        if scheme not in RTSP_SCHEMES:
            raise ConfigError(
                f"cannot record {scheme}:// sources", where=where, hint="rtsp://, rtsps://, file:// or a path"
            )
        try:
            parts = urlsplit(self.url)
            port = parts.port
        except ValueError as error:
            raise ConfigError(f"not a url ({error})", where=where) from None
        if not parts.hostname or port == 0:
            raise ConfigError("the url names no host", where=where, hint="rtsp://HOST[:PORT]/PATH")

    def __repr__(self) -> str:
        return f"CameraConfig(name={self.name!r}, url={self.source!r}, transport={self.transport!r})"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        return [("name", self.name), ("url", self.source)]

    @property
    def is_file(self) -> bool:
        """A file on this machine, not a network camera."""
        match = _SCHEME.match(self.url)
        return match is None or match[1].lower() == "file"

    @property
    def is_replay(self) -> bool:
        """What the camera recorded is read, not what it sees now."""
        return self.replay_to_ns > 0

    @property
    def path(self) -> Path:
        """Path of a file camera."""
        if _SCHEME.match(self.url) is None:
            return Path(self.url)
        return Path(url2pathname(urlsplit(self.url).path))

    @property
    def source(self) -> str:
        """Where the frames come from, without secrets: for provenance, messages and logs."""
        return redact(self.url)

    def credentials(self, environ: Mapping[str, str] | None = None) -> Credentials:
        """User and password, from the first of: the fields, credentials_file, the environment, the URL.

        In the environment: FOVIDEO_CAMERA_<NAME>_USER and _PASSWORD (NAME in capitals, '_' for all but
        letters and digits), else FOVIDEO_CAMERA_USER and FOVIDEO_CAMERA_PASSWORD for all cameras.
        Raises ConfigError when credentials_file cannot be read.
        """
        if self.is_file:
            return Credentials()
        parts = urlsplit(self.url)
        if self.password:
            return Credentials(self.user or unquote(parts.username or ""), self.password)
        if self.credentials_file:
            return self._from_file()
        environ = os.environ if environ is None else environ
        own = f"FOVIDEO_CAMERA_{re.sub('[^A-Z0-9]', '_', self.name.upper())}"
        in_url = Credentials(unquote(parts.username or ""), unquote(parts.password or ""))
        for prefix in (own, "FOVIDEO_CAMERA"):
            password = environ.get(f"{prefix}_PASSWORD", "")
            if password and not (prefix != own and in_url.password):
                return Credentials(self.user or environ.get(f"{prefix}_USER", "") or in_url.user, password)
        return Credentials(self.user, in_url.password) if self.user else in_url

    def _from_file(self) -> Credentials:
        where = f"camera {self.name}"
        try:
            text = Path(self.credentials_file).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not a text file"
            raise ConfigError(f"cannot read {self.credentials_file}: {reason}", where=where) from None
        user, colon, password = text.partition("\n")[0].rstrip("\r").partition(":")
        if not colon:
            raise ConfigError(
                f"{self.credentials_file} holds no credentials", where=where, hint="one line: user:password"
            )
        return Credentials(user, password)

    def open_url(self, environ: Mapping[str, str] | None = None) -> str:
        """What libavformat opens. It holds the password: never show, log or raise it."""
        if self.is_file:
            return str(self.path)
        parts = urlsplit(self.url)
        host = parts.netloc.rpartition("@")[2]
        found = self.credentials(environ)
        if found:
            host = f"{quote(found.user, safe='')}:{quote(found.password, safe='')}@{host}"
        return urlunsplit((parts.scheme, host, parts.path, parts.query, ""))
