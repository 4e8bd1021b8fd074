"""Tables of a site.toml, as tests write them."""

from __future__ import annotations

QUICK = """
[detection]
handback_after = "1s"
merge_every = "500ms"
[defaults.server]
durability = "500ms"
[defaults.spare]
durability = "500ms"
"""
"""Settings with which a test need not wait for long."""


def machine(kind: str, name: str, port: int, more: str = "") -> str:
    """kind: "server" or "spare"; it listens on loopback, and its store has its name."""
    return f'[[{kind}]]\nname = "{name}"\nlisten = "127.0.0.1:{port}"\nstore = "{name}"\n{more}'


def camera(name: str, url: str, more: str = "", *, server: str = "rec-1") -> str:
    return f'[[camera]]\nname = "{name}"\nserver = "{server}"\nurl = "{url}"\n{more}'
