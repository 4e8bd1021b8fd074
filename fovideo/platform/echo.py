"""Whether a machine of the network answers at all."""

from __future__ import annotations

import os
import select
import socket
import struct
import subprocess
import sys
import time


def answers_echo(host: str, timeout_s: float) -> bool:
    """Whether a host answers an ICMP echo request within the time. False also if it cannot be looked up.

    Linux lets a process do that without rights where net.ipv4.ping_group_range allows it; elsewhere, and
    everywhere else, the command `ping` is asked.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, None, type=socket.SOCK_DGRAM)[0]
    except OSError:
        return False
    if sys.platform == "linux":
        try:
            return _echo(family, address, timeout_s)
        except PermissionError:
            pass
        except OSError:
            return False
    return _command(host, timeout_s)


def _echo(family: int, address: tuple[object, ...], timeout_s: float) -> bool:
    six = family == socket.AF_INET6
    protocol = socket.IPPROTO_ICMPV6 if six else socket.IPPROTO_ICMP
    with socket.socket(family, socket.SOCK_DGRAM, protocol) as link:
        link.setblocking(False)
        nonce = os.urandom(16)
        # The kernel fills in identifier and checksum, and hands over the answers to this socket alone.
        link.sendto(struct.pack(">BBHHH", 128 if six else 8, 0, 0, 0, 1) + nonce, address)
        deadline = time.monotonic() + timeout_s
        while (left := deadline - time.monotonic()) > 0:
            if not select.select([link], [], [], left)[0]:
                return False
            if link.recv(1500)[-len(nonce) :] == nonce:
                return True
    return False


def _command(host: str, timeout_s: float) -> bool:
    count, wait, unit = ("-n", "-w", 1000) if sys.platform == "win32" else ("-c", "-W", 1)
    limit = str(max(1, round(timeout_s * unit)))
    try:
        done = subprocess.run(
            ["ping", count, "1", wait, limit, host],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=timeout_s + 1,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
