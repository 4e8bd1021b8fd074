"""Merges that commands on this machine carry out, for other commands of the same user: seen, paused, ended.

Each one listens on loopback, and leaves port and a secret in a file that only its user can read.
"""

from __future__ import annotations

import contextlib
import hmac
import logging
import os
import secrets
import socket
import socketserver
import stat
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from fovideo.decoding import from_json
from fovideo.errors import UsageError
from fovideo.merge.doing.running import MergeStatus, RunningMerge

_log = logging.getLogger(__name__)

_PATIENCE_S = 5.0
_LONGEST_BYTES = 65_536


class _Address(msgspec.Struct, frozen=True):
    port: int
    secret: str


class _Word(msgspec.Struct, frozen=True):
    """order: "status", "pause", "resume" or "cancel"."""

    secret: str
    order: str


@contextmanager
def offered(running: RunningMerge) -> Iterator[None]:
    """While inside, other commands of this user find the merge. If that cannot be, it goes on without."""
    secret = secrets.token_hex(16)

    class Handler(socketserver.StreamRequestHandler):
        timeout = _PATIENCE_S

        def handle(self) -> None:
            with contextlib.suppress(OSError, msgspec.MsgspecError):
                word = from_json(self.rfile.readline(_LONGEST_BYTES), _Word)
                if hmac.compare_digest(word.secret, secret):
                    _obey(running, word.order)
                    self.wfile.write(msgspec.json.encode(running.status()) + b"\n")

    class Listener(socketserver.ThreadingTCPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            """Who does not speak this language is not answered."""

    try:
        path = _folder() / running.id
        listener = Listener(("127.0.0.1", 0), Handler)
    except OSError as error:
        _log.info("other commands cannot see this merge: %s", error)
        yield
        return
    thread = threading.Thread(target=listener.serve_forever, args=(0.1,), name="offered", daemon=True)
    thread.start()
    try:
        with contextlib.suppress(OSError):
            _write(path, msgspec.json.encode(_Address(listener.server_address[1], secret)))
        yield
    finally:
        path.unlink(missing_ok=True)
        listener.shutdown()
        listener.server_close()


def found() -> dict[str, MergeStatus]:
    """What runs on this machine now, by id."""
    merges = {}
    try:
        paths = sorted(_folder().iterdir())
    except OSError:
        return {}
    for path in paths:
        status = _ask(path, "status")
        if status is not None:
            merges[status.id] = status
    return merges


def order(id: str, word: str) -> MergeStatus:
    """Pause, resume or cancel one. UsageError if it does not run any more."""
    status = _ask(_folder() / id, word)
    if status is None:
        raise UsageError(f"no merge {id!r} runs on this machine", hint="see fovideo merges")
    return status


def _obey(running: RunningMerge, order: str) -> None:
    orders = {
        "pause": running.control.pause,
        "resume": running.control.resume,
        "cancel": running.control.cancel,
    }
    if order in orders:
        orders[order]()


def _ask(path: Path, order: str) -> MergeStatus | None:
    """None if it is over; what a killed one left is removed."""
    try:
        address = from_json(path.read_bytes(), _Address)
        with socket.create_connection(("127.0.0.1", address.port), _PATIENCE_S) as connection:
            connection.sendall(msgspec.json.encode(_Word(address.secret, order)) + b"\n")
            with connection.makefile("rb") as answer:
                return from_json(answer.readline(_LONGEST_BYTES), MergeStatus)
    except TimeoutError:
        return None
    except (OSError, msgspec.MsgspecError):
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
        return None


def _folder() -> Path:
    """This user's folder for what lives as long as its processes. OSError if somebody else has made it."""
    user = os.getuid() if hasattr(os, "getuid") else 0
    base = os.environ.get("XDG_RUNTIME_DIR")
    folder = Path(base) / "fovideo" if base else Path(tempfile.gettempdir()) / f"fovideo-{user}"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if hasattr(os, "getuid"):
        what = folder.lstat()
        if not stat.S_ISDIR(what.st_mode) or what.st_uid != user or what.st_mode & 0o077:
            raise PermissionError(f"{folder} is not this user's alone")
    return folder


def _write(path: Path, data: bytes) -> None:
    draft = path.with_name(f".{path.name}")
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(data)
    draft.replace(path)
