"""Telling the service manager how it goes: systemd's notification protocol (sd_notify), by plain sockets.

Where no manager listens (NOTIFY_SOCKET is not set) or the system has no such sockets, nothing happens.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Mapping

US_PER_S = 1_000_000


class ServiceManager:
    """Says READY, RELOADING, STOPPING and WATCHDOG to whoever started this process. Never raises."""

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        environ = os.environ if environ is None else environ
        self._address = _address(environ.get("NOTIFY_SOCKET", ""))
        self.watchdog_s = _watchdog_s(environ) if self._address is not None else 0.0

    # watchdog_s: the manager restarts us when it hears nothing for so long; 0 = it does not watch.

    def ready(self, status: str = "") -> bool:
        """Started, or done with reloading. True when it was sent."""
        return self._send("READY=1", _status(status))

    def reloading(self) -> bool:
        """A new configuration is being taken in; followed by `ready`."""
        monotonic_us = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000 if sys.platform == "linux" else 0
        return self._send("RELOADING=1", f"MONOTONIC_USEC={monotonic_us}")

    def stopping(self) -> bool:
        return self._send("STOPPING=1")

    def alive(self, status: str = "") -> bool:
        """The watchdog need not bite."""
        return self._send("WATCHDOG=1", _status(status))

    def _send(self, *lines: str) -> bool:
        if self._address is None:
            return False
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as wire:
                wire.setblocking(False)
                wire.sendto("\n".join(filter(None, lines)).encode(), self._address)
        except OSError:
            return False
        return True


def _address(text: str) -> str | None:
    """The socket's address, or None when there is none that this system can reach."""
    if not text or not hasattr(socket, "AF_UNIX"):
        return None
    return "\0" + text[1:] if text.startswith("@") else text


def _watchdog_s(environ: Mapping[str, str]) -> float:
    if environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return 0.0
    try:
        return max(int(environ.get("WATCHDOG_USEC", "0")), 0) / US_PER_S
    except ValueError:
        return 0.0


def _status(text: str) -> str:
    return f"STATUS={text.splitlines()[0]}" if text else ""
