"""RTSP messages on a client's side (RFC 2326). Pure: bytes in, messages out."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

MAX_HEAD_BYTES = 16 * 1024
MAX_BODY_BYTES = 64 * 1024

_STATUS = re.compile(r"RTSP/1\.\d (\d{3})(?: (.*))?")
_HEAD_END = re.compile(rb"\r?\n\r?\n")
_REQUEST = re.compile(r"([A-Z_]{3,32}) (\S+) RTSP/1\.\d")


class Headers(dict[str, list[str]]):
    """Values by name in lower case."""

    def first(self, name: str) -> str:
        """The first value, "" when there is none."""
        return next(iter(self.get(name, ())), "")


class Response(NamedTuple):
    status: int
    reason: str
    headers: Headers
    body: bytes

    @property
    def sequence(self) -> str:
        return self.headers.first("cseq")


class Request(NamedTuple):
    """What the server asks of us."""

    method: str
    url: str
    headers: Headers


def encode_request(method: str, url: str, headers: Iterable[tuple[str, str]]) -> bytes:
    lines = [f"{method} {url} RTSP/1.0", *(f"{name}: {value}" for name, value in headers)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "replace")


def encode_response(status: int, reason: str, sequence: str) -> bytes:
    cseq = f"CSeq: {sequence}\r\n" if sequence.isdigit() else ""
    return f"RTSP/1.0 {status} {reason}\r\n{cseq}\r\n".encode()


def parse_message(data: bytes) -> Response | Request:
    """A whole message. ValueError for anything else."""
    end = _HEAD_END.search(data)
    head, body = (data, b"") if end is None else (data[: end.start()], data[end.end() :])
    lines = [line.rstrip("\r") for line in head.decode("latin-1").split("\n")]
    headers = _headers(lines[1:])
    if match := _STATUS.fullmatch(lines[0].strip()):
        return Response(int(match[1]), (match[2] or "").strip(), headers, body)
    if match := _REQUEST.fullmatch(lines[0].strip()):
        return Request(match[1], match[2], headers)
    raise ValueError("not an RTSP message")


def _headers(lines: list[str]) -> Headers:
    headers, name = Headers(), ""
    for line in lines:
        if line[:1] in (" ", "\t") and name:
            headers[name][-1] += " " + line.strip()
            continue
        key, colon, value = line.partition(":")
        if colon and key.strip():
            name = key.strip().lower()
            headers.setdefault(name, []).append(value.strip())
    return headers


class Incoming:
    """The bytes of a connection that is being set up: messages, and packets that come between them.

    early: interleaved packets as they came, '$' and length included.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self.early = bytearray()

    def feed(self, data: bytes) -> None:
        self._buffer += data

    def next(self) -> Response | Request | None:
        """The next whole message, None when it needs more bytes. ValueError for what is no RTSP."""
        buffer = self._buffer
        while True:
            del buffer[: len(buffer) - len(buffer.lstrip(b"\r\n"))]
            if buffer[:1] != b"$":
                return self._message()
            size = 4 + int.from_bytes(buffer[2:4], "big")
            if len(buffer) < 4 or len(buffer) < size:
                return None
            self.early += buffer[:size]
            del buffer[:size]

    def rest(self) -> bytes:
        """Everything that is not a message yet: early packets, and what follows the last message."""
        data = bytes(self.early + self._buffer)
        self.early.clear()
        self._buffer.clear()
        return data

    def _message(self) -> Response | Request | None:
        buffer = self._buffer
        end = _HEAD_END.search(buffer)
        if end is None:
            line = buffer.find(b"\n")
            if len(buffer) > MAX_HEAD_BYTES or (line >= 0 and b"RTSP/1." not in buffer[:line]):
                raise ValueError("not an RTSP message")
            if line < 0 and len(buffer) >= 4 and not buffer[:4].isascii():
                raise ValueError("not an RTSP message")
            return None
        message = parse_message(bytes(buffer[: end.end()]))
        text = message.headers.first("content-length") or "0"
        if not re.fullmatch("[0-9]{1,6}", text) or int(text) > MAX_BODY_BYTES:
            raise ValueError("not the length of an RTSP message")
        whole = end.end() + int(text)
        if len(buffer) < whole:
            return None
        if isinstance(message, Response):
            message = message._replace(body=bytes(buffer[end.end() : whole]))
        del buffer[:whole]
        return message
