"""RTSP messages on a byte stream (RFC 2326, sections 4 to 7 and 10.12). Pure: bytes in, messages out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

MAX_LINE_BYTES = 8 * 1024
MAX_HEAD_BYTES = 32 * 1024
MAX_BODY_BYTES = 64 * 1024

REASONS = {
    200: "OK",
    302: "Moved Temporarily",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    408: "Request Time-out",
    413: "Request Entity Too Large",
    414: "Request-URI Too Large",
    451: "Parameter Not Understood",
    453: "Not Enough Bandwidth",
    454: "Session Not Found",
    455: "Method Not Valid in This State",
    456: "Header Field Not Valid for Resource",
    457: "Invalid Range",
    459: "Aggregate Operation Not Allowed",
    460: "Only Aggregate Operation Allowed",
    461: "Unsupported Transport",
    500: "Internal Server Error",
    501: "Not Implemented",
    503: "Service Unavailable",
    505: "RTSP Version not supported",
    551: "Option not supported",
}

_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VERSION = re.compile(rb"RTSP/(\d)\.(\d)")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_PRINTABLE = re.compile(rb"[\x21-\x7e]+")


class RtspError(Exception):
    """A request that is answered with an error status. fatal: framing is lost, the connection has to end."""

    def __init__(self, status: int, *, headers: Iterable[tuple[str, str]] = (), fatal: bool = False) -> None:
        super().__init__(f"{status} {REASONS[status]}")
        self.status, self.headers, self.fatal = status, list(headers), fatal


class Request(NamedTuple):
    """One request. headers: by name in lower case; of a repeated header the values joined by commas."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes


class Interleaved(NamedTuple):
    """A binary packet from the client (RTCP) on a channel."""

    channel: int
    data: bytes


class Reader:
    """Cuts a byte stream into requests and interleaved packets. Memory is bounded by the limits above."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Request | Interleaved]:
        """Messages complete with `data`. Raises a fatal RtspError for what is no RTSP."""
        self._buffer += data
        while True:
            self._skip_blank_lines()
            message = self._interleaved() if self._buffer[:1] == b"$" else self._request()
            if message is None:
                return
            yield message

    def _skip_blank_lines(self) -> None:
        blank = 0
        while blank < len(self._buffer) and self._buffer[blank] in b"\r\n":
            blank += 1
        del self._buffer[:blank]

    def _interleaved(self) -> Interleaved | None:
        buffer = self._buffer
        if len(buffer) < 4:
            return None
        end = 4 + int.from_bytes(buffer[2:4], "big")
        if len(buffer) < end:
            return None
        message = Interleaved(buffer[1], bytes(buffer[4:end]))
        del buffer[:end]
        return message

    def _request(self) -> Request | None:
        buffer = self._buffer
        head_end = _head_end(buffer)
        if head_end is None:
            first_line = buffer.find(b"\n")
            if first_line < 0 and len(buffer) > MAX_LINE_BYTES:
                raise RtspError(414, fatal=True)
            if len(buffer) > MAX_HEAD_BYTES:
                raise RtspError(413, fatal=True)
            if first_line >= 0:
                _request_line(bytes(buffer[:first_line]).rstrip(b"\r"))  # refuse garbage early
            return None
        if head_end > MAX_HEAD_BYTES:
            raise RtspError(413, fatal=True)
        lines = bytes(buffer[:head_end]).replace(b"\r\n", b"\n").split(b"\n")
        method, url = _request_line(lines[0])
        headers = _headers(lines[1:])
        length = _content_length(headers)
        if len(buffer) < head_end + length:
            return None
        body = bytes(buffer[head_end : head_end + length])
        del buffer[: head_end + length]
        return Request(method, url, headers, body)


def _head_end(buffer: bytearray) -> int | None:
    """Offset after the empty line that ends the head."""
    ends = [at + len(mark) for mark in (b"\r\n\r\n", b"\n\n") if (at := buffer.find(mark)) >= 0]
    return min(ends) if ends else None


def _request_line(line: bytes) -> tuple[str, str]:
    if len(line) > MAX_LINE_BYTES:
        raise RtspError(414, fatal=True)
    words = line.split(b" ")
    if len(words) != 3 or not _TOKEN.fullmatch(words[0]) or not _PRINTABLE.fullmatch(words[1]):
        raise RtspError(400, fatal=True)
    version = _VERSION.fullmatch(words[2])
    if version is None:
        raise RtspError(400, fatal=True)
    if version.groups() != (b"1", b"0"):
        raise RtspError(505, fatal=True)
    return words[0].decode("ascii"), words[1].decode("ascii")


def _headers(lines: list[bytes]) -> dict[str, str]:
    headers: dict[str, str] = {}
    name = ""
    for line in lines:
        if not line:
            continue
        text = line.decode("latin-1")
        if _CONTROL.search(text):  # headers are echoed
            raise RtspError(400, fatal=True)
        if text[0] in " \t" and name:
            headers[name] += f" {text.strip()}"
            continue
        key, colon, value = text.partition(":")
        name = key.rstrip().lower()
        if not colon or not _TOKEN.fullmatch(name.encode("latin-1")):
            raise RtspError(400, fatal=True)
        headers[name] = f"{headers[name]}, {value.strip()}" if name in headers else value.strip()
    return headers


def _content_length(headers: Mapping[str, str]) -> int:
    text = headers.get("content-length", "0")
    if not re.fullmatch("[0-9]{1,18}", text):
        raise RtspError(400, fatal=True)
    length = int(text)
    if length > MAX_BODY_BYTES:
        raise RtspError(413, fatal=True)
    return length


def encode_response(status: int, headers: Iterable[tuple[str, str]], body: bytes = b"") -> bytes:
    """Bytes of a response. Content-Length is added when there is a body."""
    lines = [f"RTSP/1.0 {status} {REASONS[status]}"]
    lines += [f"{name}: {value}" for name, value in headers]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace") + body
