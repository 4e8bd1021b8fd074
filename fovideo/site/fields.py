"""The kinds of values that stand in site.toml: durations, sizes, addresses, secrets."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from fovideo.camera.redact import redact
from fovideo.errors import ConfigError


class Duration(int):
    """Nanoseconds; written "10s", "500ms", "1h30m" or as a number of seconds."""


class Size(int):
    """Bytes; written "500GB", "64MiB" or as a number of bytes."""


class Secret(str):
    """Text that never shows itself in a repr, and so in no log line or traceback of a value that holds it."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'" if self else "''"


class SourceUrl(str):
    """Where a camera is reached; a password in it never shows in a repr."""

    __slots__ = ()

    def __repr__(self) -> str:
        return repr(redact(self))


class Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of all tables of site.toml: an unknown key is an error, not a surprise later."""


def parse_listen(text: str) -> tuple[str, int]:
    """Host and port of "HOST:PORT", "[V6]:PORT" or ":PORT"; ValueError for anything else."""
    parts = urlsplit(f"//{text}")
    port = parts.port
    if port is None or parts.path or parts.query or parts.fragment or "@" in text:
        raise ValueError(f"not HOST:PORT: {text!r}")
    return parts.hostname or "", port


def resolve_secret(text: str, file: str, variable: str, whose: str) -> str:
    """A secret as given, from a file or from the environment. ConfigError names the place only."""
    if text:
        return str(text)
    if variable:
        value = os.environ.get(variable)
        if value is None:
            raise ConfigError(f"the {whose} is not set", where=f"${variable}", hint="set the variable")
        return value
    if file:
        try:
            return Path(file).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
            raise ConfigError(f"cannot read the {whose}: {reason}", where=file) from None
    return ""
