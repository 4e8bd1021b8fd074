"""A small RTSP client that shows every byte: for what real players never do."""

from __future__ import annotations

import re
import socket
import struct
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import urlsplit

PATIENCE_S = 20.0


class Response(NamedTuple):
    """headers: by name in lower case; of repeated ones the last, and all of them in `lines`."""

    status: int
    headers: dict[str, str]
    lines: list[str]
    body: str

    @property
    def session(self) -> str:
        return self.headers["session"].split(";")[0]


class RtpPacket(NamedTuple):
    """channel: interleaved channel; head: first two bytes of the RTP header."""

    channel: int
    head: bytes
    sequence: int
    time: int
    ssrc: int
    payload: bytes

    @property
    def marker(self) -> bool:
        return bool(self.head[1] & 0x80)


class RtspClient:
    """One connection. Interleaved packets that come between responses are kept in `packets`."""

    def __init__(self, url: str, *, receive_bytes: int = 0) -> None:
        """receive_bytes: size of the socket's receive buffer, for a client that stalls soon."""
        self.url = url
        parts = urlsplit(url)
        family = socket.AF_INET6 if ":" in str(parts.hostname) else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        self.socket.settimeout(PATIENCE_S)
        if receive_bytes:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self.socket.connect((parts.hostname, parts.port))
        self.packets: list[tuple[int, bytes]] = []
        self.cseq = 0
        self._buffer = b""

    def __enter__(self) -> RtspClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def request(self, method: str, url: str | None = None, **headers: str) -> Response:
        """Send a request and wait for its response. Header names: underscores stand for dashes."""
        self.cseq += 1
        lines = [f"{method} {url or self.url} RTSP/1.0", f"CSeq: {self.cseq}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self.send(("\r\n".join(lines) + "\r\n\r\n").encode())
        return self.response()

    def setup(self, track: int = 1, *, channel: int | None = None, session: str = "") -> Response:
        """SETUP of one track, interleaved."""
        transport = "RTP/AVP/TCP;unicast"
        if channel is not None:
            transport += f";interleaved={channel}-{channel + 1}"
        headers = {"Session": session} if session else {}
        return self.request("SETUP", f"{self.url}/trackID={track}", Transport=transport, **headers)

    def response(self) -> Response:
        """The next response; interleaved packets before it are kept."""
        while self._peek(1) == b"$":
            self.packets.append(self._interleaved())
        head = self._until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        match = re.fullmatch(r"RTSP/1\.0 (\d{3}) .+", head[0])
        assert match, head[0]
        headers = {
            name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)
        }
        body = self._take(int(headers.get("content-length", "0")))
        return Response(int(match[1]), headers, head[1:], body.decode())

    def interleaved(self) -> Iterator[tuple[int, bytes]]:
        """(channel, packet) as they come, until the server closes."""
        while True:
            if self.packets:
                yield self.packets.pop(0)
            elif not self._peek(1):
                return
            else:
                yield self._interleaved()

    def rtp(self) -> Iterator[RtpPacket]:
        """RTP packets as they come."""
        for channel, data in self.interleaved():
            if channel % 2 == 0:
                _, sequence, time, ssrc = struct.unpack_from(">HHII", data)
                yield RtpPacket(channel, data[:2], sequence, time, ssrc, data[12:])

    def is_closed(self) -> bool:
        """Wait until the server closes; what it still sends is dropped."""
        try:
            while self.socket.recv(65536):
                pass
        except ConnectionError:
            pass
        return True

    def _interleaved(self) -> tuple[int, bytes]:
        head = self._take(4)
        assert head[:1] == b"$", head
        return head[1], self._take(int.from_bytes(head[2:], "big"))

    def _peek(self, count: int) -> bytes:
        while len(self._buffer) < count:
            data = self.socket.recv(65536)
            if not data:
                break
            self._buffer += data
        return self._buffer[:count]

    def _take(self, count: int) -> bytes:
        data = self._peek(count)
        if len(data) < count:
            raise ConnectionError("the server closed the connection")
        self._buffer = self._buffer[count:]
        return data

    def _until(self, mark: bytes) -> bytes:
        while mark not in self._buffer:
            size = len(self._buffer)
            if len(self._peek(size + 1)) == size:
                raise ConnectionError("the server closed the connection")
        head, _, self._buffer = self._buffer.partition(mark)
        return head
