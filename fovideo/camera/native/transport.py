"""How packets of a track travel: what SETUP asks for and gets, and sockets for UDP."""

from __future__ import annotations

import contextlib
import random
import re
import socket
import struct

import msgspec

from fovideo.errors import CameraBroken, CameraUnreachable

_PAIR = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?")
_RECEIVE_BYTES = 4 << 20
_PORTS = range(20_000, 60_000, 2)
_ATTEMPTS = 100
_PUNCH_RTP = struct.pack(">BBHII", 0x80, 0, 0, 0, 0)
_PUNCH_RTCP = struct.pack(">BBHI", 0x80, 201, 1, 0)


class Transport(msgspec.Struct, frozen=True):
    """What a server agreed to. A pair of numbers is that for RTP and that for RTCP.

    channels: when interleaved. server_ports: by UDP, None = not said. source: where packets come from, "" =
    not said.
    """

    channels: tuple[int, int] | None = None
    server_ports: tuple[int, int] | None = None
    source: str = ""


def interleaved_wish(number: int) -> str:
    """Transport header that asks for track `number` in the RTSP connection."""
    return f"RTP/AVP/TCP;unicast;interleaved={2 * number}-{2 * number + 1}"


def datagram_wish(ports: tuple[int, int]) -> str:
    """Transport header that asks for packets at these ports of ours."""
    return f"RTP/AVP;unicast;client_port={ports[0]}-{ports[1]}"


def parse_transport(header: str) -> Transport:
    """A response's Transport header. ValueError when its numbers cannot be."""
    fields = {}
    for part in header.split(",")[0].split(";"):
        name, _, value = part.strip().partition("=")
        fields[name.lower()] = value.strip()
    return Transport(
        channels=_pair(fields.get("interleaved", ""), 255),
        server_ports=_pair(fields.get("server_port", ""), 65_535),
        source=fields.get("source", ""),
    )


def _pair(text: str, largest: int) -> tuple[int, int] | None:
    if not text:
        return None
    match = _PAIR.fullmatch(text)
    if match is None:
        raise ValueError(f"not a pair of numbers: {text}")
    first = int(match[1])
    second = int(match[2]) if match[2] else first + 1
    if max(first, second) > largest or first == second:
        raise ValueError(f"not a pair of numbers: {text}")
    return first, second


class DatagramPair:
    """Two UDP sockets, for RTP on an even port and for RTCP on the next one; non-blocking."""

    def __init__(self, local: str, family: socket.AddressFamily, where: str) -> None:
        """local: address to receive at. CameraUnreachable when no pair of ports is free."""
        self.rtp, self.rtcp = self._bind(local, family, where)
        self.ports: tuple[int, int] = (self.rtp.getsockname()[1], self.rtcp.getsockname()[1])
        for each in (self.rtp, self.rtcp):
            each.setblocking(False)
        with contextlib.suppress(OSError):
            self.rtp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BYTES)

    @staticmethod
    def _bind(local: str, family: socket.AddressFamily, where: str) -> tuple[socket.socket, socket.socket]:
        for _ in range(_ATTEMPTS):
            pair = socket.socket(family, socket.SOCK_DGRAM), socket.socket(family, socket.SOCK_DGRAM)
            port = random.choice(_PORTS)
            try:
                pair[0].bind((local, port))
                pair[1].bind((local, port + 1))
            except OSError:
                for each in pair:
                    each.close()
                continue
            return pair
        raise CameraUnreachable("no free pair of UDP ports on this machine", where=where)

    def connect(self, host: str, ports: tuple[int, int], where: str) -> None:
        """Take packets from this peer only, and send it one each, so that firewalls let its own in."""
        try:
            self.rtp.connect((host, ports[0]))
            self.rtcp.connect((host, ports[1]))
        except OSError as error:
            raise CameraBroken(f"cannot receive from {host}: {error.strerror}", where=where) from None
        with contextlib.suppress(OSError):
            self.rtp.send(_PUNCH_RTP)
            self.rtcp.send(_PUNCH_RTCP)

    def close(self) -> None:
        self.rtp.close()
        self.rtcp.close()
