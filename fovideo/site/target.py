"""Things that can be asked whether they are there: tcp://, http://, rtsp://, ping://, command:. Pure."""

from __future__ import annotations

import shlex
from urllib.parse import urlsplit

SCHEMES = ("tcp", "http", "https", "rtsp", "ping", "command")


def as_target(text: str) -> str:
    """A bare host is one to be pinged."""
    if text.partition(":")[0] in SCHEMES:
        return text
    return f"ping://[{text}]" if ":" in text else f"ping://{text}"


def target_problem(target: str) -> str:
    """Why that is nothing that can be asked; "" if it can."""
    scheme, _, rest = target.partition(":")
    if scheme not in SCHEMES:
        return f"{scheme!r} is no way to ask"
    try:
        if scheme == "command":
            return "" if shlex.split(rest) else "it names no command"
        parts = urlsplit(target)
        port = parts.port
    except ValueError as error:
        return str(error)
    if not parts.hostname:
        return "it names no host"
    return "it names no port" if scheme == "tcp" and not port else ""
