"""An RTSP camera whose every answer a test decides."""

from __future__ import annotations

import socket
import struct
import threading
from base64 import b64encode
from collections.abc import Callable
from itertools import count
from typing import Any, NamedTuple

from read_camera import Server, watched

SPS = bytes.fromhex("6742c00ad901419f9e10000003001000000303c0f1226a")
PPS = bytes.fromhex("68cb83cb20")
H264 = (
    "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:trackID=1\r\n"
    "a=fmtp:96 packetization-mode=1;sprop-parameter-sets="
    f"{b64encode(SPS).decode()},{b64encode(PPS).decode()}\r\n"
)
PUBLIC = "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN, GET_PARAMETER\r\n"


class Asked(NamedTuple):
    """A request. headers: by name in lower case."""

    method: str
    url: str
    headers: dict[str, str]
    connection: socket.socket


def answer(asked: Asked, headers: str = "", body: str = "", status: str = "200 OK") -> bytes:
    length = f"Content-Length: {len(body)}\r\n" if body else ""
    return f"RTSP/1.0 {status}\r\nCSeq: {asked.headers['cseq']}\r\n{headers}{length}\r\n{body}".encode()


def frame(number: int, *, key: bool = False, channel: int = 0, payload: bytes = b"") -> bytes:
    """An interleaved RTP packet that is an access unit by itself."""
    nal = payload or (b"\x65\x88" if key else b"\x41\x9a") + b"%d" % number + b"!" * 50
    packet = struct.pack(">BBHII", 0x80, 0x80 | 96, number & 0xFFFF, number * 3600, 1) + nal
    return struct.pack(">BBH", 0x24, channel, len(packet)) + packet


def stream(connection: socket.socket) -> None:
    """What a camera plays: frames for ever."""
    wait = threading.Event()
    for number in count():
        connection.sendall(frame(number, key=number % 10 == 0))
        wait.wait(0.01)


def native(url: str, **settings: Any) -> Any:
    """A started reader that reads natively."""
    return watched(url, **({"ingest": "native"} | settings))


class ScriptedCamera(Server):
    """Answers as a plain camera does, except where `script` has something else for a method.

    script: method to what answers it; None as answer = silence. sdp: the media sections.
    played: called with the connection once PLAY was answered. asked: every request so far.
    """

    def __init__(
        self,
        sdp: str = H264,
        script: dict[str, Callable[[Asked], bytes | None]] | None = None,
        played: Callable[[socket.socket], None] | None = None,
        session: str = "12345678;timeout=60",
    ) -> None:
        self.sdp = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nt=0 0\r\n" + sdp
        self.script = script or {}
        self.asked: list[Asked] = []
        self.session = session
        self._played = played
        self._news = threading.Condition()
        super().__init__(self._talk)

    def wait_for(self, method: str, times: int = 1) -> Asked:
        """The request of this method that came as number `times`."""
        with self._news:
            assert self._news.wait_for(lambda: len(self._of(method)) >= times, 20), [
                a.method for a in self.asked
            ]
            return self._of(method)[times - 1]

    def _of(self, method: str) -> list[Asked]:
        return [asked for asked in self.asked if asked.method == method]

    def _talk(self, connection: socket.socket) -> None:
        pending = b""
        while data := connection.recv(65536):
            pending += data
            while pending:
                if pending[:1] == b"$":
                    size = 4 + int.from_bytes(pending[2:4], "big")
                    if len(pending) < size:
                        break
                    pending = pending[size:]
                    continue
                head, end, rest = pending.partition(b"\r\n\r\n")
                if not end:
                    break
                pending = rest
                self._serve_one(head.decode(), connection)

    def _serve_one(self, head: str, connection: socket.socket) -> None:
        lines = head.split("\r\n")
        if lines[0].startswith("RTSP/"):
            asked = Asked("answer", lines[0], {}, connection)
        else:
            method, url, _ = lines[0].split(" ")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
            asked = Asked(method, url, headers, connection)
        with self._news:
            self.asked.append(asked)
            self._news.notify_all()
        reply = self.script[asked.method](asked) if asked.method in self.script else self.usual(asked)
        if reply:
            connection.sendall(reply)
        if asked.method == "PLAY" and reply and b" 200 " in reply and self._played is not None:
            threading.Thread(target=self._play, args=(connection,), daemon=True).start()

    def _play(self, connection: socket.socket) -> None:
        assert self._played is not None
        try:
            self._played(connection)
        except OSError:
            pass

    def usual(self, asked: Asked) -> bytes | None:
        """What a plain camera answers."""
        match asked.method:
            case "OPTIONS":
                return answer(asked, PUBLIC)
            case "DESCRIBE":
                return answer(
                    asked, f"Content-Base: {asked.url}/\r\nContent-Type: application/sdp\r\n", self.sdp
                )
            case "SETUP":
                return answer(
                    asked, f"Transport: {asked.headers['transport']}\r\nSession: {self.session}\r\n"
                )
            case "answer":
                return None
            case _:
                return answer(asked, f"Session: {self.session}\r\n")
