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

    Linux lets a process do that without rights where net.ipv4.ping_group_range allows it, and root always;
    else, and on other systems, the command `ping` is asked.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, None, type=socket.SOCK_DGRAM)[0]
    except OSError:
        return False
    if sys.platform == "linux":
        for kind in (socket.SOCK_DGRAM, socket.SOCK_RAW):
            try:
                return _echo(family, kind, address, timeout_s)
            except PermissionError:
                continue
            except OSError:
                return False
    return _command(host, timeout_s)


def _echo(family: int, kind: int, address: tuple[object, ...], timeout_s: float) -> bool:
    six = family == socket.AF_INET6
    protocol = socket.IPPROTO_ICMPV6 if six else socket.IPPROTO_ICMP
    request, reply = (128, 129) if six else (8, 0)
    nonce = os.urandom(16)
    packet = struct.pack(">BBHHH", request, 0, 0, 0, 1) + nonce
    if not six:  # of version 6 the kernel fills in the checksum
        packet = struct.pack(">BBHHH", request, 0, _checksum(packet), 0, 1) + nonce
    with socket.socket(family, kind, protocol) as link:
        link.setblocking(False)
        link.sendto(packet, address)
        deadline = time.monotonic() + timeout_s
        while (left := deadline - time.monotonic()) > 0:
            if not select.select([link], [], [], left)[0]:
                return False
            got = link.recv(1500)
            message = got[-len(packet) :]
            if message.endswith(nonce) and message[0] == reply:
                return True
    return False


def _checksum(packet: bytes) -> int:
    """RFC 1071, of an even number of bytes."""
    total: int = sum(struct.unpack(f">{len(packet) // 2}H", packet))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


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
