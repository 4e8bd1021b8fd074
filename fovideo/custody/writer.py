"""Writing a manifest: one chain over all lines, and the whole file under its name at once or not at all."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import msgspec

from fovideo.custody.chain import FIRST_LINK, body_of, encode_line, next_link
from fovideo.custody.entries import End, Entry, GopEntry, Header, StretchEntry
from fovideo.custody.keys import sign
from fovideo.errors import FovideoError, UsageError
from fovideo.platform import fsync_dir

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


class Written(msgspec.Struct, frozen=True):
    """What a manifest covers. link: its last link, hexadecimal: whoever notes it can prove the rest."""

    path: str
    stretches: int
    gops: int
    frames: int
    size_bytes: int
    link: str
    signed: bool


def write_manifest(
    path: str | os.PathLike[str],
    header: Header,
    entries: Iterable[StretchEntry | GopEntry],
    key: Ed25519PrivateKey | None = None,
) -> Written:
    """Write the manifest of these entries, durably. header.key must be the id of `key`.

    Nothing appears under the path unless all went well. Raises UsageError where there is a file already: a
    manifest is never replaced.
    """
    path = Path(path)
    new = path.with_name(path.name + ".new")
    try:
        with new.open("wb") as file:
            written = _write(file, str(path), header, entries, key)
            file.flush()
            os.fsync(file.fileno())
        refuse_existing(path)
        new.replace(path)
        fsync_dir(path.absolute().parent)
    except BaseException as error:
        with contextlib.suppress(OSError):
            new.unlink()
        if isinstance(error, OSError) and not isinstance(error, FovideoError):
            raise unwritable(path, error) from error
        raise
    return written


def refuse_existing(path: Path) -> None:
    """UsageError if there is something under the path."""
    if os.path.lexists(path):
        raise UsageError(
            "is there already, and a manifest is never replaced",
            where=str(path),
            hint="give each merge a manifest of its own",
        )


def require_writable(path: Path) -> None:
    """UsageError unless a file can be made beside the path."""
    new = path.with_name(path.name + ".new")
    try:
        new.open("wb").close()
        new.unlink()
    except OSError as error:
        raise unwritable(path, error) from error


def unwritable(path: Path, error: OSError) -> UsageError:
    """The error for a manifest that cannot be written."""
    return UsageError(f"cannot write the manifest: {error.strerror}", where=str(path))


def _write(
    file: BinaryIO,
    path: str,
    header: Header,
    entries: Iterable[StretchEntry | GopEntry],
    key: Ed25519PrivateKey | None,
) -> Written:
    link = _put(file, header, FIRST_LINK)
    stretches = gops = frames = size = 0
    for entry in entries:
        link = _put(file, entry, link)
        if isinstance(entry, StretchEntry):
            stretches += 1
        else:
            gops, frames, size = gops + 1, frames + entry.frames, size + entry.bytes
    end = End(stretches=stretches, gops=gops, frames=frames, bytes=size)
    link = next_link(link, body_of(end))
    file.write(encode_line(end, link, "" if key is None else sign(key, link)))
    return Written(path, stretches, gops, frames, size, link.hex(), key is not None)


def _put(file: BinaryIO, entry: Entry, link: bytes) -> bytes:
    link = next_link(link, body_of(entry))
    file.write(encode_line(entry, link))
    return link
