"""Keeper: a process's copy of the site's configuration, by version, on its own disk."""

from __future__ import annotations

import logging
import os
import threading
from pathlib import Path

import msgspec

from fovideo.decoding import from_json
from fovideo.errors import ConfigError
from fovideo.platform.files import fsync_dir
from fovideo.site import Site, load_site, site_from
from fovideo.site.version import Version, newest

_log = logging.getLogger(__name__)

_KEPT = 50
_SEEN, _LEASE = "file.json", "lease.json"


class Keeper:
    """A folder of versions, each a file of mode 600: configurations may hold secrets. Thread-safe.

    A version that cannot be written is in force all the same, until the process ends.
    """

    def __init__(self, folder: str | Path) -> None:
        self._folder = Path(folder)
        self._lock = threading.Lock()
        self._current = newest(self._read(path) for path in self._folder.glob("version-*.json"))

    @property
    def current(self) -> Version | None:
        """The newest; None before the first."""
        return self._current

    @property
    def seen_hash(self) -> str:
        """Digest of the manager's files when they were read last, "" = never."""
        try:
            return from_json((self._folder / _SEEN).read_bytes(), str)
        except (OSError, msgspec.MsgspecError):
            return ""

    def saw(self, digest: str) -> None:
        """Note the digest of the manager's files."""
        with self._lock:
            self._write(_SEEN, msgspec.json.encode(digest))

    @property
    def lease(self) -> int:
        """The highest number under which this process ever stood in for the management server."""
        try:
            return from_json((self._folder / _LEASE).read_bytes(), int)
        except (OSError, msgspec.MsgspecError):
            return 0

    def note_lease(self, lease: int) -> None:
        with self._lock:
            self._write(_LEASE, msgspec.json.encode(lease))

    def offer(self, version: Version) -> bool:
        """Keep a version if it is newer than the current one; whether it is."""
        with self._lock:
            if not version.is_sound or not version.is_newer_than(self._current):
                return False
            self._current = version
            self._write(f"version-{version.number:08}-{version.hash[:8]}.json", msgspec.json.encode(version))
            for path in sorted(self._folder.glob("version-*.json"))[:-_KEPT]:
                path.unlink(missing_ok=True)
            return True

    def _write(self, name: str, data: bytes) -> None:
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            path, draft = self._folder / name, self._folder / f".{name}.{os.getpid()}"
            fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(fd, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
            fsync_dir(self._folder)
        except OSError as error:
            _log.error("%s: the configuration cannot be kept: %s", self._folder, error.strerror)

    @staticmethod
    def _read(path: Path) -> Version | None:
        try:
            version = from_json(path.read_bytes(), Version)
        except (OSError, msgspec.MsgspecError):
            version = None
        if version is None or not version.is_sound:
            _log.error("%s: cannot be read; an older version, or what others have, is used", path)
            return None
        return version


def kept_folder(store: str) -> Path:
    """Where a server or spare keeps its copy."""
    return Path(store) / "configuration"


def site_in_force(path: str | Path, name: str) -> Site:
    """The site for the server or spare of that name: of its file, or of a newer version that a manager gave.

    Without a management server in it, the file alone counts. A copy that cannot be used is passed over.
    """
    site = load_site(path)
    own = next((each for each in (*site.servers, *site.spares) if each.name == name), None)
    if not site.managements or own is None:
        return site
    version = Keeper(kept_folder(own.store)).current
    if version is None:
        return site
    try:
        return site_from(version.text, path, licence=version.licence)
    except ConfigError as error:
        _log.error("version %d of the configuration cannot be used here: %s", version.number, error)
        return site
