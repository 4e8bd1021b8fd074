"""Links: how packets of one track reach one client - interleaved in the RTSP connection, or by UDP."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any, Protocol

from fovideo.errors import UsageError

_REFUSALS_TO_GIVE_UP = 32
_UDP_BURST = 32
"""Packets sent back to back by UDP: fits a receiver's default socket buffer of about 200 kB."""
_UDP_PAUSE_S = 0.001


class Link(Protocol):
    """Way of one track to one client."""

    @property
    def backlog_bytes(self) -> int:
        """What was handed over but has not left this machine."""

    def describe(self) -> str:
        """Transport header of the SETUP response, without ssrc."""

    async def rtp(self, packets: list[bytes]) -> None:
        """Hand over packets; does not wait for the client (drain does)."""

    def rtcp(self, packet: bytes) -> None: ...

    async def drain(self) -> None:
        """Wait until the backlog is small."""

    def close(self) -> None: ...


class TcpLink:
    """Packets interleaved in the RTSP connection, with '$', channel and length before each."""

    def __init__(self, writer: asyncio.StreamWriter, channels: tuple[int, int]) -> None:
        self._writer, self.channels = writer, channels
        self._prefix = bytes((0x24, channels[0]))

    @property
    def backlog_bytes(self) -> int:
        return self._writer.transport.get_write_buffer_size()

    def describe(self) -> str:
        return f"RTP/AVP/TCP;unicast;interleaved={self.channels[0]}-{self.channels[1]}"

    async def rtp(self, packets: list[bytes]) -> None:
        pieces: list[bytes] = []
        for packet in packets:
            pieces += (self._prefix, len(packet).to_bytes(2, "big"), packet)
        self._write(b"".join(pieces))

    def rtcp(self, packet: bytes) -> None:
        self._write(bytes((0x24, self.channels[1])) + len(packet).to_bytes(2, "big") + packet)

    def _write(self, data: bytes) -> None:
        if not self._writer.is_closing():
            self._writer.write(data)

    async def drain(self) -> None:
        await self._writer.drain()

    def close(self) -> None:
        pass


class _Socket(asyncio.DatagramProtocol):
    def __init__(self, on_data: Callable[[], None], on_refused: Callable[[], None]) -> None:
        self._on_data, self._on_refused = on_data, on_refused

    def datagram_received(self, data: bytes, addr: object) -> None:
        self._on_data()

    def error_received(self, exc: Exception) -> None:
        if isinstance(exc, ConnectionRefusedError):
            self._on_refused()


class UdpLink:
    """A pair of UDP sockets, even and odd port, connected to the client's pair."""

    def __init__(self, on_alive: Callable[[], None], on_gone: Callable[[], None]) -> None:
        self._on_alive, self._on_gone = on_alive, on_gone
        self._refusals = 0
        self._transports: list[Any] = []  # of asyncio.DatagramTransport
        self._client_ports = self._server_ports = (0, 0)

    @classmethod
    async def open(
        cls,
        local: str,
        peer: str,
        ports: tuple[int, int],
        on_alive: Callable[[], None],
        on_gone: Callable[[], None],
    ) -> UdpLink:
        """Bind a free pair on address `local`. on_alive: RTCP came; on_gone: its ports are closed."""
        link = cls(on_alive, on_gone)
        loop = asyncio.get_running_loop()
        for _ in range(100):
            even = random.randrange(20_000, 60_000, 2)
            try:
                for at in (0, 1):
                    transport, _ = await loop.create_datagram_endpoint(
                        lambda at=at: _Socket(link._alive if at else _nothing, link._refused),  # type: ignore[misc]
                        local_addr=(local, even + at),
                        remote_addr=(peer, ports[at]),
                    )
                    link._transports.append(transport)
            except OSError:
                link.close()
                continue
            link._client_ports, link._server_ports = ports, (even, even + 1)
            return link
        raise UsageError("no free pair of UDP ports", where=local)

    def _alive(self) -> None:
        self._refusals = 0
        self._on_alive()

    def _refused(self) -> None:
        self._refusals += 1
        if self._refusals == _REFUSALS_TO_GIVE_UP:
            self._on_gone()

    @property
    def backlog_bytes(self) -> int:
        return self._transports[0].get_write_buffer_size() if self._transports else 0

    def describe(self) -> str:
        (client, client_rtcp), (server, server_rtcp) = self._client_ports, self._server_ports
        return f"RTP/AVP;unicast;client_port={client}-{client_rtcp};server_port={server}-{server_rtcp}"

    async def rtp(self, packets: list[bytes]) -> None:
        for number, packet in enumerate(packets, 1):
            if not self._transports:
                return
            self._transports[0].sendto(packet)
            if number % _UDP_BURST == 0:
                await asyncio.sleep(_UDP_PAUSE_S)

    def rtcp(self, packet: bytes) -> None:
        if self._transports:
            self._transports[1].sendto(packet)

    async def drain(self) -> None:
        await asyncio.sleep(_UDP_PAUSE_S)

    def close(self) -> None:
        for transport in self._transports:
            transport.close()
        self._transports.clear()


def _nothing() -> None:
    pass
